"""People, devices, sessions, limits and the audit log."""

from alembic import op

from snowrail_kit.audit import audit_statements
from snowrail_kit.schema import chassis_statements

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_STATEMENTS = (
    """
    CREATE TABLE handle_claim (
        handle text PRIMARY KEY CHECK (handle ~ '^[a-z][a-z0-9_]{2,31}$'),
        user_id uuid NOT NULL,
        claimed_at timestamptz NOT NULL
    )
    """,
    "COMMENT ON TABLE handle_claim IS"
    " 'Every handle anybody ever had. None passes to somebody else: a payment to it would go astray.'",
    "CREATE INDEX handle_claim_user ON handle_claim (user_id)",
    """
    CREATE TABLE account (
        user_id uuid PRIMARY KEY,
        address text NOT NULL UNIQUE CHECK (address ~ '^0x[0-9a-fA-F]{40}$'),
        handle text NOT NULL UNIQUE REFERENCES handle_claim (handle),
        roles text[] NOT NULL CHECK (roles @> ARRAY['user']),
        kyc_level smallint NOT NULL DEFAULT 0 CHECK (kyc_level BETWEEN 0 AND 3),
        time_zone text NOT NULL DEFAULT 'UTC',
        version bigint NOT NULL DEFAULT 1,
        created_at timestamptz NOT NULL,
        changed_at timestamptz NOT NULL,
        last_sign_in_at timestamptz NOT NULL
    )
    """,
    "CREATE INDEX account_newest ON account (created_at DESC, user_id DESC)",
    """
    CREATE TABLE sign_in_nonce (
        nonce text PRIMARY KEY,
        address text NOT NULL,
        chain_id bigint NOT NULL,
        issued_at timestamptz NOT NULL,
        expires_at timestamptz NOT NULL
    )
    """,
    "CREATE INDEX sign_in_nonce_expiry ON sign_in_nonce (expires_at)",
    "CREATE TABLE rate_limit (key text PRIMARY KEY, full_at timestamptz NOT NULL)",
    "CREATE INDEX rate_limit_full ON rate_limit (full_at)",
    """
    CREATE TABLE device (
        user_id uuid NOT NULL REFERENCES account (user_id),
        device_id uuid NOT NULL,
        label text NOT NULL,
        network_address text NOT NULL,
        first_seen_at timestamptz NOT NULL,
        last_seen_at timestamptz NOT NULL,
        approved_at timestamptz,
        removed_at timestamptz,
        PRIMARY KEY (user_id, device_id)
    )
    """,
    """
    CREATE TABLE session (
        session_id uuid PRIMARY KEY,
        user_id uuid NOT NULL,
        device_id uuid NOT NULL,
        created_at timestamptz NOT NULL,
        last_used_at timestamptz NOT NULL,
        expires_at timestamptz NOT NULL,
        ended_at timestamptz,
        end_reason text,
        CHECK ((ended_at IS NULL) = (end_reason IS NULL)),
        FOREIGN KEY (user_id, device_id) REFERENCES device (user_id, device_id) ON DELETE CASCADE
    )
    """,
    "CREATE INDEX session_live ON session (user_id, last_used_at) WHERE ended_at IS NULL",
    "CREATE INDEX session_expiry ON session (expires_at)",
    "CREATE INDEX session_device ON session (user_id, device_id)",
    """
    CREATE TABLE refresh_token (
        token_hash bytea PRIMARY KEY CHECK (length(token_hash) = 32),
        session_id uuid NOT NULL REFERENCES session (session_id) ON DELETE CASCADE,
        issued_at timestamptz NOT NULL,
        expires_at timestamptz NOT NULL,
        used_at timestamptz
    )
    """,
    "CREATE INDEX refresh_token_session ON refresh_token (session_id)",
    """
    CREATE TABLE kyc_limit (
        kyc_level smallint PRIMARY KEY CHECK (kyc_level BETWEEN 0 AND 3),
        per_transaction bigint NOT NULL CHECK (per_transaction > 0),
        per_day bigint NOT NULL CHECK (per_day >= per_transaction),
        per_month bigint NOT NULL CHECK (per_month >= per_day),
        changed_at timestamptz NOT NULL DEFAULT now()
    )
    """,
    "COMMENT ON TABLE kyc_limit IS 'Cents of US dollars.'",
    """
    INSERT INTO kyc_limit (kyc_level, per_transaction, per_day, per_month) VALUES
        (0, 100000, 200000, 1000000),
        (1, 1000000, 2000000, 10000000),
        (2, 5000000, 10000000, 50000000),
        (3, 25000000, 100000000, 500000000)
    """,
    """
    CREATE TABLE account_limit (
        user_id uuid PRIMARY KEY REFERENCES account (user_id),
        per_transaction bigint NOT NULL CHECK (per_transaction > 0),
        per_day bigint NOT NULL CHECK (per_day >= per_transaction),
        per_month bigint NOT NULL CHECK (per_month >= per_day),
        changed_at timestamptz NOT NULL
    )
    """,
    "COMMENT ON TABLE account_limit IS 'Stands instead of the limits of the KYC level. Cents of US dollars.'",
)


def upgrade() -> None:
    for statement in (*chassis_statements(), *audit_statements(), *_STATEMENTS):
        op.execute(statement)
