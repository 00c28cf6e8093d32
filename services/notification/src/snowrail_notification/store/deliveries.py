"""Deliveries: claimed before the effect, ended after it, resolved when a process died in between."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import orjson

from snowrail_kit.database import Database, Row
from snowrail_kit.unit_of_work import Transaction
from snowrail_notification.domain.deliveries import Next, State


@dataclass(frozen=True, slots=True)
class NewDelivery:
    """A message to a contact that is to be sent from a time on."""

    delivery_id: UUID
    contact_id: UUID
    channel: str
    notification_id: UUID | None
    content: dict[str, Any]
    priority: str
    due_at: datetime


@dataclass(frozen=True, slots=True)
class Claimed:
    """A delivery that this process attempts now."""

    delivery_id: UUID
    contact_id: UUID
    user_id: UUID
    sealed_address: bytes
    notification_id: UUID | None
    content: dict[str, Any]
    priority: str
    revision: int
    attempts: int
    provider_reference: str | None


_INSERT = """
INSERT INTO delivery (delivery_id, contact_id, channel, notification_id, content, priority, state, due_at,
                      created_at)
SELECT delivery_id, contact_id, channel, notification_id, content::jsonb, priority, 'pending', due_at, $8
FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::uuid[], $5::text[], $6::text[], $7::timestamptz[])
     AS new (delivery_id, contact_id, channel, notification_id, content, priority, due_at)
ON CONFLICT DO NOTHING
"""

_REVISE = """
INSERT INTO delivery AS known (delivery_id, contact_id, channel, content, priority, state, due_at, created_at)
VALUES ($1, $2, $3, $4::text::jsonb, $5, 'pending', $6, $6)
ON CONFLICT (delivery_id) DO UPDATE
SET content = EXCLUDED.content, revision = known.revision + 1, due_at = EXCLUDED.due_at,
    -- the attempt under way ends under its own number
    attempts = CASE WHEN known.state = 'sending' THEN known.attempts ELSE 0 END,
    state = CASE WHEN known.state = 'sending' THEN 'sending' ELSE 'pending' END, error = NULL,
    finished_at = NULL
WHERE known.content ->> 'at' < EXCLUDED.content ->> 'at'
"""

_TAKE_TURN = """
INSERT INTO provider AS known (channel, resumes_at) VALUES ($1, $2)
ON CONFLICT (channel) DO UPDATE SET resumes_at = known.resumes_at RETURNING resumes_at
"""

_CLAIM = """
WITH due AS (
    SELECT DISTINCT ON (delivery.contact_id) delivery_id, due_at, priority
    FROM delivery JOIN contact USING (contact_id)
    WHERE delivery.channel = $1 AND state = 'pending' AND due_at <= $2
      AND ($4::interval = '0'::interval OR contact.sent_at IS NULL OR contact.sent_at <= $2 - $4::interval)
      AND NOT EXISTS (SELECT 1 FROM delivery AS other WHERE other.contact_id = delivery.contact_id
                      AND other.state = 'sending')
    ORDER BY delivery.contact_id, priority = 'critical' DESC, due_at, delivery_id
), chosen AS (
    SELECT delivery.delivery_id FROM delivery JOIN due USING (delivery_id)
    WHERE delivery.state = 'pending' ORDER BY due.priority = 'critical' DESC, due.due_at LIMIT $3
    FOR UPDATE OF delivery SKIP LOCKED
), touched AS (
    UPDATE contact SET sent_at = $2
    WHERE contact_id IN (SELECT contact_id FROM delivery JOIN chosen USING (delivery_id))
)
UPDATE delivery SET state = 'sending', claimed_at = $2, attempts = attempts + 1
FROM chosen, contact
WHERE delivery.delivery_id = chosen.delivery_id AND contact.contact_id = delivery.contact_id
RETURNING delivery.delivery_id, delivery.contact_id, contact.user_id, contact.sealed_address,
          delivery.notification_id, delivery.content, delivery.priority, delivery.revision, delivery.attempts,
          delivery.provider_reference
"""

_END = """
UPDATE delivery
SET state = CASE WHEN revision > $3 AND $4 <> 'failed' THEN 'pending' ELSE $4 END,
    due_at = $5, claimed_at = NULL, error = $6, provider_reference = coalesce($7, provider_reference),
    attempts = CASE WHEN revision > $3 THEN 0 ELSE attempts END,
    finished_at = CASE WHEN $4 = 'pending' OR (revision > $3 AND $4 <> 'failed') THEN NULL
                       ELSE $8::timestamptz END
WHERE delivery_id = $1 AND state = 'sending' AND attempts = $2
RETURNING 1
"""


async def insert(tx: Transaction, deliveries: Sequence[NewDelivery]) -> None:
    """Store deliveries that do not exist."""
    if not deliveries:
        return
    await tx.execute(
        _INSERT,
        [item.delivery_id for item in deliveries],
        [item.contact_id for item in deliveries],
        [item.channel for item in deliveries],
        [item.notification_id for item in deliveries],
        [orjson.dumps(item.content).decode() for item in deliveries],
        [item.priority for item in deliveries],
        [item.due_at for item in deliveries],
        tx.now,
    )


async def revise(tx: Transaction, delivery: NewDelivery) -> None:
    """Store a delivery, or put newer content in the place of what it had; contents have their time, `at`."""
    await tx.execute(
        _REVISE,
        delivery.delivery_id,
        delivery.contact_id,
        delivery.channel,
        orjson.dumps(delivery.content).decode(),
        delivery.priority,
        tx.now,
    )


async def claim(
    tx: Transaction, channel: str, limit: int, per_second: float, contact_pause: timedelta
) -> list[Claimed]:
    """Put on record that due deliveries are attempted now: at most one for each contact.

    The provider's row is the turn of all replicas: who holds it takes as many as the rate allows and moves
    the time from which the next may be taken.
    """
    row = await tx.fetch_row(_TAKE_TURN, channel, tx.now)
    assert row is not None, "the statement always returns its row"
    if row["resumes_at"] > tx.now:
        return []
    rows = await tx.fetch(_CLAIM, channel, tx.now, limit, contact_pause)
    if rows:
        resumes_at = tx.now + timedelta(seconds=len(rows) / per_second)
        await tx.execute("UPDATE provider SET resumes_at = $2 WHERE channel = $1", channel, resumes_at)
    return [Claimed(**dict(row)) for row in rows]


async def end(tx: Transaction, claimed: Claimed, following: Next, error: str, reference: str | None) -> bool:
    """Store how an attempt ended. False when it was resolved without us meanwhile."""
    row = await tx.fetch_row(
        _END,
        claimed.delivery_id,
        claimed.attempts,
        claimed.revision,
        following.state.value,
        tx.now + following.pause,
        error or None,
        reference,
        tx.now,
    )
    return row is not None


async def rest_contact(tx: Transaction, contact_id: UUID) -> None:
    """Count the pause of a contact from now: a provider counts it from when the message reached it."""
    await tx.execute("UPDATE contact SET sent_at = $2 WHERE contact_id = $1", contact_id, tx.now)


async def hold_provider(tx: Transaction, channel: str, until: datetime) -> None:
    """Leave a provider alone until a time."""
    await tx.execute(
        "UPDATE provider SET resumes_at = greatest(resumes_at, $2) WHERE channel = $1", channel, until
    )


async def abandoned(tx: Transaction, channel: str, claimed_before: datetime, limit: int) -> list[Row]:
    """Return attempts that died with their process, locked."""
    return await tx.fetch(
        "SELECT delivery_id, priority, attempts FROM delivery WHERE channel = $1 AND state = 'sending'"
        " AND claimed_at < $2 ORDER BY claimed_at LIMIT $3 FOR UPDATE SKIP LOCKED",
        channel,
        claimed_before,
        limit,
    )


async def resolve(tx: Transaction, delivery_id: UUID, following: Next) -> None:
    """Store what follows an attempt that died with its process."""
    await tx.execute(
        "UPDATE delivery SET state = $2, due_at = $3, claimed_at = NULL, error = 'the process died',"
        " finished_at = CASE WHEN $2 = 'pending' THEN NULL ELSE $4::timestamptz END WHERE delivery_id = $1",
        delivery_id,
        following.state.value,
        tx.now + following.pause,
        tx.now,
    )


async def forget_contact(tx: Transaction, contact_id: UUID) -> None:
    """Forget a contact at which there is nobody any more, with all that was on its way there."""
    await tx.execute("DELETE FROM contact WHERE contact_id = $1", contact_id)


async def content_of(
    tx: Transaction, delivery_id: UUID, contact_id: UUID
) -> tuple[dict[str, Any], int] | None:
    """Return what a delivery to a contact says now, and its revision."""
    row = await tx.fetch_row(
        "SELECT content, revision FROM delivery WHERE delivery_id = $1 AND contact_id = $2",
        delivery_id,
        contact_id,
    )
    return (row["content"], row["revision"]) if row is not None else None


async def counts(database: Database) -> list[Row]:
    """Return how many deliveries each channel has in each state."""
    return await database.fetch("SELECT channel, state, count(*) AS count FROM delivery GROUP BY 1, 2")


async def prune(tx: Transaction, before: datetime, limit: int) -> int:
    """Delete ended deliveries older than a time, a bounded number. Returns how many."""
    rows = await tx.fetch(
        "DELETE FROM delivery WHERE delivery_id IN (SELECT delivery_id FROM delivery"
        " WHERE created_at < $1 AND state <> ALL($3::text[]) ORDER BY created_at LIMIT $2) RETURNING 1",
        before,
        limit,
        [State.PENDING.value, State.SENDING.value],
    )
    return len(rows)
