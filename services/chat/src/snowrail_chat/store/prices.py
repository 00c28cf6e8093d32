"""Prices of tokens and of gas, as told last."""

from collections.abc import Collection, Sequence
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
SELECT symbol, currency, price, observed_at, NULL::bigint AS chain_id, NULL::numeric AS gas_price
FROM price WHERE currency = ANY($1::text[])
UNION ALL
SELECT NULL, NULL, NULL, observed_at, chain_id, gas_price FROM gas_price WHERE observed_at >= $2
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
    tx: Transaction, currencies: Collection[str], gas_since: datetime
) -> tuple[dict[str, dict[str, Price]], dict[int, int]]:
    """Return prices by currency and symbol, and gas prices in wei by chain, told since a time."""
    rows = await tx.fetch(_LOAD, list(currencies), gas_since)
    prices: dict[str, dict[str, Price]] = {currency: {} for currency in currencies}
    for row in rows:
        if row["symbol"] is not None:
            price = Price(Decimal(row["price"]), row["currency"], row["observed_at"])
            prices[row["currency"]][row["symbol"]] = price
    return prices, {row["chain_id"]: row["gas_price"] for row in rows if row["symbol"] is None}
