"""Prices of tokens and of gas, as told last."""

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal

from snowrail_chat.domain.fiat import Price
from snowrail_events import GasPriceUpdatedV1, PriceUpdatedV1
from snowrail_kit.unit_of_work import Transaction

_SAVE_PRICES = """
INSERT INTO price AS known (symbol, currency, price, observed_at)
SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::timestamptz[])
ON CONFLICT (symbol, currency) DO UPDATE SET price = EXCLUDED.price, observed_at = EXCLUDED.observed_at
WHERE known.observed_at < EXCLUDED.observed_at
"""

_SAVE_GAS_PRICES = """
INSERT INTO gas_price AS known (chain_id, gas_price, observed_at)
SELECT * FROM unnest($1::bigint[], $2::numeric[], $3::timestamptz[])
ON CONFLICT (chain_id) DO UPDATE SET gas_price = EXCLUDED.gas_price, observed_at = EXCLUDED.observed_at
WHERE known.observed_at < EXCLUDED.observed_at
"""


async def save_prices(tx: Transaction, prices: Sequence[PriceUpdatedV1]) -> None:
    """Store prices, each symbol and currency at most once; older ones than known are left out."""
    await tx.execute(
        _SAVE_PRICES,
        [price.symbol for price in prices],
        [price.currency for price in prices],
        [price.price for price in prices],
        [price.observed_at for price in prices],
    )


async def save_gas_prices(tx: Transaction, prices: Sequence[GasPriceUpdatedV1]) -> None:
    """Store gas prices, each chain at most once; older ones than known are left out."""
    await tx.execute(
        _SAVE_GAS_PRICES,
        [price.chain_id for price in prices],
        [price.gas_price for price in prices],
        [price.observed_at for price in prices],
    )


async def prices_in(tx: Transaction, currency: str) -> dict[str, Price]:
    """Return the prices in a currency, by symbol."""
    rows = await tx.fetch("SELECT symbol, price, observed_at FROM price WHERE currency = $1", currency)
    return {row["symbol"]: Price(Decimal(row["price"]), currency, row["observed_at"]) for row in rows}


async def gas_prices(tx: Transaction, since: datetime) -> dict[int, int]:
    """Return the gas price of each chain, in wei, where it was told since a time."""
    rows = await tx.fetch("SELECT chain_id, gas_price FROM gas_price WHERE observed_at >= $1", since)
    return {row["chain_id"]: row["gas_price"] for row in rows}
