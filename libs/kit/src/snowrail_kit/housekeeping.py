"""What keeps the chassis's tables bounded: outbox partitions by age, old inbox rows below the watermark."""

from datetime import timedelta

from snowrail_kit.clock import Clock
from snowrail_kit.database import Database

OUTBOX_KEEP_DAYS = 30
OUTBOX_AHEAD_DAYS = 2
INBOX_KEEP_DAYS = 45
"""Longer than outbox and streams keep an event, so that no copy can come back after its row is gone."""
_INBOX_DELETE_ROWS = 50_000

_PRUNE_INBOX = """
DELETE FROM inbox WHERE (consumer, event_id) IN (
    SELECT consumer, event_id FROM inbox LEFT JOIN inbox_watermark USING (producer, sequence_key)
    WHERE received_at < $1 AND (sequence IS NULL OR sequence <= contiguous) LIMIT $2)
"""


async def housekeep(database: Database, clock: Clock) -> None:
    """Make partitions ahead, drop old ones whose rows were all sent, prune the inbox."""
    async with database.connection() as connection:
        await connection.execute("SELECT outbox_maintain($1, $2)", OUTBOX_AHEAD_DAYS, OUTBOX_KEEP_DAYS)
        cutoff = clock.now() - timedelta(days=INBOX_KEEP_DAYS)
        await connection.execute(_PRUNE_INBOX, cutoff, _INBOX_DELETE_ROWS)
