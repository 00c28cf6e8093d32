"""What each nonce was signed for, recorded by the signer in a commit of its own before the key is asked."""

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the signer's ledger. It refers to nothing: it must outlive whatever happens to lanes."""
    op.execute(
        """
        CREATE TABLE signing_ledger (
            chain_id bigint NOT NULL,
            signer text NOT NULL,
            nonce bigint NOT NULL,
            effect bytea NOT NULL CHECK (octet_length(effect) = 32),
            recorded_at timestamptz NOT NULL,
            PRIMARY KEY (chain_id, signer, nonce)
        )
        """
    )
    op.execute(
        "INSERT INTO signing_ledger SELECT chain_id, signer, nonce, effect, reserved_at FROM lane_nonce"
    )
