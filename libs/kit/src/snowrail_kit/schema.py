"""The chassis's own tables, created by each service's first migration."""

_APPENDED = "autovacuum_vacuum_insert_threshold = -1, autovacuum_analyze_threshold = 2147483647"
"""Rows that nobody changes are not worth a pass of the vacuum each time a fifth more has come, nor statistics
each time a tenth has: they are looked up by key or read in order, never selected by anything else."""

_STATEMENTS = (
    """
    CREATE TABLE outbox (
        position bigint GENERATED ALWAYS AS IDENTITY,
        created_at timestamptz NOT NULL DEFAULT now(),
        event_id uuid NOT NULL,
        subject text NOT NULL,
        sequence_key text NOT NULL,
        aggregate_id text NOT NULL,
        aggregate_version bigint NOT NULL,
        causation_id uuid,
        traceparent text,
        payload bytea NOT NULL,
        PRIMARY KEY (position, created_at)
    ) PARTITION BY RANGE (created_at)
    """,
    # payloads are read once, soon: kept in the row, not compressed and set apart
    f"CREATE TABLE outbox_default PARTITION OF outbox DEFAULT WITH (toast_tuple_target = 8160, {_APPENDED})",
    # consecutive numbers of one sequence, given to the rows at these positions in this order
    """
    CREATE TABLE outbox_run (
        sequence_key text NOT NULL,
        first bigint NOT NULL,
        positions bigint[] NOT NULL,
        created_at timestamptz NOT NULL,
        last_created_at timestamptz NOT NULL,
        PRIMARY KEY (sequence_key, first, created_at)
    ) PARTITION BY RANGE (created_at)
    """,
    f"CREATE TABLE outbox_run_default PARTITION OF outbox_run DEFAULT WITH ({_APPENDED})",
    """
    CREATE VIEW outbox_number AS
    SELECT sequence_key, first + ordinal - 1 AS sequence, position, created_at
    FROM outbox_run CROSS JOIN LATERAL unnest(positions) WITH ORDINALITY AS numbered (position, ordinal)
    """,
    "CREATE TABLE outbox_progress (seen bigint NOT NULL)",
    "INSERT INTO outbox_progress (seen) VALUES (0)",
    "CREATE TABLE outbox_gap (position bigint PRIMARY KEY, noticed_at timestamptz NOT NULL)",
    "CREATE TABLE outbox_flight (sequence_keys text[] NOT NULL, firsts bigint[] NOT NULL)",
    """
    CREATE VIEW outbox_unsent AS
    SELECT position, created_at FROM outbox WHERE position > (SELECT seen FROM outbox_progress)
    UNION ALL SELECT position, created_at FROM outbox_gap JOIN outbox USING (position)
    UNION ALL SELECT unnest(positions), created_at
    FROM outbox_flight, unnest(sequence_keys, firsts) AS flying (sequence_key, first)
    JOIN outbox_run USING (sequence_key, first)
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
    f"ALTER TABLE inbox SET ({_APPENDED})",
    # the numbers that one batch brought of a sequence, kept until all below the last of them are there
    """
    CREATE TABLE inbox_run (
        producer text NOT NULL,
        sequence_key text NOT NULL,
        first bigint NOT NULL,
        last bigint NOT NULL,
        numbers bigint[] NOT NULL
    )
    """,
    "CREATE INDEX inbox_run_of_sequence ON inbox_run (producer, sequence_key, first)",
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
        failures integer NOT NULL DEFAULT 0,
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
        parent text;
        day date;
        partition text;
        options text;
        oldest_unsent timestamptz;
    BEGIN
        SELECT min(created_at) INTO oldest_unsent FROM outbox_unsent;
        -- in the order in which the relay locks them
        FOREACH parent IN ARRAY ARRAY['outbox', 'outbox_run'] LOOP
            SELECT array_to_string(reloptions, ', ') INTO options
            FROM pg_class WHERE oid = (parent || '_default')::regclass;
            FOR day IN SELECT current_date + n FROM generate_series(1, ahead_days) AS n LOOP
                partition := parent || '_' || to_char(day, 'YYYYMMDD');
                IF to_regclass(partition) IS NULL THEN
                    EXECUTE format('CREATE TABLE %I PARTITION OF %I FOR VALUES FROM (%L) TO (%L) WITH (%s)',
                                   partition, parent, day, day + 1, options);
                END IF;
            END LOOP;
            FOR partition, day IN
                SELECT relname, to_date(right(relname, 8), 'YYYYMMDD')
                FROM pg_inherits JOIN pg_class ON pg_class.oid = inhrelid
                WHERE inhparent = parent::regclass AND relname ~ '_[0-9]{8}$'
            LOOP
                IF day < current_date - keep_days AND day + 1 <= coalesce(oldest_unsent, now()) THEN
                    EXECUTE format('DROP TABLE %I', partition);
                END IF;
            END LOOP;
            EXECUTE format('DELETE FROM %I WHERE created_at < least($1, $2)', parent || '_default')
                USING current_date - keep_days, oldest_unsent;
        END LOOP;
    END $$
    """,
)


def chassis_statements() -> tuple[str, ...]:
    """Return the DDL of the chassis's tables, in order."""
    return _STATEMENTS
