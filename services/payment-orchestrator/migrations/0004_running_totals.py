"""Running totals of the ledger, news about earlier attempts, indexes for what is read of growing tables."""

from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_STATEMENTS = (
    # a predicate on the status itself would have every index follow each of a payment's changes
    """
    ALTER TABLE payment ADD COLUMN stands boolean NOT NULL
    GENERATED ALWAYS AS (status NOT IN ('blocked', 'failed', 'cancelled')) STORED
    """,
    # the newest that settlement said of an attempt, for news about one that is not the latest
    "ALTER TABLE attempt ADD COLUMN settlement_version bigint NOT NULL DEFAULT 0",
    "DROP INDEX payment_of_occurrence",
    "CREATE UNIQUE INDEX payment_of_occurrence ON payment (intent_id, occurrence) WHERE stands",
    "CREATE INDEX payment_by_payer ON payment (payer, requested_at DESC, payment_id DESC)",
    "CREATE INDEX payment_by_recipient ON payment (recipient, requested_at DESC, payment_id DESC)",
    "CREATE INDEX journal_by_time ON journal (recorded_at DESC, journal_id DESC)",
    # what a block changed, added up: journals append to the first table, the second one is folded from it
    """
    CREATE TABLE ledger_change (
        token text NOT NULL,
        block_number bigint NOT NULL,
        owed numeric(78, 0) NOT NULL,
        executed numeric(78, 0) NOT NULL
    )
    """,
    """
    CREATE TABLE ledger_total (
        token text NOT NULL,
        block_number bigint NOT NULL,
        owed numeric(78, 0) NOT NULL,
        executed numeric(78, 0) NOT NULL,
        PRIMARY KEY (token, block_number)
    )
    """,
    """
    INSERT INTO ledger_total (token, block_number, owed, executed)
    SELECT token, coalesce(block_number, 0),
           coalesce(sum(atoms) FILTER (WHERE account LIKE 'escrow:%'), 0),
           sum(CASE WHEN reference LIKE 'payment:%' AND atoms > 0 THEN atoms
                    WHEN reference LIKE 'reversal:payment:%' AND atoms < 0 THEN atoms ELSE 0 END)
    FROM posting JOIN journal USING (journal_id) GROUP BY token, coalesce(block_number, 0)
    """,
)


def upgrade() -> None:
    """Change the tables."""
    for statement in _STATEMENTS:
        op.execute(statement)
