"""Wallets that payments take tokens from: how new a reading has to be, and the lock on judging by it."""

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_STATEMENTS = (
    """
    CREATE TABLE wallet (
        chain_id bigint NOT NULL,
        address text NOT NULL,
        token text NOT NULL,
        paid_block bigint NOT NULL CHECK (paid_block >= 0),
        PRIMARY KEY (chain_id, address, token)
    )
    """,
    """
    CREATE INDEX intent_open_of_wallet ON intent (payer, token_address)
    WHERE status IN ('armed', 'due', 'delayed', 'awaiting_funds', 'awaiting_approval')
    """,
)


def upgrade() -> None:
    """Create the table."""
    for statement in _STATEMENTS:
        op.execute(statement)
