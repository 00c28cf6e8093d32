"""Followed chains, their recent blocks, the transactions that concern us, gas prices, traces."""

from alembic import op

from snowrail_kit.schema import chassis_statements

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_STATEMENTS = (
    """
    CREATE TABLE chain_cursor (
        chain_id bigint PRIMARY KEY,
        tip_number bigint,
        tip_hash text,
        tip_time timestamptz,
        final_number bigint NOT NULL DEFAULT -1,
        head_number bigint NOT NULL DEFAULT -1,
        last_version bigint NOT NULL DEFAULT 0,
        checked_at timestamptz NOT NULL,
        frozen_reason text,
        frozen_at timestamptz,
        CHECK ((tip_number IS NULL) = (tip_hash IS NULL)),
        CHECK ((frozen_reason IS NULL) = (frozen_at IS NULL))
    )
    """,
    """
    CREATE TABLE chain_block (
        chain_id bigint NOT NULL REFERENCES chain_cursor,
        number bigint NOT NULL,
        hash text NOT NULL,
        parent_hash text NOT NULL,
        block_time timestamptz NOT NULL,
        PRIMARY KEY (chain_id, number)
    )
    """,
    # one row per transaction and block: a transaction that moves to another block has a second row
    """
    CREATE TABLE chain_transaction (
        chain_id bigint NOT NULL REFERENCES chain_cursor,
        tx_hash text NOT NULL,
        block_hash text NOT NULL,
        block_number bigint NOT NULL,
        block_time timestamptz NOT NULL,
        status text NOT NULL CHECK (status IN ('seen', 'included', 'final', 'orphaned')),
        version bigint NOT NULL,
        sender text NOT NULL,
        nonce bigint NOT NULL,
        succeeded boolean NOT NULL,
        logs jsonb NOT NULL,
        PRIMARY KEY (chain_id, tx_hash, block_hash)
    )
    """,
    """
    CREATE INDEX chain_transaction_block ON chain_transaction (chain_id, block_number)
    WHERE status <> 'orphaned'
    """,
    """
    CREATE INDEX chain_transaction_open ON chain_transaction (chain_id, block_number)
    WHERE status IN ('seen', 'included')
    """,
    """
    CREATE TABLE gas_price (
        chain_id bigint NOT NULL REFERENCES chain_cursor,
        block_number bigint NOT NULL,
        gas_price numeric(78, 0) NOT NULL,
        base_fee numeric(78, 0) NOT NULL,
        observed_at timestamptz NOT NULL,
        PRIMARY KEY (chain_id, observed_at)
    )
    """,
    """
    CREATE TABLE submitted_trace (
        chain_id bigint NOT NULL,
        tx_hash text NOT NULL,
        traceparent text NOT NULL,
        received_at timestamptz NOT NULL,
        PRIMARY KEY (chain_id, tx_hash)
    )
    """,
    "CREATE INDEX submitted_trace_age ON submitted_trace (received_at)",
)


def upgrade() -> None:
    """Create the chassis's tables and chain-monitor's own."""
    for statement in chassis_statements():
        op.execute(statement)
    for statement in _STATEMENTS:
        op.execute(statement)
