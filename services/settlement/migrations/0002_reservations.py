"""A nonce is taken, in a commit of its own, before anything is signed for it."""

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_STATEMENTS = (
    # what is to be signed for a nonce that is taken; gone as soon as the signed bytes are stored
    """
    CREATE TABLE lane_unsigned (
        chain_id bigint NOT NULL,
        signer text NOT NULL,
        nonce bigint NOT NULL,
        callee text NOT NULL,
        value numeric(78, 0) NOT NULL,
        data bytea NOT NULL,
        gas_limit bigint NOT NULL,
        PRIMARY KEY (chain_id, signer, nonce),
        FOREIGN KEY (chain_id, signer, nonce) REFERENCES lane_nonce (chain_id, signer, nonce)
    )
    """,
)


def upgrade() -> None:
    """Create the table of what is to be signed."""
    for statement in _STATEMENTS:
        op.execute(statement)
