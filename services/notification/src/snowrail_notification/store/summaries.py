"""What moved for whom, and which weeks were summed up."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from uuid import UUID

from snowrail_kit.database import Row
from snowrail_kit.unit_of_work import Transaction


@dataclass(frozen=True, slots=True)
class Movement:
    """A payment as one of its two users sees it. `amount` in atoms of `token`."""

    payment_id: UUID
    user_id: UUID
    sent: bool
    token: str
    amount: int
    moved_at: datetime


async def record(tx: Transaction, movements: Sequence[Movement]) -> None:
    """Remember movements, each once."""
    await tx.execute(
        "INSERT INTO movement SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::boolean[], $4::text[],"
        " $5::numeric[], $6::timestamptz[]) ON CONFLICT DO NOTHING",
        [item.payment_id for item in movements],
        [item.user_id for item in movements],
        [item.sent for item in movements],
        [item.token for item in movements],
        [item.amount for item in movements],
        [item.moved_at for item in movements],
    )


async def time_zones(tx: Transaction) -> list[str]:
    """Return the time zones that users live in."""
    return [row["time_zone"] for row in await tx.fetch("SELECT DISTINCT time_zone FROM known_user")]


async def begin(
    tx: Transaction, time_zone: str, monday: date, since: datetime, until: datetime, limit: int
) -> list[UUID]:
    """Take users of a time zone whose week was not summed up and in which something moved; each once."""
    rows = await tx.fetch(
        "INSERT INTO summarised_week SELECT user_id, $2 FROM known_user AS person WHERE time_zone = $1"
        " AND NOT EXISTS (SELECT 1 FROM summarised_week AS done"
        "                 WHERE done.user_id = person.user_id AND done.monday = $2)"
        " AND EXISTS (SELECT 1 FROM movement WHERE movement.user_id = person.user_id"
        "             AND moved_at >= $3 AND moved_at < $4)"
        " ORDER BY user_id LIMIT $5 ON CONFLICT DO NOTHING RETURNING user_id",
        time_zone,
        monday,
        since,
        until,
        limit,
    )
    return [row["user_id"] for row in rows]


async def totals(tx: Transaction, user_ids: Sequence[UUID], since: datetime, until: datetime) -> list[Row]:
    """Return what users sent and received, by token."""
    return await tx.fetch(
        "SELECT user_id, sent, token, sum(amount) AS amount, count(*) AS payments FROM movement"
        " WHERE user_id = ANY($1::uuid[]) AND moved_at >= $2 AND moved_at < $3"
        " GROUP BY user_id, sent, token ORDER BY user_id, sent, token",
        list(user_ids),
        since,
        until,
    )


async def prune(tx: Transaction, before: datetime, limit: int) -> int:
    """Delete movements older than a time, a bounded number, and what is said of weeks long past."""
    await tx.execute("DELETE FROM summarised_week WHERE monday < $1::timestamptz::date", before)
    rows = await tx.fetch(
        "DELETE FROM movement WHERE (payment_id, user_id, sent) IN (SELECT payment_id, user_id, sent"
        " FROM movement WHERE moved_at < $1 ORDER BY moved_at LIMIT $2) RETURNING 1",
        before,
        limit,
    )
    return len(rows)
