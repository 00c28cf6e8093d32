"""Prices, their history, and anomalies."""

from alembic import op

from snowrail_kit.schema import chassis_statements

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_STATEMENTS = (
    """
    CREATE TABLE price (
        symbol text NOT NULL,
        currency text NOT NULL,
        price numeric NOT NULL CHECK (price > 0),
        observed_at timestamptz NOT NULL,
        published_at timestamptz NOT NULL,
        doubted_price numeric,
        doubted_times integer NOT NULL DEFAULT 0,
        PRIMARY KEY (symbol, currency)
    )
    """,
    """
    CREATE TABLE price_history (
        symbol text NOT NULL,
        currency text NOT NULL,
        observed_at timestamptz NOT NULL,
        price numeric NOT NULL,
        PRIMARY KEY (symbol, currency, observed_at)
    )
    """,
    """
    CREATE TABLE anomaly (
        anomaly_id uuid PRIMARY KEY,
        symbol text NOT NULL,
        currency text NOT NULL,
        price text NOT NULL,
        last_price text NOT NULL,
        code text NOT NULL,
        detected_at timestamptz NOT NULL
    )
    """,
    "CREATE INDEX anomaly_by_time ON anomaly (detected_at DESC)",
)


def upgrade() -> None:
    for statement in (*chassis_statements(), *_STATEMENTS):
        op.execute(statement)
