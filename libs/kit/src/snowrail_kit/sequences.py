"""Losses of the bus are seen and healed (money-safety rule 7).

A producer announces, per subject, the lowest number its outbox still holds and the highest it has published.
Each consumer compares that with its inbox; a number that stays missing is asked for again, and the producer
republishes it from the outbox under its old id. Announcements and requests are plain NATS messages: losing
one costs a few seconds, nothing else.
"""

from collections.abc import Sequence
from datetime import timedelta

import orjson
import structlog
from nats.aio.msg import Msg

from snowrail_kit.bus import PUBLISH_ERRORS, Bus
from snowrail_kit.clock import Clock
from snowrail_kit.database import TRANSIENT_ERRORS, Database
from snowrail_kit.relay import outgoing
from snowrail_kit.telemetry import HOLES, HOLES_ALARM, REPUBLISHED

log = structlog.get_logger("sequences")

ANNOUNCE_EVERY_SECONDS = 2.0
SWEEP_EVERY_SECONDS = 2.0
HOLE_SETTLES_SECONDS = 5
"""How long a number may be missing before it is asked for: messages in flight are not lost."""
ASK_AGAIN_SECONDS = 10
ALARM_AFTER_SECONDS = 60
REPUBLISH_LIMIT_EVENTS = 1_000
SWEEP_WINDOW_NUMBERS = 50_000

_ANNOUNCEMENT = """
SELECT counter.sequence_key,
       coalesce((SELECT min(first) FROM outbox_run WHERE sequence_key = counter.sequence_key),
                counter.last + 1) AS lowest,
       coalesce(flying.first - 1, counter.last) AS highest
FROM outbox_sequence AS counter
LEFT JOIN (SELECT unnest(sequence_keys) AS sequence_key, unnest(firsts) AS first FROM outbox_flight) AS flying
     USING (sequence_key)
"""

_KEPT = """
SELECT event_id, outbox.created_at, subject, outbox.sequence_key, asked.sequence, aggregate_id,
       aggregate_version, causation_id, traceparent, payload
FROM (SELECT DISTINCT unnest($2::bigint[]) AS sequence ORDER BY 1 LIMIT $3) AS asked
CROSS JOIN LATERAL (
    SELECT first, positions, created_at, last_created_at FROM outbox_run
    WHERE sequence_key = $1 AND first <= asked.sequence ORDER BY first DESC LIMIT 1
) AS run
JOIN outbox ON outbox.position = run.positions[asked.sequence - run.first + 1]
           AND outbox.created_at BETWEEN run.created_at AND run.last_created_at
ORDER BY asked.sequence
"""

_ADVANCE = """
WITH known AS (
    INSERT INTO inbox_watermark AS mark (producer, sequence_key, contiguous) VALUES ($1, $2, $3 - 1)
    ON CONFLICT (producer, sequence_key) DO UPDATE SET contiguous = greatest(mark.contiguous, $3 - 1)
    RETURNING contiguous
), window_end AS (
    SELECT least($4, contiguous + $5) AS last FROM known
), missing AS (
    SELECT number FROM known, window_end, generate_series(contiguous + 1, last) AS number
    EXCEPT
    SELECT sequence FROM inbox, known, window_end
    WHERE producer = $1 AND sequence_key = $2 AND sequence BETWEEN contiguous + 1 AND last
), recorded AS (
    INSERT INTO inbox_hole (producer, sequence_key, sequence, seen_at)
    SELECT $1, $2, number, $6 FROM missing ORDER BY number LIMIT $7
    ON CONFLICT DO NOTHING
)
SELECT (SELECT contiguous FROM known) AS contiguous,
       coalesce((SELECT min(number) - 1 FROM missing), (SELECT last FROM window_end)) AS reached
"""

_CLOSE = """
DELETE FROM inbox_hole AS hole WHERE producer = $1 AND sequence_key = $2 AND (sequence < $3 OR EXISTS (
    SELECT 1 FROM inbox WHERE inbox.producer = hole.producer AND inbox.sequence_key = hole.sequence_key
    AND inbox.sequence = hole.sequence))
"""

_DUE = """
UPDATE inbox_hole SET requested_at = $3 WHERE (producer, sequence_key, sequence) IN (
    SELECT producer, sequence_key, sequence FROM inbox_hole
    WHERE producer = $1 AND sequence_key = $2 AND seen_at < $4 AND (requested_at IS NULL OR requested_at < $5)
    ORDER BY sequence LIMIT $6)
RETURNING sequence
"""


class Sequences:
    """Announces a producer's numbers, answers requests for them, and finds the holes in what it consumes."""

    def __init__(
        self, service: str, consumed: Sequence[str], bus: Bus, database: Database, clock: Clock
    ) -> None:
        self._service = service
        self._consumed = frozenset(consumed)
        self._bus = bus
        self._database = database
        self._clock = clock
        self._announced: dict[str, dict[str, tuple[int, int]]] = {}

    async def start(self, producers: Sequence[str]) -> None:
        """Listen for requests to republish, and to the announcements of these producers."""
        await self._bus.client.subscribe(
            f"republish.{self._service}", cb=self._on_request, pending_msgs_limit=100
        )
        for producer in producers:
            await self._bus.client.subscribe(
                f"announce.{producer}", cb=self._on_announcement, pending_msgs_limit=100
            )

    async def announce(self) -> None:
        """Publish the lowest kept and the highest published number of each subject."""
        rows = await self._database.fetch(_ANNOUNCEMENT)
        numbers = {row["sequence_key"]: [row["lowest"], row["highest"]] for row in rows}
        if numbers:
            await self._bus.client.publish(
                f"announce.{self._service}", orjson.dumps({"producer": self._service, "numbers": numbers})
            )

    async def _on_announcement(self, message: Msg) -> None:
        body = orjson.loads(message.data)
        self._announced[body["producer"]] = {
            key: (lowest, highest)
            for key, (lowest, highest) in body["numbers"].items()
            if key in self._consumed
        }

    async def sweep(self) -> None:
        """Look for holes below what was announced, ask for those that stay, alarm for those that are old."""
        for producer, numbers in list(self._announced.items()):
            for key, (lowest, highest) in numbers.items():
                await self._sweep_subject(producer, key, lowest, highest)
            await self._report(producer)

    async def _sweep_subject(self, producer: str, key: str, lowest: int, highest: int) -> None:
        now = self._clock.now()
        async with self._database.transaction() as connection:
            row = await connection.fetchrow(
                _ADVANCE, producer, key, lowest, highest, SWEEP_WINDOW_NUMBERS, now, REPUBLISH_LIMIT_EVENTS
            )
            assert row is not None, "the statement always returns its watermark"
            if row["reached"] > row["contiguous"]:
                await connection.execute(
                    "UPDATE inbox_watermark SET contiguous = $3 WHERE producer = $1 AND sequence_key = $2",
                    producer,
                    key,
                    row["reached"],
                )
            await connection.execute(_CLOSE, producer, key, lowest)
            due = await connection.fetch(
                _DUE,
                producer,
                key,
                now,
                now - timedelta(seconds=HOLE_SETTLES_SECONDS),
                now - timedelta(seconds=ASK_AGAIN_SECONDS),
                REPUBLISH_LIMIT_EVENTS,
            )
        if due:
            request = {"subject": key, "sequences": sorted(row["sequence"] for row in due)}
            log.warning("asking for missing events", producer=producer, subject=key, count=len(due))
            await self._bus.client.publish(f"republish.{producer}", orjson.dumps(request))

    async def _report(self, producer: str) -> None:
        row = await self._database.fetch_row(
            "SELECT count(*) AS holes, coalesce(bool_or(seen_at < $2), false) AS old"
            " FROM inbox_hole WHERE producer = $1",
            producer,
            self._clock.now() - timedelta(seconds=ALARM_AFTER_SECONDS),
        )
        assert row is not None, "an aggregate always returns a row"
        HOLES.labels(producer).set(row["holes"])
        HOLES_ALARM.labels(producer).set(1 if row["old"] else 0)

    async def _on_request(self, message: Msg) -> None:
        try:
            body = orjson.loads(message.data)
            await self.republish(str(body["subject"]), [int(number) for number in body["sequences"]])
        except (ValueError, KeyError, TypeError) as error:
            log.warning("unreadable request to republish", error=str(error))
        except (*TRANSIENT_ERRORS, *PUBLISH_ERRORS) as error:
            log.warning("could not republish", error=str(error) or type(error).__name__)

    async def republish(self, subject: str, sequences: Sequence[int]) -> int:
        """Publish events again under their old ids and numbers. Returns how many the outbox still held."""
        rows = await self._database.fetch(_KEPT, subject, list(sequences), REPUBLISH_LIMIT_EVENTS)
        if rows:
            await self._bus.publish_batch([outgoing(row, self._service, deduplicate=False) for row in rows])
            REPUBLISHED.inc(len(rows))
        return len(rows)
