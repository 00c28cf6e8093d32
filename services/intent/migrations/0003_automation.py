"""Series and conditions, what limits are used on which day, and the prices that conditions are judged by."""

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_STATEMENTS = (
    """
    ALTER TABLE intent
        ADD COLUMN recurrence jsonb,
        ADD COLUMN condition_kind text CHECK (condition_kind IN ('price', 'gas')),
        ADD COLUMN condition_token text,
        ADD COLUMN condition_comparison text CHECK (condition_comparison IN ('below', 'above')),
        ADD COLUMN condition_value numeric,
        ADD COLUMN slot integer NOT NULL DEFAULT 0,
        ADD COLUMN slots integer NOT NULL DEFAULT 1 CHECK (slots > 0),
        ADD COLUMN missed integer NOT NULL DEFAULT 0 CHECK (missed >= 0),
        ADD COLUMN counted_on date,
        ADD COLUMN warned_slot integer,
        ADD COLUMN last_result text,
        ADD COLUMN last_result_at timestamptz,
        ADD CONSTRAINT intent_condition_is_whole CHECK (
            (condition_kind IS NULL) = (condition_comparison IS NULL)
            AND (condition_kind IS NULL) = (condition_value IS NULL)),
        ADD CONSTRAINT intent_slots_are_not_exceeded CHECK (slot BETWEEN 0 AND slots)
    """,
    "UPDATE intent SET slot = 1 WHERE EXISTS (SELECT 1 FROM occurrence"
    " WHERE occurrence.intent_id = intent.intent_id)",
    "UPDATE intent SET counted_on = (created_at AT TIME ZONE 'UTC')::date"
    " WHERE status NOT IN ('cancelled', 'expired', 'failed')",
    """
    CREATE INDEX intent_waits_for_price ON intent (condition_token)
    WHERE status = 'delayed' AND condition_kind = 'price'
    """,
    "CREATE INDEX intent_next_run ON intent (user_id, not_before, intent_id) WHERE slot < slots",
    "ALTER TABLE intent_order ADD COLUMN executed integer NOT NULL DEFAULT 0 CHECK (executed >= 0)",
    """
    UPDATE intent_order SET executed = seen.executed FROM (
        SELECT order_hash, count(*) AS executed FROM escrow_fact
        WHERE name = 'executed' AND state = 2 GROUP BY order_hash) AS seen
    WHERE seen.order_hash = intent_order.order_hash
    """,
    "ALTER TABLE occurrence ADD COLUMN slot integer, ADD COLUMN scheduled_at timestamptz",
    "UPDATE occurrence SET slot = occurrence, scheduled_at = due_at",
    """
    ALTER TABLE occurrence ALTER COLUMN slot SET NOT NULL, ALTER COLUMN scheduled_at SET NOT NULL,
        DROP CONSTRAINT occurrence_pkey, ADD PRIMARY KEY (intent_id, slot),
        DROP CONSTRAINT occurrence_status_check,
        ADD CONSTRAINT occurrence_status_check CHECK (
            status IN ('paying', 'succeeded', 'failed', 'blocked', 'cancelled', 'skipped'))
    """,
    # one execution of an order is paid by one payment at a time; one that failed is tried by a later one
    """
    CREATE UNIQUE INDEX occurrence_paid_once ON occurrence (intent_id, occurrence)
    WHERE status IN ('paying', 'succeeded')
    """,
    """
    CREATE TABLE token_price (
        symbol text NOT NULL,
        currency text NOT NULL,
        price numeric NOT NULL CHECK (price > 0),
        observed_at timestamptz NOT NULL,
        PRIMARY KEY (symbol, currency)
    )
    """,
)


def upgrade() -> None:
    """Change the tables."""
    for statement in _STATEMENTS:
        op.execute(statement)
