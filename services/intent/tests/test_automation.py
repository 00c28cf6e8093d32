"""Conditions and limits over time, over the real bus and database."""

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from snowrail_events import GasPriceUpdatedV1, IntentCreatedV1, IntentDueV1, IntentRejectedV1, PriceUpdatedV1
from snowrail_intent.settings import LevelLimitSettings, TokenLimitSettings
from snowrail_testkit import eventually

from .conftest import RunIntent, World

BELOW = {"kind": "price", "token": "CRO", "comparison": "below", "value": "0.10"}


async def say_price(world: World, price: str, symbol: str = "CRO", currency: str = "USD") -> None:
    """Publish a price as of now, and wait until a price in US dollars is known."""
    await world.publish(
        PriceUpdatedV1(
            symbol=symbol,
            currency=currency,
            price=price,
            source="coingecko",
            observed_at=world.clock.now(),
        )
    )

    async def is_known() -> bool:
        query = "SELECT 1 AS one FROM token_price WHERE symbol = $1 AND price = $2::text::numeric"
        return currency != "USD" or bool(await world.rows(query, symbol, price))

    await eventually(is_known)


async def authorised(world: World, **terms: Any) -> IntentCreatedV1:
    """Return an intent with these terms that its payer has signed."""
    world.approve()
    created = await world.created(**terms)
    await world.publish(world.authorise(created))
    return created


async def test_a_price_condition_is_met_by_the_event_that_meets_it(world: World) -> None:
    intent = await authorised(world, condition=BELOW)
    await world.status(intent.intent_id, "delayed", "price_unknown")
    await say_price(world, "0.10")
    await world.pass_time(3)
    await world.status(intent.intent_id, "delayed", "price_condition_unmet")
    await say_price(world, "0.05", symbol="WCRO")
    await say_price(world, "0.05", currency="EUR")
    await world.settle()
    assert await world.broker.probe.count(IntentDueV1) == 0
    await say_price(world, "0.0999")  # the clock stands still: only the event has it looked at
    await world.collect(IntentDueV1)
    (last,) = await world.rows("SELECT inputs FROM evaluation WHERE status = 'due'")
    assert '"price": "0.0999"' in last["inputs"]
    assert '"condition": "price below 0.1' in last["inputs"]


async def test_a_price_that_is_too_old_meets_nothing(world: World) -> None:
    await say_price(world, "0.05")
    world.clock.advance(901)
    intent = await authorised(world, condition=BELOW)
    await world.status(intent.intent_id, "delayed", "price_stale")
    await say_price(world, "0.05")
    await world.collect(IntentDueV1)


async def test_a_gas_price_to_stay_below_is_also_the_orders_ceiling(world: World) -> None:
    condition = {"kind": "gas", "comparison": "below", "value": "7"}
    intent = await authorised(world, condition=condition)
    assert intent.order.max_gas_price == 6
    await world.status(intent.intent_id, "delayed", "gas_condition_unmet")
    world.monitor.gas_price = 6
    await world.publish(
        GasPriceUpdatedV1(
            chain_id=31337, block_number=5, gas_price=6, base_fee=1, observed_at=world.clock.now()
        )
    )
    await world.collect(IntentDueV1)


async def test_a_safety_buffer_is_signed_and_kept(world: World) -> None:
    intent = await authorised(world, safety_buffer=500)
    assert intent.order.safety_buffer == 500
    await world.collect(IntentDueV1)


def limits(per_day: str, per_month: str, gas_per_day: int = 10**12) -> dict[str, Any]:
    """Settings with limits of USDC for everybody."""
    limit = TokenLimitSettings(
        per_transaction=Decimal("0.001"), per_day=Decimal(per_day), per_month=Decimal(per_month)
    )
    return {"payment_limits": {0: LevelLimitSettings(gas_per_day=gas_per_day, tokens={"USDC": limit})}}


async def test_what_is_scheduled_counts_on_its_own_day(run_intent: RunIntent) -> None:
    async with run_intent(**limits("0.002", "0.1")) as world:
        await world.register()
        tomorrow = world.clock.now() + timedelta(days=1)
        options: dict[str, Any] = {"not_before": tomorrow, "acknowledged": ("duplicate_payment",)}
        for _ in range(2):
            await world.created(**options)
        await world.created(acknowledged=("duplicate_payment",))  # today is free
        await world.publish(world.create(**options))
        (rejected,) = await world.collect(IntentRejectedV1)
        assert rejected.code == "limit_exceeded"
        assert f"on {tomorrow:%Y-%m-%d}" in rejected.detail


async def test_a_month_has_a_limit_of_its_own(run_intent: RunIntent) -> None:
    async with run_intent(**limits("0.002", "0.003")) as world:
        await world.register()
        world.clock.set(world.clock.now().replace(day=10))
        for days in (0, 1, 2):
            await world.created(
                amount=1_000 - days, not_before=world.clock.now() + timedelta(days=days, seconds=1)
            )
        await world.publish(world.create(not_before=world.clock.now() + timedelta(days=3)))
        (rejected,) = await world.collect(IntentRejectedV1)
        assert rejected.code == "limit_exceeded"
        assert "this month" in rejected.detail
        await world.created(amount=997, not_before=world.clock.now() + timedelta(days=40))


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (limits("0.001", "1"), "daily_limit_exceeded"),
        (limits("1", "0.001"), "monthly_limit_exceeded"),
        (limits("1", "1", gas_per_day=170_000), "sponsored_fees_exhausted"),
    ],
)
async def test_an_occurrence_is_held_to_the_limits_of_the_day_it_falls_due(
    run_intent: RunIntent, options: dict[str, Any], reason: str
) -> None:
    async with run_intent(**options) as world:
        await world.register()
        world.clock.set(world.clock.now().replace(day=10, hour=12))
        intent = await authorised(world, not_before=world.clock.now() + timedelta(minutes=10))
        await world.status(intent.intent_id, "armed")
        # by the time it falls due, the next day, other payments of that day have used the limits
        await world.rows(
            "INSERT INTO spending SELECT user_id, day + 1, token, amount, gas FROM spending RETURNING 1"
        )
        world.clock.advance(86_000)
        await world.pass_time(1)
        await world.status(intent.intent_id, "delayed", reason)
        assert await world.broker.probe.count(IntentDueV1) == 0
