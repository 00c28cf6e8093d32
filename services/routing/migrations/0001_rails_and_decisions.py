"""Rails, decisions, and what was learnt."""

from alembic import op

from snowrail_kit.audit import audit_statements
from snowrail_kit.schema import chassis_statements

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_STATEMENTS = (
    """
    CREATE TABLE rail (
        rail text PRIMARY KEY,
        enabled boolean NOT NULL,
        failures integer NOT NULL DEFAULT 0,
        opened_at timestamptz,
        open_until timestamptz,
        pauses integer NOT NULL DEFAULT 0,
        probes integer NOT NULL DEFAULT 0,
        probed_at timestamptz,
        changed_at timestamptz NOT NULL
    )
    """,
    """
    CREATE TABLE decision (
        decision_id uuid PRIMARY KEY,
        payment_id uuid NOT NULL,
        attempt integer NOT NULL,
        rail text,
        propensity_millionths integer NOT NULL,
        eligible_rails jsonb NOT NULL,
        reason text NOT NULL,
        context text NOT NULL,
        inputs jsonb NOT NULL,
        selected_at timestamptz NOT NULL,
        rewarded_at timestamptz,
        reward_millionths integer,
        UNIQUE (payment_id, attempt)
    )
    """,
    """
    CREATE TABLE experience (
        context text NOT NULL,
        rail text NOT NULL,
        successes double precision NOT NULL,
        trials double precision NOT NULL,
        latency_seconds double precision NOT NULL,
        updated_at timestamptz NOT NULL,
        PRIMARY KEY (context, rail)
    )
    """,
)


def upgrade() -> None:
    for statement in (*chassis_statements(), *audit_statements(), *_STATEMENTS):
        op.execute(statement)
