"""What holds for users: the time zone of their account, and the currency they have set."""

from collections.abc import Collection
from uuid import UUID

from snowrail_chat.domain.views import UserSettings
from snowrail_kit.unit_of_work import Transaction

_LOAD = """
SELECT wanted.user_id, coalesce(user_account.time_zone, 'UTC') AS time_zone, user_settings.currency
FROM unnest($1::uuid[]) AS wanted (user_id)
LEFT JOIN user_settings USING (user_id) LEFT JOIN user_account USING (user_id)
"""

_SAVE = """
INSERT INTO user_settings (user_id, currency, changed_at)
SELECT user_id, currency, $3 FROM unnest($1::uuid[], $2::text[]) AS new (user_id, currency)
ON CONFLICT (user_id) DO UPDATE SET currency = EXCLUDED.currency, changed_at = EXCLUDED.changed_at
"""


async def load(tx: Transaction, user_ids: Collection[UUID]) -> dict[UUID, UserSettings]:
    """Return what holds for users."""
    rows = await tx.fetch(_LOAD, list(set(user_ids)))
    return {row["user_id"]: UserSettings(row["time_zone"], row["currency"]) for row in rows}


async def save_currencies(tx: Transaction, chosen: dict[UUID, str]) -> None:
    """Store currencies that users chose."""
    if chosen:
        await tx.execute(_SAVE, list(chosen), list(chosen.values()), tx.now)


async def known_currencies(tx: Transaction) -> list[str]:
    """Return the currencies in which prices are known."""
    rows = await tx.fetch("SELECT DISTINCT currency FROM price ORDER BY currency")
    return [row["currency"] for row in rows]
