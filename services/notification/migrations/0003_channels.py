"""Channels: where users are reached and what is on its way there; quiet hours, alerts, summaries."""

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_STATEMENTS = (
    "ALTER TABLE known_user ADD COLUMN time_zone text NOT NULL DEFAULT 'UTC'",
    "ALTER TABLE known_user ADD COLUMN roles text[] NOT NULL DEFAULT '{user}'",
    "ALTER TABLE notification ADD COLUMN in_app boolean NOT NULL DEFAULT true",
    "DROP INDEX notification_unread",
    "CREATE INDEX notification_unread ON notification (user_id) WHERE read_at IS NULL AND in_app",
    """
    CREATE TABLE quiet_hours (
        user_id uuid PRIMARY KEY,
        starts_at time NOT NULL,
        ends_at time NOT NULL CHECK (ends_at <> starts_at),
        changed_at timestamptz NOT NULL
    )
    """,
    """
    CREATE TABLE contact (
        contact_id uuid PRIMARY KEY,
        user_id uuid NOT NULL,
        channel text NOT NULL CHECK (channel IN ('email', 'telegram', 'web_push')),
        lookup bytea NOT NULL CHECK (length(lookup) = 32),
        sealed_address bytea NOT NULL,
        label text NOT NULL,
        created_at timestamptz NOT NULL,
        confirmed_at timestamptz,
        sent_at timestamptz
    )
    """,
    "COMMENT ON COLUMN contact.sealed_address IS"
    " 'Address, chat or subscription: AES-256-GCM, bound to the contact. Found by its keyed hash, `lookup`.'",
    "CREATE UNIQUE INDEX contact_confirmed ON contact (channel, lookup) WHERE confirmed_at IS NOT NULL",
    "CREATE INDEX contact_of_user ON contact (user_id)",
    "CREATE INDEX contact_unconfirmed ON contact (created_at) WHERE confirmed_at IS NULL",
    """
    CREATE TABLE delivery (
        delivery_id uuid PRIMARY KEY,
        contact_id uuid NOT NULL REFERENCES contact (contact_id) ON DELETE CASCADE,
        channel text NOT NULL,
        notification_id uuid REFERENCES notification (notification_id) ON DELETE CASCADE,
        content jsonb NOT NULL,
        priority text NOT NULL,
        state text NOT NULL CHECK (state IN ('pending', 'sending', 'sent', 'failed', 'unknown')),
        revision integer NOT NULL DEFAULT 1,
        attempts smallint NOT NULL DEFAULT 0,
        due_at timestamptz NOT NULL,
        claimed_at timestamptz,
        provider_reference text,
        error text,
        created_at timestamptz NOT NULL,
        finished_at timestamptz,
        UNIQUE (notification_id, contact_id),
        CHECK ((state = 'sending') = (claimed_at IS NOT NULL))
    )
    """,
    "COMMENT ON COLUMN delivery.revision IS"
    " 'Grows when the content changes: what was sent is edited. Only answers change.'",
    "CREATE INDEX delivery_due ON delivery (channel, due_at) WHERE state = 'pending'",
    "CREATE INDEX delivery_claimed ON delivery (channel, claimed_at) WHERE state = 'sending'",
    "CREATE INDEX delivery_of_contact ON delivery (contact_id)",
    "CREATE INDEX delivery_by_age ON delivery (created_at)",
    """
    CREATE TABLE provider (
        channel text PRIMARY KEY,
        resumes_at timestamptz NOT NULL
    )
    """,
    "COMMENT ON TABLE provider IS"
    " 'From when on the next message may be handed to a provider: its rate limit, and Retry-After.'",
    """
    CREATE TABLE telegram_link (
        link_id uuid PRIMARY KEY,
        user_id uuid NOT NULL,
        expires_at timestamptz NOT NULL,
        used_at timestamptz
    )
    """,
    "CREATE INDEX telegram_link_expiry ON telegram_link (expires_at)",
    "CREATE TABLE telegram_update (update_id bigint PRIMARY KEY, received_at timestamptz NOT NULL)",
    "CREATE INDEX telegram_update_age ON telegram_update (received_at)",
    """
    CREATE TABLE price_alert (
        alert_id uuid PRIMARY KEY,
        user_id uuid NOT NULL,
        symbol text NOT NULL,
        currency text NOT NULL,
        comparison text NOT NULL CHECK (comparison IN ('above', 'below')),
        price numeric NOT NULL CHECK (price > 0),
        state text NOT NULL CHECK (state IN ('armed', 'fired', 'deleted')),
        version bigint NOT NULL,
        created_at timestamptz NOT NULL,
        changed_at timestamptz NOT NULL,
        fired_price numeric
    )
    """,
    "CREATE INDEX price_alert_armed ON price_alert (symbol, currency) WHERE state = 'armed'",
    "CREATE INDEX price_alert_of_user ON price_alert (user_id)",
    """
    CREATE TABLE known_price (
        symbol text NOT NULL,
        currency text NOT NULL,
        price numeric NOT NULL,
        observed_at timestamptz NOT NULL,
        PRIMARY KEY (symbol, currency)
    )
    """,
    """
    CREATE TABLE movement (
        payment_id uuid NOT NULL,
        user_id uuid NOT NULL,
        sent boolean NOT NULL,
        token text NOT NULL,
        amount numeric(78, 0) NOT NULL,
        moved_at timestamptz NOT NULL,
        PRIMARY KEY (payment_id, user_id, sent)
    )
    """,
    "CREATE INDEX movement_of_user ON movement (user_id, moved_at)",
    "CREATE INDEX movement_by_age ON movement (moved_at)",
    """
    CREATE TABLE summarised_week (
        user_id uuid NOT NULL,
        monday date NOT NULL,
        PRIMARY KEY (user_id, monday)
    )
    """,
)


def upgrade() -> None:
    for statement in _STATEMENTS:
        op.execute(statement)
