"""Notes."""

from alembic import op

from snowrail_kit.schema import chassis_statements

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the tables of the chassis and one of our own."""
    for statement in chassis_statements():
        op.execute(statement)
    op.execute("CREATE TABLE note (id bigint GENERATED ALWAYS AS IDENTITY)")
