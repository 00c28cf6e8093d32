"""Messages, requests under way, people, and what is known of intents, payments and prices."""

from alembic import op

from snowrail_kit.schema import chassis_statements

revision = "0001"
down_revision = None

_STATEMENTS = (
    """
    CREATE TABLE message (
        message_id uuid PRIMARY KEY,
        user_id uuid NOT NULL,
        author text NOT NULL CHECK (author IN ('user', 'snowrail')),
        in_reply_to uuid UNIQUE REFERENCES message (message_id),
        command text,
        text text NOT NULL,
        card_id uuid,
        card jsonb,
        posted_at timestamptz NOT NULL,
        changed_at timestamptz NOT NULL,
        CHECK ((author = 'snowrail') = (in_reply_to IS NOT NULL AND card IS NOT NULL AND card_id IS NOT NULL))
    )
    """,
    # cards are rewritten often: kept in the row, not compressed and set apart
    "ALTER TABLE message SET (toast_tuple_target = 8160)",
    "CREATE INDEX message_history ON message (user_id, posted_at DESC, message_id DESC)",
    "CREATE INDEX message_card ON message (card_id) WHERE card_id IS NOT NULL",
    """
    CREATE TABLE request (
        message_id uuid PRIMARY KEY REFERENCES message (message_id),
        user_id uuid NOT NULL,
        intent_id uuid NOT NULL,
        command text NOT NULL CHECK (command IN ('create', 'authorise', 'cancel')),
        line text NOT NULL,
        requested_at timestamptz NOT NULL,
        told_at timestamptz,
        answered_at timestamptz
    )
    """,
    "CREATE INDEX request_intent ON request (intent_id) WHERE answered_at IS NULL",
    "CREATE INDEX request_waiting ON request (requested_at) WHERE answered_at IS NULL AND told_at IS NULL",
    """
    CREATE TABLE command_use (
        user_id uuid NOT NULL,
        bucket text NOT NULL,
        started_at timestamptz NOT NULL,
        used integer NOT NULL,
        used_before integer NOT NULL,
        PRIMARY KEY (user_id, bucket)
    )
    """,
    """
    CREATE TABLE user_account (
        user_id uuid PRIMARY KEY,
        handle text NOT NULL,
        address text NOT NULL,
        changed_at timestamptz NOT NULL
    )
    """,
    "CREATE INDEX user_account_handle ON user_account (handle)",
    """
    CREATE TABLE contact (
        user_id uuid NOT NULL,
        key text NOT NULL,
        name text NOT NULL,
        address text NOT NULL,
        handle text NOT NULL DEFAULT '',
        added_at timestamptz NOT NULL,
        PRIMARY KEY (user_id, key)
    )
    """,
    """
    CREATE TABLE intent (
        intent_id uuid PRIMARY KEY,
        user_id uuid NOT NULL,
        version bigint NOT NULL,
        status text NOT NULL,
        reason text,
        payer text NOT NULL,
        recipient text NOT NULL,
        recipient_label text NOT NULL,
        token text NOT NULL,
        amount numeric(78, 0) NOT NULL,
        order_hash text NOT NULL,
        expires_at timestamptz NOT NULL,
        created_at timestamptz NOT NULL,
        changed_at timestamptz NOT NULL,
        offer jsonb NOT NULL,
        next_step jsonb,
        refunded numeric(78, 0),
        card_version bigint NOT NULL DEFAULT 0,
        card_essence bytea
    )
    """,
    # an intent is rewritten about six times: with room on its page no index has to follow
    "ALTER TABLE intent SET (fillfactor = 40)",
    "CREATE INDEX intent_of_user ON intent (user_id, intent_id)",
    "CREATE INDEX intent_recent ON intent (user_id, created_at DESC)",
    """
    CREATE TABLE payment (
        payment_id uuid PRIMARY KEY,
        intent_id uuid NOT NULL,
        user_id uuid NOT NULL,
        occurrence bigint NOT NULL,
        version bigint NOT NULL,
        status text NOT NULL,
        step text NOT NULL,
        payer text NOT NULL,
        recipient text NOT NULL,
        token text NOT NULL,
        amount numeric(78, 0) NOT NULL,
        tx_hash text,
        block_number bigint,
        fee numeric(78, 0),
        code text,
        detail text NOT NULL,
        reasons text[] NOT NULL,
        changed_at timestamptz NOT NULL
    )
    """,
    "CREATE INDEX payment_of_intent ON payment (intent_id, occurrence DESC)",
    "CREATE INDEX payment_made ON payment (user_id, changed_at DESC)",
    "CREATE INDEX payment_received ON payment (recipient, changed_at DESC) WHERE status = 'succeeded'",
    "CREATE INDEX payment_known ON payment (user_id, recipient) WHERE status = 'succeeded'",
    """
    CREATE TABLE price (
        symbol text NOT NULL,
        currency text NOT NULL,
        price text NOT NULL,
        observed_at timestamptz NOT NULL,
        PRIMARY KEY (symbol, currency)
    )
    """,
    """
    CREATE TABLE gas_price (
        chain_id bigint PRIMARY KEY,
        gas_price numeric(78, 0) NOT NULL,
        observed_at timestamptz NOT NULL
    )
    """,
)


def upgrade() -> None:
    """Create the chassis's tables and this service's own."""
    for statement in (*chassis_statements(), *_STATEMENTS):
        op.execute(statement)
