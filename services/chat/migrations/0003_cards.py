"""Cards in a table of their own: one row however many messages show the card."""

from alembic import op

revision = "0003"
down_revision = "0002"

_STATEMENTS = (
    """
    CREATE TABLE card (
        card_id uuid PRIMARY KEY,
        version bigint NOT NULL,
        card jsonb NOT NULL,
        text text NOT NULL,
        changed_at timestamptz NOT NULL
    )
    """,
    # rewritten about five times: kept in the row, not compressed and set apart, with room on its page
    "ALTER TABLE card SET (toast_tuple_target = 8160, fillfactor = 40)",
    "ALTER TABLE card ALTER COLUMN text SET STATISTICS 0",
    """
    INSERT INTO card
    SELECT DISTINCT ON (card_id) card_id, (card->>'version')::bigint, card, text, changed_at
    FROM message WHERE card_id IS NOT NULL
    ORDER BY card_id, (card->>'version')::bigint DESC, changed_at DESC
    """,
    "ALTER TABLE message DROP COLUMN card",
    "ALTER TABLE message ALTER COLUMN text DROP NOT NULL",
    "UPDATE message SET text = NULL WHERE author = 'snowrail'",
    """
    ALTER TABLE message
        ADD CHECK ((author = 'snowrail') = (in_reply_to IS NOT NULL)),
        ADD CHECK ((author = 'snowrail') = (card_id IS NOT NULL)),
        ADD CHECK ((author = 'snowrail') = (text IS NULL)),
        RESET (toast_tuple_target)
    """,
)


def upgrade() -> None:
    """Move them."""
    for statement in _STATEMENTS:
        op.execute(statement)
