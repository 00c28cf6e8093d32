"""The outbox relay: numbers, publishes and marks what use cases committed (money-safety rules 4, 6, 7).

The numbers of a batch are committed, as one row of `outbox_flight`, before it is published, and written into
its events when they are marked as sent: each event's row is written twice, not three times. A relay that
begins publishes first what is in flight, under the numbers it has.

One relay per database is active, holding a session advisory lock on the connection it works with; the
others wait. It claims unsent rows rather than reading past a position, because commit order is not
position order.
"""

import asyncio
import time
from collections import defaultdict
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime

import structlog
from opentelemetry import context as otel_context

from snowrail_kit.bus import EVENTS_STREAM, FEED_STREAM, PUBLISH_ERRORS, Bus, OutgoingMessage, encode_headers
from snowrail_kit.database import TRANSIENT_ERRORS, Connection, Database, Row
from snowrail_kit.delivery import Envelope
from snowrail_kit.telemetry import OUTBOX_UNSENT, RELAY_SECONDS, RELAYED, context_of

log = structlog.get_logger("relay")

RELAY_LOCK = 0x0_5E0_0001
_IDLE_POLL_FIRST_SECONDS = 0.05
_IDLE_POLL_LAST_SECONDS = 1.0
_FAILURE_PAUSE_SECONDS = 0.5
_LOCK_RETRY_SECONDS = 2.0

_IN_FLIGHT = """
SELECT outbox.position, outbox.created_at, event_id, subject, sequence_key, flying.sequence, aggregate_id,
       aggregate_version, causation_id, traceparent, payload
FROM outbox_flight, unnest(positions, created_ats, sequences) AS flying (position, created_at, sequence)
JOIN outbox ON outbox.position = flying.position AND outbox.created_at = flying.created_at
ORDER BY outbox.position
"""

_MARKED = """
marked AS (
    UPDATE outbox SET sequence = landed.sequence, sent_at = now()
    FROM unnest($1::bigint[], $2::timestamptz[], $3::bigint[]) AS landed (position, created_at, sequence)
    WHERE outbox.position = landed.position AND outbox.created_at = landed.created_at
          AND outbox.created_at BETWEEN $4 AND $5  -- looks at one partition's index, and no further
), ended AS (
    DELETE FROM outbox_flight
)
"""

_MARK = f"WITH {_MARKED} SELECT set_config('synchronous_commit', 'off', true)"
"""Losing a mark in a crash only has its batch published again, under the same ids and numbers."""

_MARK_AND_NUMBER = f"""
WITH {_MARKED}, claimed AS MATERIALIZED (
    SELECT unsent.*, row_number() OVER (PARTITION BY sequence_key ORDER BY position) AS offset_in_key
    FROM (SELECT position, created_at, event_id, subject, sequence_key, aggregate_id, aggregate_version,
                 causation_id, traceparent, payload
          FROM outbox WHERE sent_at IS NULL AND position <> ALL ($1) ORDER BY position LIMIT $6) AS unsent
), counted AS (
    SELECT sequence_key, count(*) AS rows FROM claimed GROUP BY sequence_key
), counters AS (
    INSERT INTO outbox_sequence AS counter (sequence_key, last)
    SELECT sequence_key, rows FROM counted
    ON CONFLICT (sequence_key) DO UPDATE SET last = counter.last + EXCLUDED.last
    RETURNING sequence_key, last
), numbered AS MATERIALIZED (
    SELECT claimed.*, counters.last - counted.rows + offset_in_key AS sequence
    FROM claimed JOIN counters USING (sequence_key) JOIN counted USING (sequence_key)
), flight AS (
    INSERT INTO outbox_flight (positions, created_ats, sequence_keys, sequences)
    SELECT array_agg(position), array_agg(created_at), array_agg(sequence_key), array_agg(sequence)
    FROM numbered HAVING count(*) > 0
)
SELECT * FROM numbered ORDER BY position
"""  # noqa: S608 - made of constants


_Marks = tuple[list[int], list[datetime], list[int], datetime | None, datetime | None]


def _marks(rows: Sequence[Row]) -> _Marks:
    """Return which rows a batch holds, their numbers, and when the first and the last were written."""
    written = [row["created_at"] for row in rows]
    return (
        [row["position"] for row in rows],
        written,
        [row["sequence"] for row in rows],
        min(written, default=None),
        max(written, default=None),
    )


def outgoing(row: Row, producer: str, deduplicate: bool = True) -> OutgoingMessage:
    """Return an outbox row as the message to publish; the same bytes and id every time."""
    envelope = Envelope(
        event_id=row["event_id"],
        subject=row["sequence_key"],
        producer=producer,
        sequence=row["sequence"],
        version=row["aggregate_version"],
        causation_id=row["causation_id"],
        traceparent=row["traceparent"],
    )
    return OutgoingMessage(
        event_id=row["event_id"],
        subject=row["subject"],
        event_type=row["sequence_key"],
        headers=encode_headers(envelope, row["aggregate_id"], row["created_at"], deduplicate),
        payload=row["payload"],
    )


class Relay:
    """Publishes a service's outbox until stopped.

    `wake` is called in-process after each commit; polling from 50 ms backing off to 1 s is the fallback.
    """

    def __init__(self, producer: str, database: Database, bus: Bus, batch_rows: int) -> None:
        self._producer = producer
        self._database = database
        self._bus = bus
        self._batch_rows = batch_rows
        self._wakeup = asyncio.Event()
        self._stopping = False

    def wake(self) -> None:
        """Say that rows were committed."""
        self._wakeup.set()

    def stop(self) -> None:
        """Have `run` return once the outbox is empty, or at its next failure."""
        self._stopping = True
        self._wakeup.set()

    async def run(self) -> None:
        """Relay until `stop`. Failures are retried; nothing is marked that was not acknowledged."""
        while not self._stopping:
            try:
                async with self._database.connection() as connection:
                    if not await self._acquire_lock(connection):
                        await self._pause(_LOCK_RETRY_SECONDS)
                        continue
                    try:
                        await self._relay(connection)
                    finally:
                        await _release_lock(connection)
            except (*TRANSIENT_ERRORS, *PUBLISH_ERRORS) as error:
                log.warning("relay interrupted", error=str(error) or type(error).__name__)
                await self._pause(_FAILURE_PAUSE_SECONDS)

    async def _acquire_lock(self, connection: Connection) -> bool:
        return bool(await connection.fetchval("SELECT pg_try_advisory_lock($1)", RELAY_LOCK))

    async def _relay(self, connection: Connection) -> None:
        """Number, commit, publish, mark, batch after batch; the mark goes with the next batch's numbers."""
        pause = _IDLE_POLL_FIRST_SECONDS
        rows = await connection.fetch(_IN_FLIGHT)
        while True:
            started = time.monotonic()
            if rows:
                await self._publish(rows)
                pause = _IDLE_POLL_FIRST_SECONDS
                if not self._wakeup.is_set():
                    await connection.execute(_MARK, *_marks(rows))
                    rows = []
            self._wakeup.clear()
            rows = await connection.fetch(_MARK_AND_NUMBER, *_marks(rows), self._batch_rows)
            OUTBOX_UNSENT.set(len(rows))
            if rows:
                RELAY_SECONDS.observe(time.monotonic() - started)
                continue
            if self._stopping:
                return
            await self._pause(pause)
            pause = min(pause * 2, _IDLE_POLL_LAST_SECONDS)

    async def _publish(self, rows: Sequence[Row]) -> None:
        """Publish a numbered batch, each stream's events in order."""
        by_stream: dict[str, list[OutgoingMessage]] = defaultdict(list)
        for row in rows:
            message = outgoing(row, self._producer)
            by_stream[message.stream].append(message)
        for stream in (EVENTS_STREAM, FEED_STREAM):
            if messages := by_stream.get(stream):
                token = otel_context.attach(context_of(messages[0].headers.get("traceparent")))
                try:
                    mode = await self._bus.publish_batch(messages)
                finally:
                    otel_context.detach(token)
                RELAYED.labels(mode).inc(len(messages))

    async def _pause(self, seconds: float) -> None:
        try:
            await asyncio.wait_for(self._wakeup.wait(), timeout=seconds)
        except TimeoutError:
            return


async def _release_lock(connection: Connection) -> None:
    with suppress(*TRANSIENT_ERRORS):  # a connection that is lost has given up its locks
        await connection.execute("SELECT pg_advisory_unlock($1)", RELAY_LOCK)
