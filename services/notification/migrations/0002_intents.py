"""Intents as far as it has to be noticed what became of them."""

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute(
        """
        CREATE TABLE known_intent (
            intent_id uuid PRIMARY KEY,
            version bigint NOT NULL,
            status text NOT NULL,
            reason text
        )
        """
    )
