"""Intents, their orders and occurrences, what is known of users and chains, and the record of evaluations."""

from alembic import op

from snowrail_kit.schema import chassis_statements

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_STATEMENTS = (
    """
    CREATE TABLE user_account (
        user_id uuid PRIMARY KEY,
        address text NOT NULL,
        kyc_level smallint NOT NULL,
        changed_at timestamptz NOT NULL
    )
    """,
    """
    CREATE TABLE intent (
        intent_id uuid PRIMARY KEY,
        user_id uuid NOT NULL,
        version bigint NOT NULL CHECK (version > 0),
        status text NOT NULL CHECK (status IN (
            'awaiting_authorisation', 'awaiting_funds', 'awaiting_approval', 'armed', 'due', 'delayed',
            'completed', 'cancelled', 'expired', 'failed')),
        paused boolean NOT NULL,
        reason text,
        payer text NOT NULL,
        recipient text NOT NULL,
        recipient_label text NOT NULL,
        token text NOT NULL,
        token_address text NOT NULL,
        amount numeric(78,0) NOT NULL CHECK (amount > 0),
        chain_id bigint NOT NULL,
        escrow text NOT NULL,
        terms_key uuid NOT NULL,
        order_hash bytea NOT NULL UNIQUE,
        signature bytea CHECK (length(signature) = 65),
        approval_amount numeric(78,0) NOT NULL,
        next_occurrence integer NOT NULL,
        not_before timestamptz,
        expires_at timestamptz NOT NULL,
        estimated_gas bigint NOT NULL,
        estimated_gas_price numeric(78,0) NOT NULL,
        waiting_since timestamptz,
        next_check_at timestamptz,
        traceparent text,
        created_at timestamptz NOT NULL,
        changed_at timestamptz NOT NULL
    )
    """,
    "CREATE INDEX intent_of_user ON intent (user_id, created_at DESC, intent_id DESC)",
    "CREATE INDEX intent_recent_terms ON intent (terms_key, created_at)",
    "CREATE INDEX intent_check ON intent (next_check_at) WHERE next_check_at IS NOT NULL",
    "CREATE INDEX intent_delayed ON intent (chain_id) WHERE status = 'delayed'",
    """
    CREATE TABLE intent_order (
        order_hash bytea PRIMARY KEY CHECK (length(order_hash) = 32),
        intent_id uuid NOT NULL REFERENCES intent,
        revision integer NOT NULL,
        valid_after bigint NOT NULL,
        valid_until bigint NOT NULL,
        max_gas_price numeric(78,0) NOT NULL,
        safety_buffer numeric(78,0) NOT NULL,
        min_interval bigint NOT NULL,
        max_executions bigint NOT NULL,
        max_fee numeric(78,0) NOT NULL,
        salt bytea NOT NULL CHECK (length(salt) = 32),
        deposit numeric(78,0) NOT NULL DEFAULT 0 CHECK (deposit >= 0),
        refunded numeric(78,0) NOT NULL DEFAULT 0 CHECK (refunded >= 0),
        chain_cancelled boolean NOT NULL DEFAULT false,
        UNIQUE (intent_id, revision)
    )
    """,
    """
    CREATE TABLE occurrence (
        intent_id uuid NOT NULL REFERENCES intent,
        occurrence integer NOT NULL CHECK (occurrence >= 0),
        payment_id uuid NOT NULL UNIQUE,
        status text NOT NULL CHECK (status IN ('paying', 'succeeded', 'failed', 'blocked', 'cancelled')),
        step text NOT NULL,
        version bigint NOT NULL,
        tx_hash text,
        due_at timestamptz NOT NULL,
        changed_at timestamptz NOT NULL,
        PRIMARY KEY (intent_id, occurrence)
    )
    """,
    """
    CREATE TABLE evaluation (
        evaluation_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        intent_id uuid NOT NULL,
        evaluated_at timestamptz NOT NULL,
        status text NOT NULL,
        reason text,
        inputs jsonb NOT NULL
    )
    """,
    "CREATE INDEX evaluation_of_intent ON evaluation (intent_id, evaluation_id DESC)",
    """
    CREATE TABLE escrow_fact (
        chain_id bigint NOT NULL,
        block_hash bytea NOT NULL,
        tx_hash bytea NOT NULL,
        log_index integer NOT NULL,
        order_hash bytea NOT NULL,
        name text NOT NULL,
        amount numeric(78,0) NOT NULL,
        fee numeric(78,0) NOT NULL,
        sender text NOT NULL,
        block_number bigint NOT NULL,
        version bigint NOT NULL,
        state smallint NOT NULL CHECK (state IN (1, 2, 3)),
        PRIMARY KEY (chain_id, block_hash, tx_hash, log_index)
    )
    """,
    "CREATE INDEX escrow_fact_of_order ON escrow_fact (order_hash)",
    """
    CREATE TABLE spending (
        user_id uuid NOT NULL,
        day date NOT NULL,
        token text NOT NULL,
        amount numeric(78,0) NOT NULL,
        gas bigint NOT NULL,
        PRIMARY KEY (user_id, day, token)
    )
    """,
    """
    CREATE TABLE paid_recipient (
        user_id uuid NOT NULL,
        address text NOT NULL,
        shape text NOT NULL,
        paid_count bigint NOT NULL,
        last_paid_at timestamptz NOT NULL,
        PRIMARY KEY (user_id, address)
    )
    """,
    "CREATE INDEX paid_recipient_shape ON paid_recipient (user_id, shape)",
    """
    CREATE TABLE gas_price (
        chain_id bigint PRIMARY KEY,
        gas_price numeric(78,0) NOT NULL,
        base_fee numeric(78,0) NOT NULL,
        block_number bigint NOT NULL,
        observed_at timestamptz NOT NULL
    )
    """,
    """
    CREATE TABLE gas_sample (
        chain_id bigint NOT NULL,
        minute timestamptz NOT NULL,
        lowest numeric(78,0) NOT NULL,
        highest numeric(78,0) NOT NULL,
        latest numeric(78,0) NOT NULL,
        latest_at timestamptz NOT NULL,
        PRIMARY KEY (chain_id, minute)
    )
    """,
)


def upgrade() -> None:
    """Create the tables."""
    for statement in (*chassis_statements(), *_STATEMENTS):
        op.execute(statement)
