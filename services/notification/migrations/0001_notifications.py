"""Users as far as they are told things, notifications, preferences."""

from alembic import op

from snowrail_kit.schema import chassis_statements

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_STATEMENTS = (
    """
    CREATE TABLE known_user (
        user_id uuid PRIMARY KEY,
        address text NOT NULL,
        handle text NOT NULL,
        is_admin boolean NOT NULL,
        changed_at timestamptz NOT NULL
    )
    """,
    "CREATE INDEX known_user_address ON known_user (address)",
    """
    CREATE TABLE notification (
        notification_id uuid PRIMARY KEY,
        user_id uuid NOT NULL,
        type text NOT NULL,
        title text NOT NULL,
        message text NOT NULL,
        icon text NOT NULL,
        priority text NOT NULL,
        data jsonb NOT NULL,
        actions jsonb NOT NULL,
        dismissible boolean NOT NULL,
        created_at timestamptz NOT NULL,
        read_at timestamptz
    )
    """,
    "CREATE INDEX notification_by_user ON notification (user_id, created_at DESC, notification_id DESC)",
    "CREATE INDEX notification_unread ON notification (user_id) WHERE read_at IS NULL",
    "CREATE INDEX notification_by_age ON notification (created_at)",
    """
    CREATE TABLE preference (
        user_id uuid NOT NULL,
        type text NOT NULL,
        channel text NOT NULL,
        enabled boolean NOT NULL,
        changed_at timestamptz NOT NULL,
        PRIMARY KEY (user_id, type, channel)
    )
    """,
)


def upgrade() -> None:
    for statement in (*chassis_statements(), *_STATEMENTS):
        op.execute(statement)
