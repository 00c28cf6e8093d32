"""Price alerts and notification preferences, as the notification service tells them."""

from collections.abc import Collection, Sequence
from typing import Any
from uuid import UUID

from snowrail_chat.domain.values import IdPrefix
from snowrail_chat.domain.views import Alert
from snowrail_events import AlertUpdatedV1, NotificationPreferencesUpdatedV1
from snowrail_kit.database import Database, Row
from snowrail_kit.unit_of_work import Transaction

_SAVE_ALERTS = """
INSERT INTO alert AS known (alert_id, user_id, version, status, symbol, currency, comparison, price,
                            fired_price, changed_at)
SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::bigint[], $4::text[], $5::text[], $6::text[], $7::text[],
                     $8::text[], $9::text[], $10::timestamptz[])
ON CONFLICT (alert_id) DO UPDATE
SET version = EXCLUDED.version, status = EXCLUDED.status, fired_price = EXCLUDED.fired_price,
    changed_at = EXCLUDED.changed_at
WHERE known.version < EXCLUDED.version
"""

_MATCHING = """
SELECT asked.ordinal, alert.*
FROM unnest($1::uuid[], $2::uuid[], $3::uuid[]) WITH ORDINALITY AS asked (user_id, low, high, ordinal)
CROSS JOIN LATERAL (SELECT * FROM alert WHERE alert.user_id = asked.user_id AND alert.status <> 'deleted'
                    AND alert.alert_id BETWEEN asked.low AND asked.high ORDER BY alert_id LIMIT 2) AS alert
"""

_SAVE_PREFERENCES = """
INSERT INTO notification_preferences AS known (user_id, record, changed_at)
SELECT * FROM unnest($1::uuid[], $2::jsonb[], $3::timestamptz[])
ON CONFLICT (user_id) DO UPDATE SET record = EXCLUDED.record, changed_at = EXCLUDED.changed_at
WHERE known.changed_at <= EXCLUDED.changed_at
"""


async def save_alerts(tx: Transaction, events: Sequence[AlertUpdatedV1]) -> None:
    """Store alerts, each at most once; older versions than known are left out."""
    await tx.execute(
        _SAVE_ALERTS,
        [event.alert_id for event in events],
        [event.user_id for event in events],
        [event.version for event in events],
        [event.status for event in events],
        [event.symbol for event in events],
        [event.currency for event in events],
        [event.comparison for event in events],
        [event.price for event in events],
        [event.fired_price for event in events],
        [event.changed_at for event in events],
    )


async def alerts_of(tx: Transaction, user_ids: Collection[UUID], limit: int) -> dict[UUID, list[Alert]]:
    """Return the alerts of users, those that still wait first, at most `limit` each."""
    rows = await tx.fetch(
        """
        SELECT alert.* FROM unnest($1::uuid[]) AS wanted (user_id)
        CROSS JOIN LATERAL (SELECT * FROM alert WHERE alert.user_id = wanted.user_id AND status <> 'deleted'
                            ORDER BY status = 'armed' DESC, changed_at DESC LIMIT $2) AS alert
        """,
        list(set(user_ids)),
        limit,
    )
    found: dict[UUID, list[Alert]] = {}
    for row in rows:
        found.setdefault(row["user_id"], []).append(Alert(**row))
    return found


async def alerts_matching(tx: Transaction, asked: Sequence[tuple[UUID, IdPrefix]]) -> list[list[Alert]]:
    """Return for each user and beginning of an id the user's alerts: none, one, or two of several."""
    rows = await tx.fetch(
        _MATCHING,
        [user_id for user_id, _ in asked],
        [prefix.lowest for _, prefix in asked],
        [prefix.highest for _, prefix in asked],
    )
    found: list[list[Alert]] = [[] for _ in asked]
    for row in rows:
        values = {name: value for name, value in row.items() if name != "ordinal"}
        found[row["ordinal"] - 1].append(Alert(**values))
    return found


async def suggest_alerts(database: Database, user_id: UUID, prefix: str, limit: int) -> list[Row]:
    """Return a user's alerts whose id begins with these digits, newest first."""
    return await database.fetch(
        """
        SELECT alert_id, symbol, comparison, price, currency, status FROM alert
        WHERE user_id = $1 AND status <> 'deleted'
          AND starts_with(replace(alert_id::text, '-', ''), lower($2))
        ORDER BY changed_at DESC LIMIT $3
        """,
        user_id,
        prefix.replace("-", ""),
        limit,
    )


async def save_preferences(tx: Transaction, events: Sequence[NotificationPreferencesUpdatedV1]) -> None:
    """Store preferences, each user at most once; older ones than known are left out."""
    await tx.execute(
        _SAVE_PREFERENCES,
        [event.user_id for event in events],
        [event.model_dump(mode="json") for event in events],
        [event.changed_at for event in events],
    )


async def preferences_of(tx: Transaction, user_ids: Collection[UUID]) -> dict[UUID, dict[str, Any]]:
    """Return the preferences of users, as they were told; those nothing was told of are missing."""
    rows = await tx.fetch(
        "SELECT user_id, record FROM notification_preferences WHERE user_id = ANY($1::uuid[])",
        list(set(user_ids)),
    )
    return {row["user_id"]: row["record"] for row in rows}
