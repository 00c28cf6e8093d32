"""The time zone is that of the account alone; cards are found by where they are shown.

Quiet hours and summaries follow the account. A zone that was set here was known to nobody else; its user sets
it once more.
"""

from alembic import op

revision = "0004"
down_revision = "0003"

_STATEMENTS = (
    "CREATE INDEX message_in_channel ON message (card_id) WHERE origin <> 'feed'",
    "ALTER TABLE user_settings DROP COLUMN time_zone",
    "DELETE FROM user_settings WHERE currency IS NULL",
    "ALTER TABLE user_settings ALTER COLUMN currency SET NOT NULL",
    "ALTER TABLE request DROP CONSTRAINT request_command_check",
    """
    ALTER TABLE request ADD CONSTRAINT request_command_check CHECK (command IN (
        'create', 'authorise', 'cancel', 'pause', 'resume', 'alert_create', 'alert_delete', 'set_preference',
        'set_quiet_hours', 'set_time_zone', 'device_approve', 'device_deny'))
    """,
)


def upgrade() -> None:
    """Change them."""
    for statement in _STATEMENTS:
        op.execute(statement)
