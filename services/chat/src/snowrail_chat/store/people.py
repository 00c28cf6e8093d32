"""Users by name, and their address books."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from snowrail_chat.domain.views import Contact
from snowrail_kit.database import Database, Row
from snowrail_kit.unit_of_work import Transaction

RECENT_PAYMENTS = 200
"""How many of a user's latest payments are searched for payees to suggest."""


@dataclass(frozen=True, slots=True)
class Person:
    """A user as accounts described it last."""

    user_id: UUID
    handle: str
    address: str
    changed_at: datetime
    time_zone: str = "UTC"


@dataclass(frozen=True, slots=True)
class NewContact:
    """A contact on its way into an address book; `key` is the name as it is compared."""

    user_id: UUID
    key: str
    contact: Contact


@dataclass(frozen=True, slots=True)
class KnownAddress:
    """An address a user knows, and by what name."""

    name: str
    address: str


_SAVE_PEOPLE = """
INSERT INTO user_account AS known (user_id, handle, address, changed_at, time_zone)
SELECT * FROM unnest($1::uuid[], $2::text[], $3::text[], $4::timestamptz[], $5::text[])
ON CONFLICT (user_id) DO UPDATE
SET handle = EXCLUDED.handle, address = EXCLUDED.address, changed_at = EXCLUDED.changed_at,
    time_zone = EXCLUDED.time_zone
WHERE known.changed_at < EXCLUDED.changed_at
"""

_CONTACTS_NAMED = """
SELECT contact.user_id, contact.key, contact.name, contact.address, contact.handle
FROM unnest($1::uuid[], $2::text[]) AS wanted (user_id, key) JOIN contact USING (user_id, key)
"""

_LOOK_ALIKES = """
SELECT DISTINCT ON (wanted.user_id, wanted.address) wanted.user_id, wanted.address AS asked, known.name,
       known.address
FROM unnest($1::uuid[], $2::text[]) AS wanted (user_id, address)
JOIN LATERAL (
    SELECT name, address FROM contact WHERE contact.user_id = wanted.user_id
    UNION ALL
    SELECT '', recipient FROM payment
    WHERE payment.user_id = wanted.user_id AND payment.status = 'succeeded'
) AS known ON lower(left(known.address, 6)) = lower(left(wanted.address, 6))
    AND lower(right(known.address, 4)) = lower(right(wanted.address, 4))
    AND lower(known.address) <> lower(wanted.address)
WHERE NOT EXISTS (
    SELECT 1 FROM contact WHERE contact.user_id = wanted.user_id AND contact.address = wanted.address)
  AND NOT EXISTS (
    SELECT 1 FROM payment WHERE payment.user_id = wanted.user_id AND payment.recipient = wanted.address
                            AND payment.status = 'succeeded')
ORDER BY wanted.user_id, wanted.address, known.name DESC
"""
"""Same first and last four digits, as `snowrail_chain.addresses.is_look_alike` compares. What was saved
or paid before is known itself and imitates nobody."""

_ADD_CONTACTS = """
INSERT INTO contact (user_id, key, name, address, handle, added_at)
SELECT *, $6 FROM unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::text[])
ON CONFLICT (user_id, key) DO NOTHING
RETURNING user_id, key
"""

_REMOVE_CONTACTS = """
DELETE FROM contact USING unnest($1::uuid[], $2::text[]) AS unwanted (user_id, key)
WHERE contact.user_id = unwanted.user_id AND contact.key = unwanted.key
RETURNING contact.user_id, contact.key
"""


async def save_people(tx: Transaction, people: Sequence[Person]) -> None:
    """Store users, each at most once; what is older than what is known is left out."""
    await tx.execute(
        _SAVE_PEOPLE,
        [person.user_id for person in people],
        [person.handle for person in people],
        [person.address for person in people],
        [person.changed_at for person in people],
        [person.time_zone for person in people],
    )


async def people_named(tx: Transaction, handles: set[str]) -> dict[str, list[Person]]:
    """Return who goes by these names; more than one only while a name changes hands."""
    if not handles:
        return {}
    rows = await tx.fetch(
        "SELECT user_id, handle, address, changed_at FROM user_account WHERE handle = ANY($1::text[])",
        list(handles),
    )
    found: dict[str, list[Person]] = {}
    for row in rows:
        found.setdefault(row["handle"], []).append(Person(**row))
    return found


async def contacts_named(tx: Transaction, wanted: set[tuple[UUID, str]]) -> dict[tuple[UUID, str], Contact]:
    """Return contacts by owner and key."""
    if not wanted:
        return {}
    pairs = list(wanted)
    rows = await tx.fetch(_CONTACTS_NAMED, [user for user, _ in pairs], [key for _, key in pairs])
    return {(row["user_id"], row["key"]): _contact(row) for row in rows}


async def look_alikes(tx: Transaction, wanted: set[tuple[UUID, str]]) -> dict[tuple[UUID, str], KnownAddress]:
    """Return, by user and address, an address the user knows that it resembles without being it."""
    if not wanted:
        return {}
    pairs = list(wanted)
    rows = await tx.fetch(_LOOK_ALIKES, [user for user, _ in pairs], [address for _, address in pairs])
    return {(row["user_id"], row["asked"]): KnownAddress(row["name"], row["address"]) for row in rows}


async def contacts_of(tx: Transaction, user_ids: set[UUID]) -> dict[UUID, list[Contact]]:
    """Return the address books of users, in the order of names."""
    rows = await tx.fetch(
        "SELECT user_id, name, address, handle FROM contact WHERE user_id = ANY($1::uuid[]) ORDER BY key",
        list(user_ids),
    )
    books: dict[UUID, list[Contact]] = {}
    for row in rows:
        books.setdefault(row["user_id"], []).append(_contact(row))
    return books


async def contact_counts(tx: Transaction, user_ids: set[UUID]) -> dict[UUID, int]:
    """Return how many contacts users have."""
    rows = await tx.fetch(
        "SELECT user_id, count(*) AS contacts FROM contact WHERE user_id = ANY($1::uuid[]) GROUP BY user_id",
        list(user_ids),
    )
    return {row["user_id"]: row["contacts"] for row in rows}


async def add_contacts(tx: Transaction, contacts: Sequence[NewContact]) -> set[tuple[UUID, str]]:
    """Store contacts under names that are free. Returns owner and key of those stored."""
    rows = await tx.fetch(
        _ADD_CONTACTS,
        [new.user_id for new in contacts],
        [new.key for new in contacts],
        [new.contact.name for new in contacts],
        [new.contact.address for new in contacts],
        [new.contact.handle for new in contacts],
        tx.now,
    )
    return {(row["user_id"], row["key"]) for row in rows}


async def remove_contacts(tx: Transaction, unwanted: set[tuple[UUID, str]]) -> set[tuple[UUID, str]]:
    """Delete contacts. Returns owner and key of those that were there."""
    pairs = list(unwanted)
    rows = await tx.fetch(_REMOVE_CONTACTS, [user for user, _ in pairs], [key for _, key in pairs])
    return {(row["user_id"], row["key"]) for row in rows}


async def suggest_contacts(database: Database, user_id: UUID, prefix: str, limit: int) -> list[Row]:
    """Return contacts whose name begins with a prefix, in the order of names."""
    return await database.fetch(
        "SELECT name, address FROM contact WHERE user_id = $1 AND starts_with(key, $2) ORDER BY key LIMIT $3",
        user_id,
        prefix.casefold(),
        limit,
    )


async def suggest_payees(database: Database, user_id: UUID, prefix: str, limit: int) -> list[Row]:
    """Return those a user asked to pay, as @name or address beginning with a prefix, the latest first."""
    return await database.fetch(
        """
        SELECT name, recipient AS address FROM (
            SELECT CASE WHEN starts_with(recipient_label, '@') THEN recipient_label ELSE recipient END
                   AS name, recipient, created_at
            FROM intent WHERE user_id = $1 ORDER BY created_at DESC LIMIT $4
        ) AS paid
        WHERE starts_with(lower(name), lower($2))
        GROUP BY name, recipient ORDER BY max(created_at) DESC LIMIT $3
        """,
        user_id,
        prefix,
        limit,
        RECENT_PAYMENTS,
    )


def _contact(row: Row) -> Contact:
    return Contact(row["name"], row["address"], row["handle"])
