"""Why finality is held, how deep a rollback an operator accepted, base fees by block, and the audit log."""

from alembic import op

from snowrail_kit.audit import audit_statements

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_STATEMENTS = (
    """
    ALTER TABLE chain_cursor
        ADD COLUMN held_reason text,
        ADD COLUMN held_block bigint,
        ADD COLUMN held_at timestamptz,
        ADD COLUMN endpoints_answering integer NOT NULL DEFAULT 0,
        ADD COLUMN accepted_depth bigint,
        ADD CHECK ((held_reason IS NULL) = (held_at IS NULL))
    """,
    "ALTER TABLE chain_block ADD COLUMN base_fee numeric(78, 0) NOT NULL DEFAULT 0",
    # what changed at or below a block since a version: totals kept in memory are made anew then
    "CREATE INDEX chain_transaction_version ON chain_transaction (chain_id, version)",
)


def upgrade() -> None:
    """Create the audit log and add to chain-monitor's own tables."""
    for statement in (*audit_statements(), *_STATEMENTS):
        op.execute(statement)
