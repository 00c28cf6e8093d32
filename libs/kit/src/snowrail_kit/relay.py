"""The outbox relay: numbers, publishes and forgets what use cases committed (money-safety rules 4, 6, 7).

An event's row is written once. The numbers of a batch are committed before it is published: a row of
`outbox_run` for each sequence, and one of `outbox_flight` that names these. The flight ends with the next
batch's numbers. A relay that begins publishes first what is in flight, under the numbers it has.

One relay per database is active, holding a session advisory lock on the connection it works with; the
others wait. It reads past the position it has seen. Commit order is not position order, so every position
that it passes without seeing its row is kept as a gap, and looked for until no transaction that could fill
it can still be open.
"""

import asyncio
import time
from collections import defaultdict
from collections.abc import Sequence
from contextlib import suppress

import structlog
from opentelemetry import context as otel_context

from snowrail_kit.bus import EVENTS_STREAM, FEED_STREAM, PUBLISH_ERRORS, Bus, OutgoingMessage, encode_headers
from snowrail_kit.database import TRANSACTION_TIMEOUT_SECONDS, TRANSIENT_ERRORS, Connection, Database, Row
from snowrail_kit.delivery import Envelope
from snowrail_kit.pull import gather_seconds
from snowrail_kit.telemetry import RELAY_SECONDS, RELAYED, context_of

log = structlog.get_logger("relay")

RELAY_LOCK = 0x0_5E0_0001
_IDLE_POLL_FIRST_SECONDS = 0.05
_IDLE_POLL_LAST_SECONDS = 1.0
_FAILURE_PAUSE_SECONDS = 0.5
_LOCK_RETRY_SECONDS = 2.0
GAP_KEEP_SECONDS = 2 * TRANSACTION_TIMEOUT_SECONDS
"""Beyond this, whoever took a position has committed it or never will."""

_IN_FLIGHT = """
SELECT outbox.position, outbox.created_at, event_id, subject, outbox.sequence_key,
       first + ordinal - 1 AS sequence, aggregate_id, aggregate_version, causation_id, traceparent, payload
FROM outbox_flight, unnest(sequence_keys, firsts) AS flying (sequence_key, first)
JOIN outbox_run AS run USING (sequence_key, first)
CROSS JOIN LATERAL unnest(positions) WITH ORDINALITY AS numbered (position, ordinal)
JOIN outbox ON outbox.position = numbered.position
           AND outbox.created_at BETWEEN run.created_at AND run.last_created_at
ORDER BY outbox.position
"""

_LAND = """
WITH landed AS (DELETE FROM outbox_flight) SELECT set_config('synchronous_commit', 'off', true)
"""
"""Losing this in a crash only has its batch published again, under the same ids and numbers."""

_NUMBER = """
WITH landed AS (
    DELETE FROM outbox_flight
), claimed AS MATERIALIZED (
    SELECT found.*, row_number() OVER (PARTITION BY sequence_key ORDER BY position) AS offset_in_key
    FROM (
        (SELECT position, created_at, event_id, subject, sequence_key, aggregate_id, aggregate_version,
                causation_id, traceparent, payload
         FROM outbox WHERE position > $1 ORDER BY position LIMIT $2)
        UNION ALL
        (SELECT position, created_at, event_id, subject, sequence_key, aggregate_id, aggregate_version,
                causation_id, traceparent, payload
         FROM outbox_gap JOIN outbox USING (position) ORDER BY position LIMIT $2)
    ) AS found
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
), runs AS (
    INSERT INTO outbox_run (sequence_key, first, positions, created_at, last_created_at)
    SELECT sequence_key, min(sequence), array_agg(position ORDER BY position), min(created_at),
           max(created_at)
    FROM numbered GROUP BY sequence_key
    RETURNING sequence_key, first
), flight AS (
    INSERT INTO outbox_flight (sequence_keys, firsts)
    SELECT array_agg(sequence_key), array_agg(first) FROM runs HAVING count(*) > 0
), filled AS (
    DELETE FROM outbox_gap
    WHERE position IN (SELECT position FROM claimed) OR noticed_at < now() - make_interval(secs => $3)
), passed AS (
    INSERT INTO outbox_gap (position, noticed_at)
    SELECT skipped, now() FROM generate_series($1 + 1, (SELECT max(position) FROM claimed)) AS skipped
    WHERE skipped NOT IN (SELECT position FROM claimed)
), progress AS (
    UPDATE outbox_progress SET seen = (SELECT max(position) FROM claimed)
    WHERE seen < (SELECT max(position) FROM claimed)
)
SELECT * FROM numbered ORDER BY position
"""


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
        self._followed = asyncio.Event()
        self._stopping = False

    def wake(self) -> None:
        """Say that rows were committed."""
        self._wakeup.set()

    def follow(self) -> None:
        """Say that a batch of messages has committed: what it wrote is a batch to publish, as it is."""
        self._followed.set()

    def stop(self) -> None:
        """Have `run` return once the outbox is empty, or at its next failure."""
        self._stopping = True
        self._wakeup.set()
        self._followed.set()

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
        """Number, commit, publish, batch after batch; a flight ends with the next batch's numbers."""
        pause = _IDLE_POLL_FIRST_SECONDS
        # plans are made while the tables are empty and kept: they must not read whole tables later; made anew
        # for each batch, as the planner prefers while tables grow, they cost more than the batch itself
        await connection.execute("SET enable_seqscan = off; SET plan_cache_mode = force_generic_plan")
        rows = await connection.fetch(_IN_FLIGHT)
        seen = int(await connection.fetchval("SELECT seen FROM outbox_progress") or 0)
        while True:
            started = time.monotonic()
            if rows:
                await self._publish(rows)
                pause = _IDLE_POLL_FIRST_SECONDS
                if not self._wakeup.is_set():
                    await connection.execute(_LAND)
                    rows = []
                if len(rows) < self._batch_rows and not self._stopping:
                    await self._gather(gather_seconds(len(rows), time.monotonic() - started))
            self._wakeup.clear()
            self._followed.clear()
            rows = await connection.fetch(_NUMBER, seen, self._batch_rows, GAP_KEEP_SECONDS)
            if rows:
                seen = max(seen, rows[-1]["position"])
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

    async def _gather(self, seconds: float) -> None:
        """Let more rows come, until a batch of messages has brought its own.

        The consumer has rested before that batch; resting for it here too would only delay it.
        """
        with suppress(TimeoutError):
            await asyncio.wait_for(self._followed.wait(), timeout=seconds)

    async def _pause(self, seconds: float) -> None:
        try:
            await asyncio.wait_for(self._wakeup.wait(), timeout=seconds)
        except TimeoutError:
            return


async def _release_lock(connection: Connection) -> None:
    with suppress(*TRANSIENT_ERRORS):  # a connection that is lost has given up its locks
        await connection.execute("SELECT pg_advisory_unlock($1)", RELAY_LOCK)
