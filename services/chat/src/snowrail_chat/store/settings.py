"""What users have set: time zone and currency."""

from collections.abc import Collection
from uuid import UUID

from snowrail_chat.domain.views import UserSettings
from snowrail_kit.unit_of_work import Transaction

_LOAD = """
SELECT wanted.user_id, coalesce(user_settings.time_zone, user_account.time_zone, 'UTC') AS time_zone,
       user_settings.currency
FROM unnest($1::uuid[]) AS wanted (user_id)
LEFT JOIN user_settings USING (user_id) LEFT JOIN user_account USING (user_id)
"""

_SAVE = """
INSERT INTO user_settings AS known (user_id, time_zone, currency, changed_at)
SELECT user_id, time_zone, currency, $4 FROM unnest($1::uuid[], $2::text[], $3::text[])
     AS new (user_id, time_zone, currency)
ON CONFLICT (user_id) DO UPDATE
SET time_zone = coalesce(EXCLUDED.time_zone, known.time_zone),
    currency = coalesce(EXCLUDED.currency, known.currency), changed_at = EXCLUDED.changed_at
"""


async def load(tx: Transaction, user_ids: Collection[UUID]) -> dict[UUID, UserSettings]:
    """Return what holds for users."""
    rows = await tx.fetch(_LOAD, list(set(user_ids)))
    return {row["user_id"]: UserSettings(row["time_zone"], row["currency"]) for row in rows}


async def save(tx: Transaction, changes: dict[UUID, tuple[str | None, str | None]]) -> None:
    """Store time zone and currency of users; None leaves what is there."""
    if not changes:
        return
    await tx.execute(
        _SAVE,
        list(changes),
        [time_zone for time_zone, _ in changes.values()],
        [currency for _, currency in changes.values()],
        tx.now,
    )


async def known_currencies(tx: Transaction) -> list[str]:
    """Return the currencies in which prices are known."""
    rows = await tx.fetch("SELECT DISTINCT currency FROM price ORDER BY currency")
    return [row["currency"] for row in rows]
