"""Losses of the bus are seen and healed (money-safety rule 7).

A producer announces, per subject, the lowest number its outbox still holds and the highest it has published.
Each consumer compares that with its inbox; a number that stays missing is asked for again, and the producer
republishes it from the outbox under its old id. Announcements and requests are plain NATS messages: losing
one costs a few seconds, nothing else.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import orjson
import structlog
from nats.aio.msg import Msg

from snowrail_kit.bus import PUBLISH_ERRORS, Bus
from snowrail_kit.clock import Clock
from snowrail_kit.database import TRANSIENT_ERRORS, Connection, Database
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

_RAISE = """
INSERT INTO inbox_watermark AS mark (producer, sequence_key, contiguous)
SELECT producer, sequence_key, lowest - 1
FROM unnest($1::text[], $2::text[], $3::bigint[]) AS announced (producer, sequence_key, lowest)
ON CONFLICT (producer, sequence_key) DO UPDATE SET contiguous = EXCLUDED.contiguous
WHERE mark.contiguous < EXCLUDED.contiguous
"""

_ADVANCE = """
WITH span AS MATERIALIZED (
    SELECT producer, sequence_key, contiguous + 1 AS first, least(highest, contiguous + $4) AS last
    FROM unnest($1::text[], $2::text[], $3::bigint[]) AS announced (producer, sequence_key, highest)
    JOIN inbox_watermark USING (producer, sequence_key)
    WHERE highest > contiguous
), missing AS MATERIALIZED (
    SELECT producer, sequence_key, number FROM span CROSS JOIN LATERAL (
        SELECT generate_series(span.first, span.last) AS number
        EXCEPT
        SELECT unnest(numbers) FROM inbox_run AS run
        WHERE run.producer = span.producer AND run.sequence_key = span.sequence_key
          AND run.first <= span.last AND run.last >= span.first
        ORDER BY number LIMIT $6
    ) AS absent
), recorded AS (
    INSERT INTO inbox_hole (producer, sequence_key, sequence, seen_at)
    SELECT producer, sequence_key, number, $5 FROM missing
    ON CONFLICT DO NOTHING
)
UPDATE inbox_watermark AS mark SET contiguous = reached
FROM (
    SELECT producer, sequence_key, coalesce(min(number) - 1, last) AS reached
    FROM span LEFT JOIN missing USING (producer, sequence_key) GROUP BY producer, sequence_key, last
) AS swept
WHERE mark.producer = swept.producer AND mark.sequence_key = swept.sequence_key AND reached > contiguous
"""

_CLOSE = """
DELETE FROM inbox_hole AS hole
USING unnest($1::text[], $2::text[], $3::bigint[]) AS announced (producer, sequence_key, lowest)
JOIN inbox_watermark AS mark USING (producer, sequence_key)
WHERE hole.producer = announced.producer AND hole.sequence_key = announced.sequence_key
  AND (sequence < lowest OR sequence <= contiguous OR EXISTS (
    SELECT 1 FROM inbox_run AS run
    WHERE run.producer = hole.producer AND run.sequence_key = hole.sequence_key
      AND sequence BETWEEN first AND last AND sequence = ANY(numbers)))
"""

_FORGET_RUNS = """
DELETE FROM inbox_run AS run USING inbox_watermark AS mark
WHERE run.producer = mark.producer AND run.sequence_key = mark.sequence_key AND run.last <= mark.contiguous
"""

_DUE = """
UPDATE inbox_hole SET requested_at = $3 WHERE (producer, sequence_key, sequence) IN (
    SELECT producer, sequence_key, sequence FROM inbox_hole
    JOIN unnest($1::text[], $2::text[]) AS announced (producer, sequence_key) USING (producer, sequence_key)
    WHERE seen_at < $4 AND (requested_at IS NULL OR requested_at < $5)
    ORDER BY seen_at, sequence LIMIT $6)
RETURNING producer, sequence_key, sequence
"""


@dataclass(frozen=True, slots=True)
class Announced:
    """The numbers of a subject that its producer still holds: from `lowest` to `highest`."""

    producer: str
    subject: str
    lowest: int
    highest: int


async def numbers_to_ask_for(
    connection: Connection, announced: Sequence[Announced], now: datetime
) -> dict[tuple[str, str], list[int]]:
    """Compare what was announced with the inbox; return the numbers to ask for now, by producer and subject.

    Remembers how far each subject is complete, which numbers above that are missing, and when they were asked
    for. To be called in a transaction, by one process at a time.
    """
    producers = [item.producer for item in announced]
    subjects = [item.subject for item in announced]
    lowest = [item.lowest for item in announced]
    highest = [item.highest for item in announced]
    await connection.execute(_RAISE, producers, subjects, lowest)
    await connection.execute(
        _ADVANCE, producers, subjects, highest, SWEEP_WINDOW_NUMBERS, now, REPUBLISH_LIMIT_EVENTS
    )
    await connection.execute(_CLOSE, producers, subjects, lowest)
    await connection.execute(_FORGET_RUNS)
    due = await connection.fetch(
        _DUE,
        producers,
        subjects,
        now,
        now - timedelta(seconds=HOLE_SETTLES_SECONDS),
        now - timedelta(seconds=ASK_AGAIN_SECONDS),
        REPUBLISH_LIMIT_EVENTS,
    )
    missing: defaultdict[tuple[str, str], list[int]] = defaultdict(list)
    for row in due:
        missing[row["producer"], row["sequence_key"]].append(row["sequence"])
    return missing


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
        now = self._clock.now()
        announced = [
            Announced(producer, key, lowest, highest)
            for producer, numbers in self._announced.items()
            for key, (lowest, highest) in numbers.items()
        ]
        if not announced:
            return
        async with self._database.transaction() as connection:
            missing = await numbers_to_ask_for(connection, announced, now)
        for (producer, key), numbers in missing.items():
            log.warning("asking for missing events", producer=producer, subject=key, count=len(numbers))
            request = {"subject": key, "sequences": sorted(numbers)}
            await self._bus.client.publish(f"republish.{producer}", orjson.dumps(request))
        await self._report(now)

    async def _report(self, now: datetime) -> None:
        rows = await self._database.fetch(
            "SELECT producer, count(*) AS holes, bool_or(seen_at < $1) AS old"
            " FROM inbox_hole GROUP BY producer",
            now - timedelta(seconds=ALARM_AFTER_SECONDS),
        )
        holes = {row["producer"]: row for row in rows}
        for producer in self._announced:
            row = holes.get(producer)
            HOLES.labels(producer).set(row["holes"] if row else 0)
            HOLES_ALARM.labels(producer).set(1 if row and row["old"] else 0)

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
