"""Users, intents, notifications and preferences: tables and SQL."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import orjson

from snowrail_events import UserRegisteredV1, UserUpdatedV1
from snowrail_kit.database import Database, Row
from snowrail_kit.unit_of_work import Transaction
from snowrail_notification.domain.catalogue import CATALOGUE
from snowrail_notification.domain.intents import IntentState
from snowrail_notification.domain.wording import Message

_SAVE_USERS = """
INSERT INTO known_user AS known (user_id, address, handle, is_admin, changed_at, time_zone, roles)
SELECT DISTINCT ON (user_id) user_id, address, handle, 'admin' = ANY(string_to_array(roles, ',')), changed_at,
       time_zone, string_to_array(roles, ',')
FROM unnest($1::uuid[], $2::text[], $3::text[], $4::timestamptz[], $5::text[], $6::text[])
     AS new (user_id, address, handle, changed_at, time_zone, roles)
ORDER BY user_id, changed_at DESC
ON CONFLICT (user_id) DO UPDATE
SET address = EXCLUDED.address, handle = EXCLUDED.handle, is_admin = EXCLUDED.is_admin,
    changed_at = EXCLUDED.changed_at, time_zone = EXCLUDED.time_zone, roles = EXCLUDED.roles
WHERE known.changed_at <= EXCLUDED.changed_at
"""

_SAVE_INTENTS = """
INSERT INTO known_intent AS known (intent_id, version, status, reason)
SELECT * FROM unnest($1::uuid[], $2::bigint[], $3::text[], $4::text[])
ON CONFLICT (intent_id) DO UPDATE
SET version = EXCLUDED.version, status = EXCLUDED.status, reason = EXCLUDED.reason
WHERE known.version < EXCLUDED.version
"""

_INSERT = """
INSERT INTO notification (notification_id, user_id, type, title, message, icon, priority, data, actions,
                          dismissible, in_app, created_at)
SELECT notification_id, user_id, type, title, message, icon, priority, data, actions::jsonb, dismissible,
       in_app, $12
FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::jsonb[],
            $9::text[], $10::boolean[], $11::boolean[])
     AS new (notification_id, user_id, type, title, message, icon, priority, data, actions, dismissible,
             in_app)
ON CONFLICT DO NOTHING
RETURNING notification_id
"""

_MARK_READ = """
WITH asked AS (
    SELECT * FROM unnest($1::uuid[], $2::uuid[]) AS asked (user_id, notification_id)
)
UPDATE notification SET read_at = $4
FROM (SELECT user_id, notification_id FROM asked
      UNION SELECT user_id, notification_id FROM notification
            WHERE user_id = ANY($3::uuid[]) AND read_at IS NULL AND in_app) AS marked
WHERE notification.notification_id = marked.notification_id AND notification.user_id = marked.user_id
  AND notification.read_at IS NULL AND notification.in_app
RETURNING notification.user_id, notification.notification_id
"""

_LIST = """
SELECT * FROM notification
WHERE user_id = $1 AND in_app AND ($2::timestamptz IS NULL OR (created_at, notification_id) < ($2, $3))
  AND (NOT $4 OR read_at IS NULL) AND ($5::text IS NULL OR type = $5) AND ($6::text IS NULL OR priority = $6)
ORDER BY created_at DESC, notification_id DESC LIMIT $7
"""


@dataclass(frozen=True, slots=True)
class KnownUser:
    """A user as far as they are told things."""

    user_id: UUID
    address: str
    handle: str


@dataclass(frozen=True, slots=True)
class Person:
    """A user as far as they can act."""

    user_id: UUID
    address: str
    handle: str
    roles: tuple[str, ...]


async def save_users(tx: Transaction, events: Sequence[UserRegisteredV1 | UserUpdatedV1]) -> None:
    """Keep the newest record of each user."""
    await tx.execute(
        _SAVE_USERS,
        [event.user_id for event in events],
        [event.address for event in events],
        [event.handle for event in events],
        [event.changed_at for event in events],
        [event.time_zone for event in events],
        [",".join(event.roles) for event in events],
    )


async def intent_states(tx: Transaction, intent_ids: Iterable[UUID]) -> dict[UUID, IntentState]:
    """Return what was last heard of intents, locked in the order of their ids."""
    rows = await tx.fetch(
        "SELECT intent_id, version, status, reason FROM known_intent"
        " WHERE intent_id = ANY($1::uuid[]) ORDER BY intent_id FOR UPDATE",
        list(intent_ids),
    )
    return {row["intent_id"]: IntentState(row["version"], row["status"], row["reason"]) for row in rows}


async def save_intent_states(tx: Transaction, states: Mapping[UUID, IntentState]) -> None:
    """Keep what was last heard of intents; what is older than what is known is left out."""
    await tx.execute(
        _SAVE_INTENTS,
        list(states),
        [state.version for state in states.values()],
        [state.status for state in states.values()],
        [state.reason for state in states.values()],
    )


async def users_by_address(tx: Transaction, addresses: Iterable[str]) -> dict[str, KnownUser]:
    """Return users by their address."""
    rows = await tx.fetch("SELECT * FROM known_user WHERE address = ANY($1::text[])", list(set(addresses)))
    return {row["address"]: KnownUser(row["user_id"], row["address"], row["handle"]) for row in rows}


async def person(tx: Transaction, user_id: UUID) -> Person | None:
    """Return a user with their roles."""
    row = await tx.fetch_row("SELECT * FROM known_user WHERE user_id = $1", user_id)
    return Person(user_id, row["address"], row["handle"], tuple(row["roles"])) if row is not None else None


async def administrators(tx: Transaction) -> list[UUID]:
    """Return the users who administer."""
    return [row["user_id"] for row in await tx.fetch("SELECT user_id FROM known_user WHERE is_admin")]


async def insert(tx: Transaction, messages: dict[UUID, Message], in_app: Collection[UUID]) -> set[UUID]:
    """Insert notifications by id and return the ids of those that did not exist.

    Args:
        in_app: those that are shown in the application; others only go out over channels.
    """
    kinds = [CATALOGUE[item.type] for item in messages.values()]
    actions = [
        [{"label": action.label, "command": action.command, "style": action.style} for action in item.actions]
        for item in messages.values()
    ]
    rows = await tx.fetch(
        _INSERT,
        list(messages),
        [item.user_id for item in messages.values()],
        [item.type.value for item in messages.values()],
        [item.title for item in messages.values()],
        [item.message for item in messages.values()],
        [kind.icon for kind in kinds],
        [kind.priority.value for kind in kinds],
        [item.data for item in messages.values()],
        [orjson.dumps(item).decode() for item in actions],
        [kind.dismissible for kind in kinds],
        [identifier in in_app for identifier in messages],
        tx.now,
    )
    return {row["notification_id"] for row in rows}


async def mark_read(
    tx: Transaction, named: Sequence[tuple[UUID, UUID]], all_of: Sequence[UUID]
) -> dict[UUID, list[UUID]]:
    """Mark (user, notification) pairs, and all of some users, as read. Returns what changed by user."""
    rows = await tx.fetch(
        _MARK_READ, [user for user, _ in named], [item for _, item in named], list(all_of), tx.now
    )
    changed: dict[UUID, list[UUID]] = {}
    for row in rows:
        changed.setdefault(row["user_id"], []).append(row["notification_id"])
    return changed


async def unread_counts(tx: Transaction, user_ids: Iterable[UUID]) -> dict[UUID, int]:
    """Return how many notifications users have not read; users without any are left out."""
    rows = await tx.fetch(
        "SELECT user_id, count(*) AS unread FROM notification"
        " WHERE user_id = ANY($1::uuid[]) AND read_at IS NULL AND in_app GROUP BY user_id",
        list(user_ids),
    )
    return {row["user_id"]: row["unread"] for row in rows}


async def page(
    database: Database,
    user_id: UUID,
    after: tuple[datetime, UUID] | None,
    unread_only: bool,
    type_: str | None,
    priority: str | None,
    limit: int,
) -> list[Row]:
    """Return a user's notifications, newest first, one more than the limit where there are more."""
    at, row_id = after or (None, None)
    return await database.fetch(_LIST, user_id, at, row_id, unread_only, type_, priority, limit + 1)


async def prune(tx: Transaction, before: datetime, limit: int) -> int:
    """Delete notifications older than a time, a bounded number. Returns how many."""
    rows = await tx.fetch(
        "DELETE FROM notification WHERE notification_id IN (SELECT notification_id FROM notification"
        " WHERE created_at < $1 ORDER BY created_at LIMIT $2) RETURNING 1",
        before,
        limit,
    )
    return len(rows)
