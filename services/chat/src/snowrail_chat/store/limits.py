"""What users have used of their rate limits."""

from collections.abc import Mapping
from datetime import datetime
from uuid import UUID

from snowrail_chat.domain.limits import Use
from snowrail_kit.unit_of_work import Transaction

Bucket = tuple[UUID, str]

_LOCK = """
INSERT INTO command_use AS known (user_id, bucket, started_at, used, used_before)
SELECT user_id, bucket, $3::timestamptz, 0, 0 FROM unnest($1::uuid[], $2::text[]) AS wanted (user_id, bucket)
ORDER BY user_id, bucket
ON CONFLICT (user_id, bucket) DO UPDATE SET used = known.used
RETURNING user_id, bucket, started_at, used, used_before
"""

_SAVE = """
UPDATE command_use SET started_at = new.started_at, used = new.used, used_before = new.used_before
FROM unnest($1::uuid[], $2::text[], $3::timestamptz[], $4::integer[], $5::integer[])
     AS new (user_id, bucket, started_at, used, used_before)
WHERE command_use.user_id = new.user_id AND command_use.bucket = new.bucket
"""

_PRUNE = """
DELETE FROM command_use WHERE (user_id, bucket) IN (
    SELECT user_id, bucket FROM command_use WHERE started_at < $1 LIMIT $2)
"""


async def lock(tx: Transaction, buckets: set[Bucket]) -> dict[Bucket, Use]:
    """Return what was used, locked until the transaction ends so that no other replica takes the same."""
    ordered = list(buckets)
    rows = await tx.fetch(_LOCK, [user for user, _ in ordered], [name for _, name in ordered], tx.now)
    return {
        (row["user_id"], row["bucket"]): Use(row["started_at"], row["used"], row["used_before"])
        for row in rows
    }


async def save(tx: Transaction, uses: Mapping[Bucket, Use]) -> None:
    """Store what is used now."""
    items = list(uses.items())
    await tx.execute(
        _SAVE,
        [user for (user, _), _ in items],
        [name for (_, name), _ in items],
        [use.started_at for _, use in items],
        [use.used for _, use in items],
        [use.used_before for _, use in items],
    )


async def prune(tx: Transaction, before: datetime, limit: int) -> bool:
    """Forget windows that began before a time. Returns whether there may be more."""
    status = await tx.connection.execute(_PRUNE, before, limit)
    return status == f"DELETE {limit}"
