"""Settings, dialogues, templates, payment requests, alerts; plans of intents; answers to other channels."""

from alembic import op

revision = "0002"
down_revision = "0001"

_STATEMENTS = (
    "ALTER TABLE user_account ADD COLUMN time_zone text NOT NULL DEFAULT 'UTC'",
    """
    CREATE TABLE user_settings (
        user_id uuid PRIMARY KEY,
        time_zone text,
        currency text,
        changed_at timestamptz NOT NULL
    )
    """,
    """
    CREATE TABLE dialogue (
        user_id uuid PRIMARY KEY,
        command text NOT NULL,
        given jsonb NOT NULL,
        changed_at timestamptz NOT NULL
    )
    """,
    "ALTER TABLE intent ADD COLUMN plan jsonb NOT NULL DEFAULT '{}'",
    "ALTER TABLE request RENAME COLUMN intent_id TO subject_id",
    "ALTER TABLE request ADD COLUMN remark text NOT NULL DEFAULT ''",
    "ALTER TABLE request DROP CONSTRAINT request_command_check",
    """
    ALTER TABLE request ADD CONSTRAINT request_command_check CHECK (command IN (
        'create', 'authorise', 'cancel', 'pause', 'resume', 'alert_create', 'alert_delete', 'set_preference',
        'set_quiet_hours', 'device_approve', 'device_deny'))
    """,
    "ALTER TABLE message ADD COLUMN origin text NOT NULL DEFAULT 'feed'",
    """
    CREATE TABLE template (
        user_id uuid NOT NULL,
        key text NOT NULL,
        name text NOT NULL,
        payments text NOT NULL,
        saved_at timestamptz NOT NULL,
        PRIMARY KEY (user_id, key)
    )
    """,
    """
    CREATE TABLE template_run (
        run_id uuid PRIMARY KEY,
        user_id uuid NOT NULL,
        name text NOT NULL,
        card_version bigint NOT NULL DEFAULT 1,
        started_at timestamptz NOT NULL
    )
    """,
    """
    CREATE TABLE template_payment (
        run_id uuid NOT NULL REFERENCES template_run (run_id),
        position integer NOT NULL,
        line text NOT NULL,
        intent_id uuid UNIQUE,
        code text,
        detail text,
        PRIMARY KEY (run_id, position)
    )
    """,
    """
    CREATE TABLE payment_request (
        code text PRIMARY KEY,
        message_id uuid NOT NULL UNIQUE,
        user_id uuid NOT NULL,
        handle text NOT NULL,
        address text NOT NULL,
        token text NOT NULL,
        amount numeric(78, 0) NOT NULL,
        memo text NOT NULL,
        made_at timestamptz NOT NULL,
        expires_at timestamptz NOT NULL
    )
    """,
    "CREATE INDEX payment_request_of_user ON payment_request (user_id, expires_at)",
    "CREATE INDEX payment_request_expiry ON payment_request (expires_at)",
    """
    CREATE TABLE alert (
        alert_id uuid PRIMARY KEY,
        user_id uuid NOT NULL,
        version bigint NOT NULL,
        status text NOT NULL,
        symbol text NOT NULL,
        currency text NOT NULL,
        comparison text NOT NULL,
        price text NOT NULL,
        fired_price text,
        changed_at timestamptz NOT NULL
    )
    """,
    "CREATE INDEX alert_of_user ON alert (user_id, alert_id)",
    """
    CREATE TABLE notification_preferences (
        user_id uuid PRIMARY KEY,
        record jsonb NOT NULL,
        changed_at timestamptz NOT NULL
    )
    """,
)


def upgrade() -> None:
    """Create them."""
    for statement in _STATEMENTS:
        op.execute(statement)
