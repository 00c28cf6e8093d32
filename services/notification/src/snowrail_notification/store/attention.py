"""What users want to be told, where, and when not."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from uuid import UUID

from snowrail_kit.unit_of_work import Transaction
from snowrail_notification.domain.attention import QuietHours
from snowrail_notification.domain.catalogue import Channel, Type

_AUDIENCE = """
SELECT wanted.user_id, coalesce(known.time_zone, 'UTC') AS time_zone, quiet.starts_at, quiet.ends_at,
       (SELECT array_agg(type || ' ' || channel || ' ' || CASE WHEN enabled THEN '+' ELSE '-' END)
        FROM preference WHERE preference.user_id = wanted.user_id) AS preferences,
       (SELECT array_agg(contact_id::text || ' ' || channel) FROM contact
        WHERE contact.user_id = wanted.user_id AND confirmed_at IS NOT NULL) AS contacts
FROM unnest($1::uuid[]) AS wanted (user_id)
LEFT JOIN known_user AS known USING (user_id) LEFT JOIN quiet_hours AS quiet USING (user_id)
"""


@dataclass(frozen=True, slots=True)
class Contact:
    """A confirmed way to reach a user."""

    contact_id: UUID
    channel: Channel


@dataclass(frozen=True, slots=True)
class Audience:
    """What decides whether, where and when a user is told."""

    time_zone: str = "UTC"
    quiet: QuietHours | None = None
    preferences: dict[tuple[str, str], bool] = field(default_factory=dict[tuple[str, str], bool])
    contacts: tuple[Contact, ...] = ()

    def preference(self, type_: Type, channel: Channel) -> bool | None:
        """Return what the user said about a type on a channel, if anything."""
        return self.preferences.get((type_.value, channel.value))


async def audiences(tx: Transaction, user_ids: Iterable[UUID]) -> dict[UUID, Audience]:
    """Return what is known of every one of these users."""
    found: dict[UUID, Audience] = {}
    for row in await tx.fetch(_AUDIENCE, list(set(user_ids))):
        quiet = QuietHours(row["starts_at"], row["ends_at"]) if row["starts_at"] is not None else None
        preferences: dict[tuple[str, str], bool] = {}
        for text in row["preferences"] or ():
            type_, channel, sign = text.split(" ")
            preferences[type_, channel] = sign == "+"
        contacts: list[Contact] = []
        for text in row["contacts"] or ():
            contact_id, channel = text.split(" ")
            contacts.append(Contact(UUID(contact_id), Channel(channel)))
        found[row["user_id"]] = Audience(row["time_zone"], quiet, preferences, tuple(contacts))
    return found


async def set_preferences(
    tx: Transaction, user_id: UUID, pairs: Sequence[tuple[str, str]], enabled: bool
) -> None:
    """Store whether a user wants (type, channel) pairs."""
    await tx.execute(
        "INSERT INTO preference SELECT $1, type, channel, $4, $5 FROM unnest($2::text[], $3::text[])"
        " AS new (type, channel) ON CONFLICT (user_id, type, channel)"
        " DO UPDATE SET enabled = EXCLUDED.enabled, changed_at = EXCLUDED.changed_at",
        user_id,
        [type_ for type_, _ in pairs],
        [channel for _, channel in pairs],
        enabled,
        tx.now,
    )


async def set_quiet_hours(tx: Transaction, user_id: UUID, quiet: QuietHours | None) -> None:
    """Store when a user is not to be disturbed; None: never quiet."""
    if quiet is None:
        await tx.execute("DELETE FROM quiet_hours WHERE user_id = $1", user_id)
        return
    await tx.execute(
        "INSERT INTO quiet_hours VALUES ($1, $2, $3, $4) ON CONFLICT (user_id) DO UPDATE"
        " SET starts_at = EXCLUDED.starts_at, ends_at = EXCLUDED.ends_at, changed_at = EXCLUDED.changed_at",
        user_id,
        quiet.starts_at,
        quiet.ends_at,
        tx.now,
    )


async def contact_labels(tx: Transaction, user_ids: Collection[UUID]) -> dict[UUID, dict[str, str]]:
    """Return what users have connected, by channel: the label of the newest confirmed contact."""
    rows = await tx.fetch(
        "SELECT DISTINCT ON (user_id, channel) user_id, channel, label FROM contact"
        " WHERE user_id = ANY($1::uuid[]) AND confirmed_at IS NOT NULL"
        " ORDER BY user_id, channel, confirmed_at DESC",
        list(user_ids),
    )
    labels: dict[UUID, dict[str, str]] = {}
    for row in rows:
        labels.setdefault(row["user_id"], {})[row["channel"]] = row["label"]
    return labels
