"""When a doubted price was last observed: the same observation fetched again confirms nothing."""

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("ALTER TABLE price ADD COLUMN doubted_at timestamptz")
