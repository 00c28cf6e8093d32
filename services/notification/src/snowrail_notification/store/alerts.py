"""Price alerts, and the newest prices."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from uuid import UUID

from snowrail_kit.database import Database, Row
from snowrail_kit.unit_of_work import Transaction


@dataclass(frozen=True, slots=True)
class NewAlert:
    """A price alert. `price` is in units of `currency` for one whole token."""

    alert_id: UUID
    user_id: UUID
    symbol: str
    currency: str
    comparison: str
    price: Decimal


@dataclass(frozen=True, slots=True)
class Quote:
    """A price that was observed."""

    symbol: str
    currency: str
    price: Decimal
    observed_at: datetime


_NAMES = (
    *("alert_id", "user_id", "symbol", "currency", "comparison", "price", "state", "version", "created_at"),
    *("changed_at", "fired_price"),
)
_COLUMNS = ", ".join(_NAMES)

_SAVE_PRICES = """
INSERT INTO known_price AS known
SELECT * FROM unnest($1::text[], $2::text[], $3::numeric[], $4::timestamptz[])
ON CONFLICT (symbol, currency) DO UPDATE SET price = EXCLUDED.price, observed_at = EXCLUDED.observed_at
WHERE known.observed_at < EXCLUDED.observed_at
"""

_FIRE = f"""
UPDATE price_alert SET state = 'fired', version = version + 1, changed_at = $6, fired_price = passed.price
FROM (
    SELECT DISTINCT ON (alert.alert_id) alert.alert_id, quote.price
    FROM price_alert AS alert
    JOIN unnest($1::text[], $2::text[], $3::numeric[], $4::timestamptz[])
         AS quote (symbol, currency, price, observed_at) USING (symbol, currency)
    WHERE alert.state = 'armed' AND quote.observed_at > $5
      AND CASE alert.comparison WHEN 'above' THEN quote.price >= alert.price
                                ELSE quote.price <= alert.price END
    ORDER BY alert.alert_id, quote.observed_at
) AS passed
WHERE price_alert.alert_id = passed.alert_id AND price_alert.state = 'armed'
RETURNING {", ".join(f"price_alert.{name}" for name in _NAMES)}
"""


async def insert(tx: Transaction, alert: NewAlert, most: int) -> Row | None:
    """Store an armed alert, unless the user has as many armed ones as they may have: then None.

    One that exists already is returned as it is.
    """
    await tx.execute("SELECT pg_advisory_xact_lock(hashtextextended($1, 0))", f"alerts {alert.user_id}")
    existing = await tx.fetch_row(f"SELECT {_COLUMNS} FROM price_alert WHERE alert_id = $1", alert.alert_id)
    if existing is not None:
        return existing
    return await tx.fetch_row(
        "INSERT INTO price_alert (alert_id, user_id, symbol, currency, comparison, price, state, version,"
        " created_at, changed_at)"
        " SELECT $1, $2, $3, $4, $5, $6::numeric, 'armed', 1, $7::timestamptz, $7 WHERE"
        " (SELECT count(*) FROM price_alert WHERE user_id = $2 AND state = 'armed') < $8"
        f" RETURNING {_COLUMNS}",
        alert.alert_id,
        alert.user_id,
        alert.symbol,
        alert.currency,
        alert.comparison,
        alert.price,
        tx.now,
        most,
    )


async def delete(tx: Transaction, user_id: UUID, alert_id: UUID) -> Row | None:
    """Mark a user's alert as deleted; None when there is none."""
    return await tx.fetch_row(
        "UPDATE price_alert SET state = 'deleted', version = version + 1, changed_at = $3"
        f" WHERE alert_id = $1 AND user_id = $2 AND state <> 'deleted' RETURNING {_COLUMNS}",
        alert_id,
        user_id,
        tx.now,
    )


async def of_user(database: Database, user_id: UUID, limit: int) -> list[Row]:
    """Return a user's alerts that are not deleted: the armed ones first, then the newest."""
    return await database.fetch(
        f"SELECT {_COLUMNS} FROM price_alert WHERE user_id = $1 AND state <> 'deleted'"
        " ORDER BY state = 'armed' DESC, changed_at DESC, alert_id LIMIT $2",
        user_id,
        limit,
    )


async def last_observed(tx: Transaction) -> dict[tuple[str, str], datetime]:
    """Return when the newest known price of each (symbol, currency) was observed, locked."""
    rows = await tx.fetch(
        "SELECT symbol, currency, observed_at FROM known_price ORDER BY symbol, currency FOR UPDATE"
    )
    return {(row["symbol"], row["currency"]): row["observed_at"] for row in rows}


async def save_prices(tx: Transaction, newest: Sequence[Quote]) -> None:
    """Remember the newest price of each (symbol, currency)."""
    await tx.execute(
        _SAVE_PRICES,
        [quote.symbol for quote in newest],
        [quote.currency for quote in newest],
        [quote.price for quote in newest],
        [quote.observed_at for quote in newest],
    )


async def fire(tx: Transaction, quotes: Sequence[Quote], oldest: datetime) -> list[Row]:
    """Fire the armed alerts whose mark a quote observed after `oldest` passed. Returns those that fired."""
    return await tx.fetch(
        _FIRE,
        [quote.symbol for quote in quotes],
        [quote.currency for quote in quotes],
        [quote.price for quote in quotes],
        [quote.observed_at for quote in quotes],
        oldest,
        tx.now,
    )


async def prune(tx: Transaction, before: datetime, limit: int) -> int:
    """Delete alerts that are over since before a time, a bounded number. Returns how many."""
    rows = await tx.fetch(
        "DELETE FROM price_alert WHERE alert_id IN (SELECT alert_id FROM price_alert"
        " WHERE state <> 'armed' AND changed_at < $1 ORDER BY changed_at LIMIT $2) RETURNING 1",
        before,
        limit,
    )
    return len(rows)
