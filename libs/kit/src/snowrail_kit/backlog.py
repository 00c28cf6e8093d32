"""What a service has not done yet, measured by every replica, also while relay and consumer stand still."""

from snowrail_kit.bus import EVENTS_STREAM, Bus
from snowrail_kit.database import Database
from snowrail_kit.telemetry import (
    CONSUMER_FLOOR,
    CONSUMER_PENDING,
    DEAD_LETTERS_WAITING,
    OUTBOX_OLDEST_SECONDS,
    OUTBOX_UNSENT,
    PARKED,
)

BACKLOG_EVERY_SECONDS = 15.0

_MEASURE = """
SELECT count(*) AS unsent,
       coalesce(extract(epoch FROM now() - min(created_at)), 0)::float8 AS oldest_seconds,
       (SELECT count(*) FROM parked_message) AS parked,
       (SELECT count(*) FROM dead_letter WHERE replayed_at IS NULL) AS dead
FROM outbox_unsent
"""


async def measure_backlog(database: Database, bus: Bus, consumer: str | None) -> None:
    """Set the gauges of outbox, waiting table and dead letters, and of the durable consumer, if any."""
    async with database.transaction() as connection:
        # plans are made while the tables are empty and kept: they must not read whole tables later
        await connection.execute("SET LOCAL enable_seqscan = off")
        row = await connection.fetchrow(_MEASURE)
    assert row is not None, "an aggregate always returns a row"
    OUTBOX_UNSENT.set(row["unsent"])
    OUTBOX_OLDEST_SECONDS.set(row["oldest_seconds"])
    PARKED.set(row["parked"])
    DEAD_LETTERS_WAITING.set(row["dead"])
    if consumer is None:
        return
    info = await bus.jetstream.consumer_info(EVENTS_STREAM, consumer)
    CONSUMER_PENDING.set((info.num_pending or 0) + (info.num_ack_pending or 0))
    CONSUMER_FLOOR.set(info.ack_floor.consumer_seq if info.ack_floor else 0)
