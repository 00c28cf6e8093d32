"""An operator may free a nonce by a transfer of nothing from the signer to itself."""

from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_STATEMENTS = (
    # The only second effect that a nonce may have, and only once an administrator has approved it.
    """
    CREATE TABLE lane_cancellation (
        chain_id bigint NOT NULL,
        signer text NOT NULL,
        nonce bigint NOT NULL,
        effect bytea NOT NULL CHECK (octet_length(effect) = 32),
        approved_by uuid NOT NULL,
        approved_at timestamptz NOT NULL,
        PRIMARY KEY (chain_id, signer, nonce),
        UNIQUE (chain_id, signer, nonce, effect),
        FOREIGN KEY (chain_id, signer, nonce) REFERENCES lane_nonce (chain_id, signer, nonce)
    )
    """,
    """
    ALTER TABLE lane_transaction
        ADD COLUMN cancels boolean NOT NULL DEFAULT false,
        ADD COLUMN execution_effect bytea GENERATED ALWAYS AS (CASE WHEN NOT cancels THEN effect END) STORED,
        ADD COLUMN cancellation_effect bytea GENERATED ALWAYS AS (CASE WHEN cancels THEN effect END) STORED
    """,
    """
    ALTER TABLE lane_transaction
        DROP CONSTRAINT lane_transaction_chain_id_signer_nonce_effect_fkey,
        ADD CONSTRAINT lane_transaction_execution FOREIGN KEY (chain_id, signer, nonce, execution_effect)
            REFERENCES lane_nonce (chain_id, signer, nonce, effect),
        ADD CONSTRAINT lane_transaction_cancellation FOREIGN KEY
            (chain_id, signer, nonce, cancellation_effect)
            REFERENCES lane_cancellation (chain_id, signer, nonce, effect)
    """,
)


def upgrade() -> None:
    """Let a nonce have an approved cancellation beside its effect."""
    for statement in _STATEMENTS:
        op.execute(statement)
