"""What a wallet's unsigned payments will take is summed where an approval is offered."""

from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the index."""
    op.execute(
        "CREATE INDEX intent_unsigned_of_wallet ON intent (payer, token_address)"
        " WHERE status = 'awaiting_authorisation'"
        " AND token_address <> '0x0000000000000000000000000000000000000000'"
    )
