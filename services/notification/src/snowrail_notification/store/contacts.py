"""Where users can be reached, and the links by which they say so."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from snowrail_kit.database import Database
from snowrail_kit.unit_of_work import Transaction


@dataclass(frozen=True, slots=True)
class StoredContact:
    """A contact without its address."""

    contact_id: UUID
    user_id: UUID
    channel: str
    label: str
    created_at: datetime
    confirmed_at: datetime | None


@dataclass(frozen=True, slots=True)
class NewContact:
    """A contact as it is stored."""

    contact_id: UUID
    user_id: UUID
    channel: str
    lookup: bytes
    sealed_address: bytes
    label: str


_COLUMNS = "contact_id, user_id, channel, label, created_at, confirmed_at"


async def insert(tx: Transaction, contact: NewContact, confirmed: bool) -> None:
    """Store a contact."""
    await tx.execute(
        "INSERT INTO contact (contact_id, user_id, channel, lookup, sealed_address, label, created_at,"
        " confirmed_at) VALUES ($1, $2, $3, $4, $5, $6, $7::timestamptz, CASE WHEN $8::boolean THEN $7 END)",
        contact.contact_id,
        contact.user_id,
        contact.channel,
        contact.lookup,
        contact.sealed_address,
        contact.label,
        tx.now,
        confirmed,
    )


async def lock_user(tx: Transaction, user_id: UUID, channel: str) -> None:
    """Let nobody else change a user's contacts of a channel until the transaction ends."""
    await tx.execute("SELECT pg_advisory_xact_lock(hashtextextended($1, 0))", f"contact {channel} {user_id}")


async def find(tx: Transaction, contact_id: UUID) -> StoredContact | None:
    """Return a contact, locked."""
    row = await tx.fetch_row(f"SELECT {_COLUMNS} FROM contact WHERE contact_id = $1 FOR UPDATE", contact_id)
    return StoredContact(**dict(row)) if row is not None else None


async def of_user(database: Database, user_id: UUID) -> list[StoredContact]:
    """Return a user's contacts, oldest first."""
    rows = await database.fetch(
        f"SELECT {_COLUMNS} FROM contact WHERE user_id = $1 ORDER BY created_at, contact_id", user_id
    )
    return [StoredContact(**dict(row)) for row in rows]


async def user_of(tx: Transaction, channel: str, lookup: bytes) -> tuple[UUID, UUID] | None:
    """Return the contact and the user of a confirmed address."""
    row = await tx.fetch_row(
        "SELECT contact_id, user_id FROM contact"
        " WHERE channel = $1 AND lookup = $2 AND confirmed_at IS NOT NULL",
        channel,
        lookup,
    )
    return (row["contact_id"], row["user_id"]) if row is not None else None


async def of_users(tx: Transaction, channel: str, user_ids: Collection[UUID]) -> dict[UUID, UUID]:
    """Return users' newest confirmed contacts of a channel, by user."""
    rows = await tx.fetch(
        "SELECT DISTINCT ON (user_id) user_id, contact_id FROM contact WHERE channel = $1"
        " AND user_id = ANY($2::uuid[]) AND confirmed_at IS NOT NULL ORDER BY user_id, confirmed_at DESC",
        channel,
        list(user_ids),
    )
    return {row["user_id"]: row["contact_id"] for row in rows}


async def confirm(tx: Transaction, contact_id: UUID) -> None:
    """Mark a contact as its user's own."""
    await tx.execute(
        "UPDATE contact SET confirmed_at = $2 WHERE contact_id = $1 AND confirmed_at IS NULL",
        contact_id,
        tx.now,
    )


async def remove_others(tx: Transaction, contact_id: UUID) -> None:
    """Remove what stands against a contact being confirmed: its user's earlier ones of the channel, and the
    same address of anybody.
    """
    await tx.execute(
        "DELETE FROM contact AS other USING contact AS kept WHERE kept.contact_id = $1"
        " AND other.contact_id <> $1 AND other.channel = kept.channel"
        " AND (other.user_id = kept.user_id OR other.lookup = kept.lookup)",
        contact_id,
    )


async def remove(tx: Transaction, user_id: UUID, channel: str, contact_id: UUID | None) -> int:
    """Remove one, or all, of a user's contacts of a channel. Returns how many."""
    rows = await tx.fetch(
        "DELETE FROM contact WHERE user_id = $1 AND channel = $2"
        " AND ($3::uuid IS NULL OR contact_id = $3) RETURNING 1",
        user_id,
        channel,
        contact_id,
    )
    return len(rows)


async def remove_address(tx: Transaction, channel: str, lookup: bytes) -> None:
    """Remove an address whoever has it."""
    await tx.execute("DELETE FROM contact WHERE channel = $1 AND lookup = $2", channel, lookup)


async def keep_newest(tx: Transaction, user_id: UUID, channel: str, keep: int) -> None:
    """Remove a user's oldest contacts of a channel beyond a number."""
    await tx.execute(
        "DELETE FROM contact WHERE contact_id IN (SELECT contact_id FROM contact"
        " WHERE user_id = $1 AND channel = $2 ORDER BY created_at DESC, contact_id OFFSET $3)",
        user_id,
        channel,
        keep,
    )


async def count_recent(tx: Transaction, user_id: UUID, channel: str, since: datetime) -> int:
    """Return how many unconfirmed contacts of a channel a user has made since a time."""
    row = await tx.fetch_row(
        "SELECT count(*) AS made FROM contact WHERE user_id = $1 AND channel = $2 AND created_at > $3"
        " AND confirmed_at IS NULL",
        user_id,
        channel,
        since,
    )
    assert row is not None, "a count has a row"
    return row["made"]


async def insert_link(tx: Transaction, link_id: UUID, user_id: UUID, expires_at: datetime) -> None:
    """Store a link that connects a Telegram account, and void those given out before."""
    await tx.execute("DELETE FROM telegram_link WHERE user_id = $1 AND used_at IS NULL", user_id)
    await tx.execute(
        "INSERT INTO telegram_link (link_id, user_id, expires_at) VALUES ($1, $2, $3)",
        link_id,
        user_id,
        expires_at,
    )


async def use_link(tx: Transaction, link_id: UUID) -> UUID | None:
    """Use a link up and return whose it is; None when it is unknown, used or expired."""
    row = await tx.fetch_row(
        "UPDATE telegram_link SET used_at = $2 WHERE link_id = $1 AND used_at IS NULL AND expires_at > $2"
        " RETURNING user_id",
        link_id,
        tx.now,
    )
    return row["user_id"] if row is not None else None


async def new_updates(tx: Transaction, update_ids: Sequence[int]) -> set[int]:
    """Remember updates of the Bot API and return those that were not known."""
    rows = await tx.fetch(
        "INSERT INTO telegram_update SELECT id, $2 FROM unnest($1::bigint[]) AS new (id)"
        " ON CONFLICT DO NOTHING RETURNING update_id",
        list(update_ids),
        tx.now,
    )
    return {row["update_id"] for row in rows}


async def last_update(database: Database) -> int | None:
    """Return the highest update id that was handled."""
    row = await database.fetch_row("SELECT max(update_id) AS last FROM telegram_update")
    return row["last"] if row is not None else None


async def prune(tx: Transaction, before: datetime, limit: int) -> int:
    """Delete unconfirmed contacts, links and updates older than a time, a bounded number of each."""
    deleted = 0
    for table, key, moment, extra in (
        ("contact", "contact_id", "created_at", "AND confirmed_at IS NULL"),
        ("telegram_link", "link_id", "expires_at", ""),
        (
            "telegram_update",
            "update_id",
            "received_at",
            "AND update_id < (SELECT max(update_id) FROM telegram_update)",
        ),
    ):
        rows = await tx.fetch(
            f"DELETE FROM {table} WHERE {key} IN (SELECT {key} FROM {table}"
            f" WHERE {moment} < $1 {extra} ORDER BY {moment} LIMIT $2) RETURNING 1",
            before,
            limit,
        )
        deleted = max(deleted, len(rows))
    return deleted
