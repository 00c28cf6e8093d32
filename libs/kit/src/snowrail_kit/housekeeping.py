"""What keeps the chassis's tables bounded: outbox partitions by age, old inbox rows below the watermark."""

from datetime import timedelta

from snowrail_kit.clock import Clock
from snowrail_kit.database import Database
from snowrail_kit.ids import first_id_of

OUTBOX_KEEP_DAYS = 30
OUTBOX_AHEAD_DAYS = 2
INBOX_KEEP_DAYS = 45
"""Longer than outbox and streams keep an event, so that no copy can come back after its row is gone."""
_INBOX_DELETE_ROWS = 50_000

# Event ids are time-ordered or derived; the index on them leads to the old rows without reading the others.
# Derived ids lie above those of the present, but for a few that are kept.
_PRUNE_INBOX = """
DELETE FROM inbox WHERE consumer = $1 AND event_id IN (
    SELECT event_id FROM (
        (SELECT * FROM inbox WHERE consumer = $1 AND event_id < $3 AND received_at < $2
         ORDER BY event_id LIMIT $5)
        UNION ALL
        (SELECT * FROM inbox WHERE consumer = $1 AND event_id > $4 AND received_at < $2
         ORDER BY event_id LIMIT $5)
    ) AS old LEFT JOIN inbox_watermark USING (producer, sequence_key)
    WHERE sequence IS NULL OR sequence <= contiguous LIMIT $5)
"""


async def housekeep(database: Database, clock: Clock, service: str) -> bool:
    """Make partitions ahead, drop old ones whose rows were all sent, prune the inbox.

    Returns:
        Whether there may be more to prune.
    """
    async with database.connection() as connection:
        await connection.execute("SELECT outbox_maintain($1, $2)", OUTBOX_AHEAD_DAYS, OUTBOX_KEEP_DAYS)
        now = clock.now()
        cutoff = now - timedelta(days=INBOX_KEEP_DAYS)
        status = await connection.execute(
            _PRUNE_INBOX, service, cutoff, first_id_of(cutoff), first_id_of(now), _INBOX_DELETE_ROWS
        )
    return int(status.rsplit(" ", 1)[-1]) == _INBOX_DELETE_ROWS
