"""Items that need another look are found without reading the others."""

from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Index them; they are few at any time."""
    op.execute("CREATE INDEX item_doubtful ON item (changed_at) WHERE state = 'unknown'")
