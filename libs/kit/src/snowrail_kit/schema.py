"""The chassis's own tables, created by each service's first migration."""

_STATEMENTS = (
    """
    CREATE TABLE outbox (
        position bigint GENERATED ALWAYS AS IDENTITY,
        created_at timestamptz NOT NULL DEFAULT now(),
        event_id uuid NOT NULL,
        subject text NOT NULL,
        sequence_key text NOT NULL,
        sequence bigint,
        aggregate_id text NOT NULL,
        aggregate_version bigint NOT NULL,
        causation_id uuid,
        traceparent text,
        payload bytea NOT NULL,
        sent_at timestamptz,
        PRIMARY KEY (created_at, position)
    ) PARTITION BY RANGE (created_at)
    """,
    "CREATE TABLE outbox_default PARTITION OF outbox DEFAULT",
    "CREATE INDEX outbox_unsent ON outbox (position) WHERE sent_at IS NULL",
    "CREATE INDEX outbox_numbered ON outbox (sequence_key, sequence) WHERE sequence IS NOT NULL",
    """
    CREATE TABLE outbox_flight (
        positions bigint[] NOT NULL,
        created_ats timestamptz[] NOT NULL,
        sequence_keys text[] NOT NULL,
        sequences bigint[] NOT NULL
    )
    """,
    "CREATE TABLE outbox_sequence (sequence_key text PRIMARY KEY, last bigint NOT NULL)",
    """
    CREATE TABLE inbox (
        consumer text NOT NULL,
        event_id uuid NOT NULL,
        producer text NOT NULL,
        sequence_key text NOT NULL,
        sequence bigint,
        received_at timestamptz NOT NULL DEFAULT now(),
        PRIMARY KEY (consumer, event_id)
    )
    """,
    "CREATE INDEX inbox_numbered ON inbox (producer, sequence_key, sequence)",
    """
    CREATE TABLE inbox_watermark (
        producer text NOT NULL,
        sequence_key text NOT NULL,
        contiguous bigint NOT NULL,
        PRIMARY KEY (producer, sequence_key)
    )
    """,
    """
    CREATE TABLE inbox_hole (
        producer text NOT NULL,
        sequence_key text NOT NULL,
        sequence bigint NOT NULL,
        seen_at timestamptz NOT NULL,
        requested_at timestamptz,
        PRIMARY KEY (producer, sequence_key, sequence)
    )
    """,
    """
    CREATE TABLE parked_message (
        event_id uuid PRIMARY KEY,
        key text NOT NULL,
        reason text NOT NULL,
        subject text NOT NULL,
        producer text NOT NULL,
        aggregate_version bigint NOT NULL,
        causation_id uuid,
        traceparent text,
        body bytea NOT NULL,
        attempts integer NOT NULL DEFAULT 0,
        parked_at timestamptz NOT NULL,
        next_try_at timestamptz NOT NULL
    )
    """,
    "CREATE INDEX parked_message_due ON parked_message (next_try_at)",
    "CREATE INDEX parked_message_key ON parked_message (key)",
    """
    CREATE TABLE dead_letter (
        dead_letter_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        event_id uuid,
        subject text NOT NULL,
        headers jsonb NOT NULL,
        body bytea NOT NULL,
        reason text NOT NULL,
        died_at timestamptz NOT NULL,
        replayed_at timestamptz
    )
    """,
    "CREATE INDEX dead_letter_waiting ON dead_letter (died_at) WHERE replayed_at IS NULL",
    """
    CREATE TABLE idempotency_key (
        user_id uuid NOT NULL,
        endpoint text NOT NULL,
        key text NOT NULL,
        fingerprint bytea NOT NULL,
        status integer NOT NULL,
        body bytea NOT NULL,
        created_at timestamptz NOT NULL,
        PRIMARY KEY (user_id, endpoint, key)
    )
    """,
    """
    CREATE FUNCTION outbox_maintain(ahead_days integer, keep_days integer) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = public AS $$
    DECLARE
        day date;
        partition record;
        unsent boolean;
    BEGIN
        FOR day IN SELECT current_date + n FROM generate_series(1, ahead_days) AS n LOOP
            IF to_regclass('outbox_' || to_char(day, 'YYYYMMDD')) IS NULL THEN
                EXECUTE format('CREATE TABLE %I PARTITION OF outbox FOR VALUES FROM (%L) TO (%L)',
                               'outbox_' || to_char(day, 'YYYYMMDD'), day, day + 1);
            END IF;
        END LOOP;
        FOR partition IN
            SELECT relname FROM pg_inherits JOIN pg_class ON pg_class.oid = inhrelid
            WHERE inhparent = 'outbox'::regclass AND relname ~ '^outbox_[0-9]{8}$'
              AND relname < 'outbox_' || to_char(current_date - keep_days, 'YYYYMMDD')
        LOOP
            EXECUTE format('SELECT EXISTS (SELECT 1 FROM %I WHERE sent_at IS NULL)', partition.relname)
                INTO unsent;
            IF NOT unsent THEN
                EXECUTE format('DROP TABLE %I', partition.relname);
            END IF;
        END LOOP;
        DELETE FROM outbox_default WHERE sent_at IS NOT NULL AND created_at < current_date - keep_days;
    END $$
    """,
)


def chassis_statements() -> tuple[str, ...]:
    """Return the DDL of the chassis's tables, in order."""
    return _STATEMENTS
