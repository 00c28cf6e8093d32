"""Users, lists, histories, assessments, reviews, feedback and the audit log."""

from alembic import op

from snowrail_kit.audit import audit_statements
from snowrail_kit.schema import chassis_statements

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_STATEMENTS = (
    """
    CREATE TABLE payer (
        user_id uuid PRIMARY KEY,
        roles text[] NOT NULL DEFAULT '{}',
        version bigint NOT NULL DEFAULT 0,
        registered_at timestamptz,
        new_device_at timestamptz
    )
    """,
    """
    CREATE TABLE listed_address (
        address text NOT NULL CHECK (address ~ '^0x[0-9a-f]{40}$'),
        kind text NOT NULL CHECK (kind IN ('sanctioned', 'reported')),
        source text NOT NULL,
        reason text NOT NULL,
        added_by uuid NOT NULL,
        added_at timestamptz NOT NULL,
        entry_id uuid NOT NULL UNIQUE,
        PRIMARY KEY (address, kind)
    )
    """,
    "CREATE INDEX listed_address_newest ON listed_address (added_at DESC, entry_id DESC)",
    """
    CREATE TABLE velocity (
        payer text NOT NULL,
        period text NOT NULL CHECK (period IN ('minute', 'hour')),
        starts_at timestamptz NOT NULL,
        token text NOT NULL,
        payments bigint NOT NULL,
        amount numeric(78, 0) NOT NULL,
        PRIMARY KEY (payer, period, starts_at, token)
    )
    """,
    "CREATE INDEX velocity_age ON velocity (starts_at)",
    """
    CREATE TABLE learnt_payment (
        payment_id uuid PRIMARY KEY,
        succeeded_at timestamptz NOT NULL
    )
    """,
    "CREATE INDEX learnt_payment_age ON learnt_payment (succeeded_at)",
    """
    CREATE TABLE payee (
        payer text NOT NULL,
        recipient text NOT NULL,
        outline text GENERATED ALWAYS AS (substr(recipient, 3, 4) || right(recipient, 4)) STORED,
        payments bigint NOT NULL,
        first_paid_at timestamptz NOT NULL,
        last_paid_at timestamptz NOT NULL,
        PRIMARY KEY (payer, recipient)
    )
    """,
    "COMMENT ON COLUMN payee.outline IS 'First and last four digits: all that people compare.'",
    "CREATE INDEX payee_outline ON payee (payer, outline)",
    """
    CREATE TABLE payment_history (
        payer text NOT NULL,
        token text NOT NULL,
        payments bigint NOT NULL,
        total numeric(78, 0) NOT NULL,
        largest numeric(78, 0) NOT NULL,
        first_at timestamptz NOT NULL,
        PRIMARY KEY (payer, token)
    )
    """,
    """
    CREATE TABLE assessment (
        payment_id uuid PRIMARY KEY,
        intent_id uuid NOT NULL,
        user_id uuid NOT NULL,
        occurrence bigint NOT NULL,
        payer text NOT NULL,
        recipient text NOT NULL,
        token text NOT NULL,
        amount numeric(78, 0) NOT NULL,
        context jsonb NOT NULL,
        score smallint NOT NULL CHECK (score BETWEEN 0 AND 1000),
        rules_score smallint NOT NULL,
        rules_version text NOT NULL,
        model_score smallint,
        model_version text,
        decision text NOT NULL CHECK (decision IN ('allow', 'review', 'block')),
        reasons text[] NOT NULL,
        was_cached boolean NOT NULL,
        requested_at timestamptz NOT NULL,
        assessed_at timestamptz NOT NULL,
        traceparent text
    )
    """,
    "CREATE INDEX assessment_age ON assessment (assessed_at)",
    """
    CREATE TABLE score_cache (
        context_key bytea PRIMARY KEY,
        score smallint NOT NULL,
        rules_score smallint NOT NULL,
        rules_version text NOT NULL,
        model_score smallint,
        model_version text,
        reasons text[] NOT NULL,
        expires_at timestamptz NOT NULL
    )
    """,
    "CREATE INDEX score_cache_expiry ON score_cache (expires_at)",
    """
    CREATE TABLE review (
        payment_id uuid PRIMARY KEY REFERENCES assessment (payment_id),
        state text NOT NULL DEFAULT 'open' CHECK (state IN ('open', 'approved', 'denied', 'withdrawn')),
        opened_at timestamptz NOT NULL,
        closed_at timestamptz,
        reviewer_id uuid,
        note text NOT NULL DEFAULT '',
        CHECK ((state = 'open') = (closed_at IS NULL))
    )
    """,
    "CREATE INDEX review_queue ON review (state, opened_at DESC, payment_id DESC)",
    """
    CREATE TABLE feedback (
        payment_id uuid NOT NULL REFERENCES assessment (payment_id),
        source text NOT NULL,
        is_fraud boolean NOT NULL,
        given_by uuid NOT NULL,
        given_at timestamptz NOT NULL,
        PRIMARY KEY (payment_id, source)
    )
    """,
    "CREATE INDEX feedback_newest ON feedback (given_at DESC, payment_id DESC)",
)


def upgrade() -> None:
    for statement in (*chassis_statements(), *audit_statements(), *_STATEMENTS):
        op.execute(statement)
