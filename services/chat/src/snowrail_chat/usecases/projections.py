"""Users, prices and gas prices, as their owners tell them."""

from collections.abc import Sequence
from typing import Any, TypeVar

from snowrail_chat.store import people, prices
from snowrail_chat.store.people import Person
from snowrail_events import GasPriceUpdatedV1, PriceUpdatedV1, UserRegisteredV1, UserUpdatedV1
from snowrail_kit.delivery import Delivery
from snowrail_kit.unit_of_work import Transaction

E = TypeVar("E")


async def record_people(
    deliveries: Sequence[Delivery[UserRegisteredV1] | Delivery[UserUpdatedV1]], tx: Transaction
) -> None:
    """Remember users by name and address."""
    latest = _latest([delivery.event for delivery in deliveries], "user_id", "changed_at")
    await people.save_people(
        tx,
        [
            Person(event.user_id, event.handle, event.address, event.changed_at, event.time_zone)
            for event in latest
        ],
    )


async def record_prices(deliveries: Sequence[Delivery[PriceUpdatedV1]], tx: Transaction) -> None:
    """Remember prices of tokens."""
    by_currency: dict[str, list[PriceUpdatedV1]] = {}
    for delivery in deliveries:
        by_currency.setdefault(delivery.event.currency, []).append(delivery.event)
    latest = [event for events in by_currency.values() for event in _latest(events, "symbol", "observed_at")]
    await prices.save_prices(tx, latest)


async def record_gas_prices(deliveries: Sequence[Delivery[GasPriceUpdatedV1]], tx: Transaction) -> None:
    """Remember gas prices of chains."""
    events = [delivery.event for delivery in deliveries]
    await prices.save_gas_prices(tx, _latest(events, "chain_id", "observed_at"))


def _latest(events: Sequence[E], key: str, at: str) -> list[E]:
    """Return the latest event of each key: one statement writes a row once."""
    latest: dict[Any, E] = {}
    for event in sorted(events, key=lambda event: getattr(event, at)):
        latest[getattr(event, key)] = event
    return list(latest.values())
