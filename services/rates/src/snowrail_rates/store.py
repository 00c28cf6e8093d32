"""Tables and SQL of rates."""

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from uuid import UUID

from snowrail_kit.database import Database, Row
from snowrail_kit.unit_of_work import Transaction
from snowrail_rates.domain import Price

_SAVE = """
INSERT INTO price (symbol, currency, price, observed_at, published_at, doubted_price, doubted_times,
                   doubted_at)
SELECT * FROM unnest($1::text[], $2::text[], $3::numeric[], $4::timestamptz[], $5::timestamptz[],
                     $6::numeric[], $7::integer[], $8::timestamptz[])
ON CONFLICT (symbol, currency) DO UPDATE
SET price = EXCLUDED.price, observed_at = EXCLUDED.observed_at, published_at = EXCLUDED.published_at,
    doubted_price = EXCLUDED.doubted_price, doubted_times = EXCLUDED.doubted_times,
    doubted_at = EXCLUDED.doubted_at
"""

_REMEMBER = """
INSERT INTO price_history (symbol, currency, observed_at, price)
SELECT * FROM unnest($1::text[], $2::text[], $3::timestamptz[], $4::numeric[]) ON CONFLICT DO NOTHING
"""

_HISTORY = """
SELECT observed_at, price FROM price_history
WHERE symbol = $1 AND currency = $2 AND observed_at >= $3 ORDER BY observed_at DESC LIMIT $4
"""

_PRUNE_ROWS = 10_000


def price_of(row: Row) -> Price:
    """Return a row as a price."""
    return Price(
        symbol=row["symbol"],
        currency=row["currency"],
        price=Decimal(row["price"]),
        observed_at=row["observed_at"],
        published_at=row["published_at"],
        doubted_price=None if row["doubted_price"] is None else Decimal(row["doubted_price"]),
        doubted_times=row["doubted_times"],
        doubted_at=row["doubted_at"],
    )


async def lock_prices(tx: Transaction) -> dict[tuple[str, str], Price]:
    """Return every price by symbol and currency, locked."""
    rows = await tx.fetch("SELECT * FROM price ORDER BY symbol, currency FOR UPDATE")
    return {(row["symbol"], row["currency"]): price_of(row) for row in rows}


async def save_prices(tx: Transaction, prices: Sequence[Price]) -> None:
    """Write prices."""
    await tx.execute(
        _SAVE,
        [item.symbol for item in prices],
        [item.currency for item in prices],
        [item.price for item in prices],
        [item.observed_at for item in prices],
        [item.published_at for item in prices],
        [item.doubted_price for item in prices],
        [item.doubted_times for item in prices],
        [item.doubted_at for item in prices],
    )


async def remember(tx: Transaction, prices: Sequence[Price]) -> None:
    """Add prices to the history."""
    await tx.execute(
        _REMEMBER,
        [item.symbol for item in prices],
        [item.currency for item in prices],
        [item.observed_at for item in prices],
        [item.price for item in prices],
    )


async def record_anomaly(
    tx: Transaction, anomaly_id: UUID, symbol: str, currency: str, price: str, last_price: str, code: str
) -> None:
    """Store a price that was not believed."""
    await tx.execute(
        "INSERT INTO anomaly VALUES ($1, $2, $3, $4, $5, $6, $7)",
        anomaly_id,
        symbol,
        currency,
        price,
        last_price,
        code,
        tx.now,
    )


async def prune(tx: Transaction, before: datetime) -> None:
    """Delete old history and anomalies, a bounded number at a time."""
    await tx.execute(
        "DELETE FROM price_history WHERE ctid IN"
        " (SELECT ctid FROM price_history WHERE observed_at < $1 LIMIT $2)",
        before,
        _PRUNE_ROWS,
    )
    await tx.execute(
        "DELETE FROM anomaly WHERE ctid IN (SELECT ctid FROM anomaly WHERE detected_at < $1 LIMIT $2)",
        before,
        _PRUNE_ROWS,
    )


async def all_prices(database: Database) -> list[Price]:
    """Return every price."""
    return [price_of(row) for row in await database.fetch("SELECT * FROM price ORDER BY symbol, currency")]


async def history(
    database: Database, symbol: str, currency: str, since: datetime, limit: int
) -> list[tuple[datetime, Decimal]]:
    """Return believed prices since a time, newest first."""
    rows = await database.fetch(_HISTORY, symbol, currency, since, limit)
    return [(row["observed_at"], Decimal(row["price"])) for row in rows]


async def anomalies(database: Database, limit: int) -> list[Row]:
    """Return the newest anomalies."""
    return await database.fetch("SELECT * FROM anomaly ORDER BY detected_at DESC LIMIT $1", limit)
