"""The block of each journal, what counts of the chain, comparison with it, halted assets, audit log."""

from alembic import op

from snowrail_kit.audit import audit_statements

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_STATEMENTS = (
    # nothing for journals that were written before blocks were recorded: those are old enough for any block
    "ALTER TABLE journal ADD COLUMN block_number bigint",
    """
    CREATE TABLE reconciliation (
        token text PRIMARY KEY,
        chain_id bigint NOT NULL,
        block_number bigint NOT NULL,
        block_hash text NOT NULL,
        version bigint NOT NULL,
        held numeric(78, 0) NOT NULL,
        fees numeric(78, 0) NOT NULL,
        owed numeric(78, 0) NOT NULL,
        executed numeric(78, 0) NOT NULL,
        ledger_owed numeric(78, 0) NOT NULL,
        ledger_executed numeric(78, 0) NOT NULL,
        differences jsonb NOT NULL,
        differs_since timestamptz,
        compared_at timestamptz NOT NULL
    )
    """,
    # the journal in which a log of the escrow counts, by the newest fact about its block, if it does
    """
    CREATE TABLE chain_credit (
        reference text PRIMARY KEY,
        version bigint NOT NULL,
        journal_id uuid REFERENCES journal
    )
    """,
    """
    INSERT INTO chain_credit (reference, version, journal_id)
    SELECT credit.reference, 0, CASE WHEN reversal.journal_id IS NULL THEN credit.journal_id END
    FROM journal AS credit
    LEFT JOIN journal AS reversal ON reversal.reference = 'reversal:' || credit.reference
    WHERE credit.kind IN ('funded', 'cancelled', 'returned')
    """,
    """
    CREATE TABLE halted_asset (
        token text PRIMARY KEY,
        reason text NOT NULL,
        halted_at timestamptz NOT NULL
    )
    """,
)


def upgrade() -> None:
    """Create the audit log and what reconciliation remembers."""
    for statement in (*audit_statements(), *_STATEMENTS):
        op.execute(statement)
