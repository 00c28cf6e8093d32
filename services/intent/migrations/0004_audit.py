"""The audit log: what users command."""

from alembic import op

from snowrail_kit.audit import audit_statements

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the table."""
    for statement in audit_statements():
        op.execute(statement)
