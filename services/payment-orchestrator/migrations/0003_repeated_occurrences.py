"""An execution of a recurring order that failed is paid by a later payment: one at a time, and once."""

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_STATEMENTS = (
    "ALTER TABLE payment DROP CONSTRAINT payment_intent_id_occurrence_key",
    """
    CREATE UNIQUE INDEX payment_of_occurrence ON payment (intent_id, occurrence)
    WHERE status NOT IN ('blocked', 'failed', 'cancelled')
    """,
    "CREATE INDEX payment_of_intent ON payment (intent_id)",
)


def upgrade() -> None:
    """Change the constraint."""
    for statement in _STATEMENTS:
        op.execute(statement)
