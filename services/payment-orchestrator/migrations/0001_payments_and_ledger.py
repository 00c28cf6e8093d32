"""Payments, attempts, holds, deposits and the ledger."""

from alembic import op

from snowrail_kit.schema import chassis_statements

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_STATEMENTS = (
    """
    CREATE TABLE payment (
        payment_id uuid PRIMARY KEY,
        intent_id uuid NOT NULL,
        occurrence bigint NOT NULL,
        user_id uuid NOT NULL,
        chain_id bigint NOT NULL,
        escrow text NOT NULL,
        terms jsonb NOT NULL,
        order_hash text NOT NULL,
        signature text NOT NULL,
        token text NOT NULL,
        amount numeric(78, 0) NOT NULL CHECK (amount > 0),
        payer text NOT NULL,
        recipient text NOT NULL,
        status text NOT NULL,
        step text NOT NULL,
        version bigint NOT NULL DEFAULT 1,
        attempt integer NOT NULL DEFAULT 0,
        rail text,
        decision_id uuid,
        tx_hash text,
        block_number bigint,
        block_hash text,
        fee numeric(78, 0) NOT NULL DEFAULT 0,
        code text,
        score_thousandths integer,
        reasons jsonb NOT NULL DEFAULT '[]',
        next_route_at timestamptz,
        requested_at timestamptz NOT NULL,
        changed_at timestamptz NOT NULL,
        traceparent text,
        settlement_version bigint NOT NULL DEFAULT 0,
        UNIQUE (intent_id, occurrence)
    )
    """,
    # a payment is rewritten about five times: with room on its page no index has to follow
    "ALTER TABLE payment SET (fillfactor = 40)",
    "CREATE INDEX payment_by_user ON payment (user_id, requested_at DESC, payment_id DESC)",
    "CREATE INDEX payment_to_route ON payment (next_route_at) WHERE next_route_at IS NOT NULL",
    "CREATE INDEX payment_by_order ON payment (order_hash)",
    """
    CREATE TABLE attempt (
        payment_id uuid NOT NULL REFERENCES payment,
        attempt integer NOT NULL,
        rail text NOT NULL,
        decision_id uuid NOT NULL,
        status text NOT NULL CHECK (status IN ('LIVE', 'UNKNOWN', 'SUCCEEDED', 'FAILED', 'CANCELLED')),
        tx_hash text,
        opened_at timestamptz NOT NULL,
        closed_at timestamptz,
        PRIMARY KEY (payment_id, attempt)
    )
    """,
    "CREATE UNIQUE INDEX attempt_one_open ON attempt (payment_id) WHERE status IN ('LIVE', 'UNKNOWN')",
    """
    CREATE TABLE hold (
        payment_id uuid NOT NULL,
        attempt integer NOT NULL,
        token text NOT NULL,
        amount numeric(78, 0) NOT NULL CHECK (amount > 0),
        status text NOT NULL CHECK (status IN ('HELD', 'POSTED', 'VOIDED')),
        opened_at timestamptz NOT NULL,
        closed_at timestamptz,
        PRIMARY KEY (payment_id, attempt),
        FOREIGN KEY (payment_id, attempt) REFERENCES attempt
    )
    """,
    """
    CREATE TABLE order_deposit (
        order_hash text PRIMARY KEY,
        token text NOT NULL,
        atoms numeric(78, 0) NOT NULL
    )
    """,
    """
    CREATE TABLE journal (
        journal_id uuid PRIMARY KEY,
        kind text NOT NULL,
        reference text NOT NULL UNIQUE,
        recorded_at timestamptz NOT NULL
    )
    """,
    """
    CREATE TABLE posting (
        journal_id uuid NOT NULL REFERENCES journal,
        line smallint NOT NULL,
        account text NOT NULL,
        token text NOT NULL,
        atoms numeric(78, 0) NOT NULL CHECK (atoms <> 0),
        PRIMARY KEY (journal_id, line)
    )
    """,
    "CREATE INDEX posting_by_account ON posting (account, token)",
    """
    CREATE FUNCTION refuse_unbalanced_journals() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        IF EXISTS (SELECT 1 FROM added GROUP BY journal_id, token HAVING sum(atoms) <> 0) THEN
            RAISE EXCEPTION 'the postings of a journal must sum to zero per token';
        END IF;
        RETURN NULL;
    END $$
    """,
    """
    CREATE TRIGGER posting_balanced AFTER INSERT ON posting REFERENCING NEW TABLE AS added
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_unbalanced_journals()
    """,
    """
    CREATE FUNCTION refuse_change_of_ledger() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        RAISE EXCEPTION 'the ledger is append-only: write a compensating journal';
    END $$
    """,
    """
    CREATE TRIGGER journal_append_only BEFORE UPDATE OR DELETE ON journal
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change_of_ledger()
    """,
    """
    CREATE TRIGGER posting_append_only BEFORE UPDATE OR DELETE ON posting
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change_of_ledger()
    """,
)


def upgrade() -> None:
    for statement in (*chassis_statements(), *_STATEMENTS):
        op.execute(statement)
