"""Items, nonce lanes with their signed transactions, and what the chain has said."""

from alembic import op

from snowrail_kit.audit import audit_statements
from snowrail_kit.schema import chassis_statements

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_STATEMENTS = (
    """
    CREATE TABLE lane (
        lane_id uuid PRIMARY KEY,
        chain_id bigint NOT NULL,
        signer text NOT NULL,
        state text NOT NULL CHECK (state IN ('active', 'paused', 'frozen')),
        reason text NOT NULL DEFAULT '',
        first_nonce bigint NOT NULL CHECK (first_nonce >= 0),
        next_nonce bigint NOT NULL CHECK (next_nonce >= first_nonce),
        troubles text[] NOT NULL DEFAULT '{}',
        account_nonce bigint,
        balance numeric(78, 0),
        changed_at timestamptz NOT NULL,
        UNIQUE (chain_id, signer)
    )
    """,
    # One row per nonce with the digest of its effect. A signed transaction refers to both, so the database
    # itself refuses a second effect for one nonce; a replacement has the same effect and another fee.
    """
    CREATE TABLE lane_nonce (
        chain_id bigint NOT NULL,
        signer text NOT NULL,
        nonce bigint NOT NULL,
        effect bytea NOT NULL CHECK (octet_length(effect) = 32),
        gas_ceiling numeric(78, 0) NOT NULL,
        item_count integer NOT NULL CHECK (item_count > 0),
        reserved_at timestamptz NOT NULL,
        PRIMARY KEY (chain_id, signer, nonce),
        UNIQUE (chain_id, signer, nonce, effect),
        FOREIGN KEY (chain_id, signer) REFERENCES lane (chain_id, signer)
    )
    """,
    """
    CREATE TABLE lane_transaction (
        chain_id bigint NOT NULL,
        tx_hash text NOT NULL,
        signer text NOT NULL,
        nonce bigint NOT NULL,
        effect bytea NOT NULL,
        raw bytea NOT NULL,
        max_fee_per_gas numeric(78, 0) NOT NULL,
        max_priority_fee_per_gas numeric(78, 0) NOT NULL,
        state text NOT NULL CHECK (state IN ('signed', 'broadcast', 'ambiguous', 'included', 'final',
                                             'orphaned', 'dead')),
        signed_at timestamptz NOT NULL,
        sent_at timestamptz,
        last_answer text NOT NULL DEFAULT '',
        PRIMARY KEY (chain_id, tx_hash),
        UNIQUE (chain_id, signer, nonce, max_fee_per_gas),
        FOREIGN KEY (chain_id, signer, nonce, effect) REFERENCES lane_nonce (chain_id, signer, nonce, effect),
        CHECK (max_priority_fee_per_gas <= max_fee_per_gas)
    )
    """,
    """
    CREATE INDEX lane_transaction_open ON lane_transaction (chain_id, signer, nonce)
    WHERE state IN ('signed', 'broadcast', 'ambiguous', 'orphaned')
    """,
    # A nonce of ours that somebody else's transaction has used: the lane is frozen until it is acknowledged.
    """
    CREATE TABLE foreign_transaction (
        chain_id bigint NOT NULL,
        tx_hash text NOT NULL,
        signer text NOT NULL,
        nonce bigint NOT NULL,
        seen_at timestamptz NOT NULL,
        acknowledged_at timestamptz,
        PRIMARY KEY (chain_id, tx_hash),
        FOREIGN KEY (chain_id, signer) REFERENCES lane (chain_id, signer)
    )
    """,
    "CREATE INDEX foreign_transaction_signer ON foreign_transaction (chain_id, signer, nonce)",
    """
    CREATE TABLE item (
        item_id uuid PRIMARY KEY,
        sequence bigint GENERATED ALWAYS AS IDENTITY,
        payment_id uuid NOT NULL,
        attempt integer NOT NULL CHECK (attempt >= 0),
        purpose text NOT NULL CHECK (purpose = 'execute'),
        intent_id uuid NOT NULL,
        user_id uuid NOT NULL,
        chain_id bigint NOT NULL,
        escrow text NOT NULL,
        order_hash text NOT NULL,
        occurrence bigint NOT NULL CHECK (occurrence >= 0),
        order_terms jsonb NOT NULL,
        signature bytea NOT NULL,
        gas_ceiling numeric(78, 0) NOT NULL,
        valid_until numeric(20, 0) NOT NULL,
        state text NOT NULL CHECK (state IN ('created', 'assigned', 'submitted', 'included', 'executed',
                                             'failed', 'unknown')),
        version bigint NOT NULL DEFAULT 0,
        accepted boolean NOT NULL,
        signer text,
        nonce bigint,
        basis_tx_hash text,
        basis_block_hash text,
        log_index bigint,
        code text,
        detail text NOT NULL DEFAULT '',
        traceparent text,
        created_at timestamptz NOT NULL,
        not_before timestamptz NOT NULL,
        waits_for text NOT NULL DEFAULT '',
        waits_since timestamptz,
        sent_at timestamptz,
        changed_at timestamptz NOT NULL,
        UNIQUE (payment_id, attempt, purpose),
        FOREIGN KEY (chain_id, signer, nonce) REFERENCES lane_nonce (chain_id, signer, nonce),
        CHECK ((signer IS NULL) = (nonce IS NULL)),
        CHECK ((basis_tx_hash IS NULL) = (basis_block_hash IS NULL)),
        CHECK ((waits_for = '') = (waits_since IS NULL)),
        CHECK (state NOT IN ('assigned', 'submitted', 'included', 'unknown') OR nonce IS NOT NULL),
        CHECK (state NOT IN ('included', 'executed')
               OR (basis_tx_hash IS NOT NULL AND log_index IS NOT NULL)),
        CHECK (state <> 'created' OR nonce IS NULL),
        CHECK (accepted OR state = 'failed')
    )
    """,
    # at most one attempt of an occurrence is live or has succeeded, whichever payment it belongs to
    """
    CREATE UNIQUE INDEX item_occurrence_once ON item (chain_id, escrow, order_hash, occurrence)
    WHERE state <> 'failed'
    """,
    # one log of the chain credits one payment
    """
    CREATE UNIQUE INDEX item_credit_once ON item (chain_id, basis_tx_hash, basis_block_hash, log_index)
    WHERE state = 'executed'
    """,
    "CREATE INDEX item_occurrence ON item (chain_id, order_hash, occurrence)",
    "CREATE INDEX item_due ON item (chain_id, not_before, sequence) WHERE state = 'created'",
    "CREATE INDEX item_nonce ON item (chain_id, signer, nonce) WHERE nonce IS NOT NULL",
    "CREATE INDEX item_silent ON item (sent_at) WHERE state IN ('assigned', 'submitted')",
    # the newest fact about each transaction that concerns us
    """
    CREATE TABLE observation (
        chain_id bigint NOT NULL,
        tx_hash text NOT NULL,
        version bigint NOT NULL,
        status text NOT NULL CHECK (status IN ('included', 'final', 'orphaned')),
        sender text NOT NULL,
        nonce bigint NOT NULL,
        succeeded boolean NOT NULL,
        block_number bigint NOT NULL,
        block_hash text NOT NULL,
        PRIMARY KEY (chain_id, tx_hash)
    )
    """,
    "CREATE INDEX observation_sender ON observation (chain_id, sender, nonce)",
    "CREATE INDEX observation_height ON observation (chain_id, block_number) WHERE status <> 'orphaned'",
    # what the escrow said about executions; a row counts while its block is that of the newest fact
    """
    CREATE TABLE execution_log (
        chain_id bigint NOT NULL,
        tx_hash text NOT NULL,
        block_hash text NOT NULL,
        log_index bigint NOT NULL,
        order_hash text NOT NULL,
        occurrence bigint NOT NULL,
        executed boolean NOT NULL,
        amount numeric(78, 0) NOT NULL,
        fee numeric(78, 0) NOT NULL,
        reason bytea NOT NULL,
        PRIMARY KEY (chain_id, tx_hash, block_hash, log_index)
    )
    """,
    "CREATE INDEX execution_log_occurrence ON execution_log (chain_id, order_hash, occurrence)",
)


def upgrade() -> None:
    """Create the chassis's tables, the audit log and settlement's own."""
    for statement in (*chassis_statements(), *audit_statements()):
        op.execute(statement)
    for statement in _STATEMENTS:
        op.execute(statement)
