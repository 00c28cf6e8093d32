"""What intents depend on that others own: users, gas prices and the prices of tokens."""

from decimal import Decimal

from snowrail_events import GasPriceUpdatedV1, PriceUpdatedV1, UserRegisteredV1, UserUpdatedV1
from snowrail_intent.domain.conditions import CURRENCY
from snowrail_intent.domain.evaluation import SeenPrice
from snowrail_intent.domain.requests import Account
from snowrail_intent.parts import Parts
from snowrail_intent.store import intents as intent_store
from snowrail_intent.store import projections
from snowrail_intent.store.projections import GasPrice
from snowrail_kit.delivery import Delivery
from snowrail_kit.unit_of_work import Transaction

_WOKEN_INTENTS = 5_000


async def record_registered(deliveries: list[Delivery[UserRegisteredV1]], tx: Transaction, _: Parts) -> None:
    """Users exist from now on; what waited for them goes on."""
    await _save_users([delivery.event for delivery in deliveries], tx)


async def record_updated(deliveries: list[Delivery[UserUpdatedV1]], tx: Transaction, _: Parts) -> None:
    """Users changed, perhaps the level that their limits follow from."""
    await _save_users([delivery.event for delivery in deliveries], tx)


async def _save_users(events: list[UserRegisteredV1] | list[UserUpdatedV1], tx: Transaction) -> None:
    accounts = [
        (Account(event.user_id, event.address, event.kyc_level), event.changed_at) for event in events
    ]
    await projections.save_users(tx.connection, accounts)
    tx.wake(*(f"user:{event.user_id}" for event in events))


async def record_gas_prices(
    deliveries: list[Delivery[GasPriceUpdatedV1]], tx: Transaction, parts: Parts
) -> None:
    """Remember gas prices, and have intents looked at whose ceiling they have come down to."""
    prices = [
        GasPrice(
            chain_id=delivery.event.chain_id,
            gas_price=delivery.event.gas_price,
            base_fee=delivery.event.base_fee,
            block_number=delivery.event.block_number,
            observed_at=delivery.event.observed_at,
        )
        for delivery in deliveries
    ]
    await projections.save_gas_prices(tx.connection, prices)
    newest = await projections.fetch_gas_prices(tx.connection)
    for chain_id in sorted({price.chain_id for price in prices}):
        await intent_store.check_now(
            tx.connection, chain_id, newest[chain_id].gas_price, tx.now, _WOKEN_INTENTS
        )
    parts.wake_engine()


async def record_prices(deliveries: list[Delivery[PriceUpdatedV1]], tx: Transaction, parts: Parts) -> None:
    """Remember prices, and have intents looked at whose condition they meet."""
    prices = [
        (event.symbol, SeenPrice(Decimal(event.price), event.observed_at))
        for delivery in deliveries
        if (event := delivery.event).currency == CURRENCY
    ]
    if not prices:
        return
    await projections.save_prices(tx.connection, prices)
    newest = await projections.fetch_prices(tx.connection)
    for symbol in sorted({symbol for symbol, _ in prices}):
        await intent_store.check_priced(tx.connection, symbol, newest[symbol].value, tx.now, _WOKEN_INTENTS)
    parts.wake_engine()
