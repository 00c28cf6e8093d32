"""Reads for people: pages of a user's intents, and what they add up to."""

from datetime import datetime
from uuid import UUID

from snowrail_intent.domain.intents import Intent
from snowrail_intent.store.intents import SELECT_INTENTS, to_intent
from snowrail_kit.database import Connection, Row

_NEWEST = f"""
{SELECT_INTENTS}
WHERE user_id = $1 AND ($2::text IS NULL OR status = $2)
  AND ($3::timestamptz IS NULL OR (created_at, intent.intent_id) < ($3, $4))
ORDER BY created_at DESC, intent.intent_id DESC LIMIT $5
"""

_DELAYED = f"""
{SELECT_INTENTS}
WHERE user_id = $1
  AND (status IN ('delayed', 'awaiting_funds', 'awaiting_approval')
       OR (status = 'due' AND reason IS NOT NULL))
  AND ($2::timestamptz IS NULL OR (created_at, intent.intent_id) < ($2, $3))
ORDER BY created_at DESC, intent.intent_id DESC LIMIT $4
"""

_UPCOMING = f"""
{SELECT_INTENTS}
WHERE user_id = $1 AND not_before > $2 AND slot < slots
  AND status IN ('awaiting_authorisation', 'awaiting_funds', 'awaiting_approval', 'armed', 'delayed', 'due')
  AND ($3::timestamptz IS NULL OR (not_before, intent.intent_id) > ($3, $4))
ORDER BY not_before, intent.intent_id LIMIT $5
"""

_OVERVIEW = """
SELECT status, token, count(*) AS intents, sum(amount * next_occurrence) AS paid_amount,
    sum(amount * (slots - slot + (status = 'due')::integer)) AS open_amount,
    count(*) FILTER (WHERE paused) AS paused, count(*) FILTER (WHERE recurrence IS NOT NULL) AS recurring
FROM intent WHERE ($1::uuid IS NULL OR user_id = $1) AND created_at >= $2
GROUP BY status, token ORDER BY status, token
"""

_DELAY_REASONS = """
SELECT reason, count(*) AS intents
FROM intent WHERE ($1::uuid IS NULL OR user_id = $1) AND created_at >= $2 AND reason IS NOT NULL
  AND status IN ('delayed', 'awaiting_funds', 'awaiting_approval', 'due')
GROUP BY reason ORDER BY intents DESC, reason
"""


async def newest(
    connection: Connection,
    user_id: UUID,
    status: str | None,
    after_at: datetime | None,
    after_id: UUID | None,
    limit: int,
) -> list[Intent]:
    """Return a user's intents, newest first, after a position."""
    rows = await connection.fetch(_NEWEST, user_id, status, after_at, after_id, limit)
    return [to_intent(row) for row in rows]


async def delayed(
    connection: Connection, user_id: UUID, after_at: datetime | None, after_id: UUID | None, limit: int
) -> list[Intent]:
    """Return a user's authorised intents that something holds up, newest first, after a position."""
    rows = await connection.fetch(_DELAYED, user_id, after_at, after_id, limit)
    return [to_intent(row) for row in rows]


async def upcoming(
    connection: Connection,
    user_id: UUID,
    now: datetime,
    after_at: datetime | None,
    after_id: UUID | None,
    limit: int,
) -> list[Intent]:
    """Return a user's intents that are scheduled after now, soonest first, after a position."""
    rows = await connection.fetch(_UPCOMING, user_id, now, after_at, after_id, limit)
    return [to_intent(row) for row in rows]


async def overview(connection: Connection, user_id: UUID | None, since: datetime) -> list[Row]:
    """Return how many intents of a user, or of all, are in which state, with their atoms by token."""
    return await connection.fetch(_OVERVIEW, user_id, since)


async def delay_reasons(connection: Connection, user_id: UUID | None, since: datetime) -> dict[str, int]:
    """Return how many authorised intents of a user, or of all, are held up for which reason."""
    rows = await connection.fetch(_DELAY_REASONS, user_id, since)
    return {row["reason"]: row["intents"] for row in rows}
