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

_LOAD = """
SELECT symbol, price, observed_at, NULL::bigint AS chain_id, NULL::numeric AS gas_price
FROM price WHERE currency = $1
UNION ALL
SELECT NULL, NULL, observed_at, chain_id, gas_price FROM gas_price WHERE observed_at >= $2
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


async def load(
    tx: Transaction, currency: str, gas_since: datetime
) -> tuple[dict[str, Price], dict[int, int]]:
    """Return prices in a currency by symbol, and gas prices in wei by chain, told since a time."""
    rows = await tx.fetch(_LOAD, currency, gas_since)
    prices = {
        row["symbol"]: Price(Decimal(row["price"]), currency, row["observed_at"])
        for row in rows
        if row["symbol"] is not None
    }
    return prices, {row["chain_id"]: row["gas_price"] for row in rows if row["symbol"] is None}
