"""What a service has received: duplicates, waiting messages and dead letters, always in its own database."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import orjson
from nats.aio.msg import Msg

from snowrail_kit.database import Connection, Row
from snowrail_kit.delivery import Delivery, Outcome

PARKED_LIMIT_ROWS = 50_000
"""Waiting messages a service keeps; beyond that they go back to the bus with a delay."""
PARKED_ATTEMPTS = 200
_PARKED_FIRST_RETRY = timedelta(seconds=1)
_PARKED_LAST_RETRY = timedelta(seconds=60)

_REGISTER = """
WITH fresh AS (
    INSERT INTO inbox (consumer, event_id, producer, sequence_key, sequence)
    SELECT $1, event_id, producer, sequence_key, sequence
    FROM unnest($2::uuid[], $3::text[], $4::text[], $5::bigint[])
         AS received (event_id, producer, sequence_key, sequence)
    ON CONFLICT DO NOTHING
    RETURNING event_id, producer, sequence_key, sequence
), noted AS (
    INSERT INTO inbox_run (producer, sequence_key, first, last, numbers)
    SELECT producer, sequence_key, min(sequence), max(sequence), array_agg(sequence)
    FROM fresh WHERE sequence IS NOT NULL GROUP BY producer, sequence_key
)
SELECT event_id FROM fresh
"""

_FORGET = """
WITH forgotten AS (
    DELETE FROM inbox WHERE consumer = $1 AND event_id = ANY($2::uuid[])
    RETURNING producer, sequence_key, sequence
)
UPDATE inbox_run AS run SET numbers = array(
    SELECT unnest(numbers) EXCEPT SELECT sequence FROM forgotten
    WHERE forgotten.producer = run.producer AND forgotten.sequence_key = run.sequence_key)
WHERE EXISTS (SELECT 1 FROM forgotten WHERE forgotten.producer = run.producer
              AND forgotten.sequence_key = run.sequence_key AND sequence = ANY(numbers))
"""

_PARK = """
INSERT INTO parked_message AS parked (event_id, key, reason, subject, producer, aggregate_version,
                                      causation_id, traceparent, body, attempts, parked_at, next_try_at)
SELECT waiting.*, $11::timestamptz, $11::timestamptz + $12::interval
FROM unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::text[], $6::bigint[], $7::uuid[], $8::text[],
            $9::bytea[], $10::integer[])
     AS waiting (event_id, key, reason, subject, producer, version, causation_id, traceparent, body, attempts)
ON CONFLICT (event_id) DO UPDATE
SET key = EXCLUDED.key, reason = EXCLUDED.reason, attempts = EXCLUDED.attempts, failures = 0,
    parked_at = CASE WHEN parked.key = EXCLUDED.key THEN parked.parked_at ELSE EXCLUDED.parked_at END,
    next_try_at = CASE WHEN parked.key = EXCLUDED.key
        THEN EXCLUDED.parked_at + least(greatest(EXCLUDED.parked_at - parked.parked_at, $12), $13::interval)
        ELSE EXCLUDED.next_try_at END
"""

_CLAIM_PARKED = """
SELECT event_id, subject, producer, aggregate_version, causation_id, traceparent, body, attempts
FROM parked_message
WHERE next_try_at <= $1 AND NOT event_id = ANY($3::uuid[]) AND ($4::uuid IS NULL OR event_id = $4)
ORDER BY next_try_at LIMIT $2 FOR UPDATE SKIP LOCKED
"""

_BURY = """
INSERT INTO dead_letter (event_id, subject, headers, body, reason, died_at)
VALUES ($1, $2, $3, $4, $5, $6)
"""


async def register(
    connection: Connection, consumer: str, deliveries: Sequence[Delivery[Any]]
) -> list[Delivery[Any]]:
    """Insert events into the inbox and return those that were not there, in order of arrival.

    Only rows really inserted have effects (money-safety rule 5). A copy inside the batch counts once.
    """
    envelopes = [delivery.envelope for delivery in deliveries]
    rows = await connection.fetch(
        _REGISTER,
        consumer,
        [envelope.event_id for envelope in envelopes],
        [envelope.producer for envelope in envelopes],
        [envelope.subject for envelope in envelopes],
        [envelope.sequence for envelope in envelopes],
    )
    inserted = {row["event_id"] for row in rows}
    fresh: list[Delivery[Any]] = []
    for delivery in deliveries:
        if delivery.envelope.event_id in inserted:
            inserted.discard(delivery.envelope.event_id)
            fresh.append(delivery)
    return fresh


async def forget(connection: Connection, consumer: str, deliveries: Sequence[Delivery[Any]]) -> None:
    """Take events out of the inbox again: they will be redelivered."""
    await connection.execute(_FORGET, consumer, [delivery.envelope.event_id for delivery in deliveries])


async def park(connection: Connection, deliveries: Sequence[Delivery[Any]], now: datetime) -> None:
    """Keep messages that wait for something, to be tried again when woken, or after a pause.

    A wake-up that another transaction commits at the same time can be missed in one way only: it looked for
    messages that wait for its key before this one was committed as such. That is why the pause begins with a
    second and is then as long as the message has waited for the same key: if that transaction commits T
    seconds after the message began to wait, what it brought is found after another T seconds, or two for the
    first pause and the poll, at the latest. A message that is tried and goes on waiting for its key misses
    nothing: it is locked while it is tried, so a wake-up waits for the outcome and then finds it.
    """
    envelopes = [delivery.envelope for delivery in deliveries]
    await connection.execute(
        _PARK,
        [envelope.event_id for envelope in envelopes],
        [delivery.key for delivery in deliveries],
        [delivery.reason for delivery in deliveries],
        [envelope.subject for envelope in envelopes],
        [envelope.producer for envelope in envelopes],
        [envelope.version for envelope in envelopes],
        [envelope.causation_id for envelope in envelopes],
        [envelope.traceparent for envelope in envelopes],
        [delivery.body for delivery in deliveries],
        [0 if delivery.parked_attempts is None else delivery.parked_attempts + 1 for delivery in deliveries],
        now,
        _PARKED_FIRST_RETRY,
        _PARKED_LAST_RETRY,
    )


async def wake_parked(connection: Connection, keys: set[str], now: datetime) -> bool:
    """Make messages that wait for these keys due now. Returns whether there were any."""
    status = await connection.execute(
        "UPDATE parked_message SET next_try_at = $2 WHERE key = ANY($1::text[])", list(keys), now
    )
    return not status.endswith(" 0")


async def claim_parked(
    connection: Connection, now: datetime, limit: int, excluded: Sequence[UUID] = (), only: UUID | None = None
) -> list[Row]:
    """Lock due waiting messages, to be tried now; they stay in the table until `unpark`.

    Args:
        excluded: ids of those to be left there.
        only: the one to take, if it is due and nobody else holds it.
    """
    return await connection.fetch(_CLAIM_PARKED, now, limit, list(excluded), only)


async def unpark(connection: Connection, deliveries: Sequence[Delivery[Any]]) -> None:
    """Take messages that wait no longer out of the table."""
    await connection.execute(
        "DELETE FROM parked_message WHERE event_id = ANY($1::uuid[])",
        [delivery.envelope.event_id for delivery in deliveries],
    )


async def parked_is_full(connection: Connection) -> bool:
    """Return whether the waiting table has reached its bound."""
    count = await connection.fetchval(
        "SELECT count(*) FROM (SELECT 1 FROM parked_message LIMIT $1) AS bounded", PARKED_LIMIT_ROWS
    )
    return int(count or 0) >= PARKED_LIMIT_ROWS


async def bury(connection: Connection, delivery: Delivery[Any], reason: str, now: datetime) -> None:
    """Store a message among the dead letters with all that a replay needs."""
    envelope = delivery.envelope
    headers = {
        "producer": envelope.producer,
        "sequence": envelope.sequence,
        "version": envelope.version,
        "causation_id": str(envelope.causation_id) if envelope.causation_id else None,
        "traceparent": envelope.traceparent,
    }
    await connection.execute(
        _BURY, envelope.event_id, envelope.subject, headers, delivery.body, reason[:2_000], now
    )


async def bury_malformed(connection: Connection, message: Msg, reason: str, now: datetime) -> None:
    """Store a message that could not be read, as it came. Copies of it are stored once."""
    headers = {"raw": dict(message.headers or {})}
    body_known = await connection.fetchval(
        "SELECT EXISTS (SELECT 1 FROM dead_letter WHERE event_id IS NULL AND headers = $1 AND body = $2)",
        headers,
        message.data,
    )
    if not body_known:
        await connection.execute(_BURY, None, message.subject, headers, message.data, reason[:2_000], now)


async def revive(connection: Connection, dead_letter_ids: Sequence[int] | None, now: datetime) -> int:
    """Hand dead letters to the consumer again, through the waiting table. Returns how many.

    Args:
        dead_letter_ids: which ones; None for all that wait.
    """
    rows = await connection.fetch(
        """
        UPDATE dead_letter SET replayed_at = $2
        WHERE replayed_at IS NULL AND event_id IS NOT NULL
          AND ($1::bigint[] IS NULL OR dead_letter_id = ANY($1::bigint[]))
        RETURNING event_id, subject, headers, body
        """,
        dead_letter_ids,
        now,
    )
    for row in rows:
        headers: dict[str, Any] = row["headers"]
        await connection.execute(
            """
            INSERT INTO parked_message (event_id, key, reason, subject, producer, aggregate_version,
                                        causation_id, traceparent, body, parked_at, next_try_at)
            VALUES ($1, 'replay', 'replayed', $2, $3, $4, $5, $6, $7, $8, $8)
            ON CONFLICT (event_id) DO UPDATE SET next_try_at = EXCLUDED.next_try_at
            """,
            row["event_id"],
            row["subject"],
            headers["producer"],
            headers["version"],
            headers["causation_id"],
            headers["traceparent"],
            row["body"],
            now,
        )
    return len(rows)


def split_outcomes(
    deliveries: Sequence[Delivery[Any]],
) -> dict[Outcome, list[Delivery[Any]]]:
    """Group deliveries by what their handlers decided."""
    groups: dict[Outcome, list[Delivery[Any]]] = {outcome: [] for outcome in Outcome}
    for delivery in deliveries:
        groups[delivery.outcome].append(delivery)
    return groups


def encode_headers_json(headers: dict[str, Any]) -> str:
    """Return dead-letter headers as one line of JSON, for people."""
    return orjson.dumps(headers).decode()
