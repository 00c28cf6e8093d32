"""Tables of the test service."""

from alembic import op

from snowrail_kit.schema import chassis_statements

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    for statement in chassis_statements():
        op.execute(statement)
    op.execute("CREATE TABLE effect (payment_id uuid PRIMARY KEY, amount numeric(78, 0) NOT NULL)")
    op.execute("CREATE TABLE known_user (user_id uuid PRIMARY KEY)")
