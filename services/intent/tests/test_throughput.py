"""How many commands one process handles; run by `make bench`."""

import time
from collections.abc import Awaitable, Callable
from decimal import Decimal
from uuid import uuid4

import pytest

from snowrail_events import IntentCreatedV1, IntentDueV1
from snowrail_intent.settings import LevelLimitSettings, TokenLimitSettings
from snowrail_testkit import eventually

from .conftest import RunIntent, World

COMMANDS = 2_000
USERS = 20
LEAST_PER_SECOND = 500
BOUNDLESS = TokenLimitSettings(per_transaction=Decimal(10**9), per_day=Decimal(10**9))
LEVEL = LevelLimitSettings(gas_per_day=10**15, tokens={"USDC": BOUNDLESS})


async def seconds_until(condition: Callable[[], Awaitable[bool]]) -> float:
    started = time.monotonic()
    await eventually(condition, timeout_seconds=60)
    return time.monotonic() - started


@pytest.mark.bench
async def test_authorisations_per_second(run_intent: RunIntent, capsys: pytest.CaptureFixture[str]) -> None:
    users = [uuid4() for _ in range(USERS)]
    async with run_intent() as world:
        for user_id in users:
            await world.register(user_id)
        await world.settle()
        commands = [
            world.create(user_id=users[number % USERS], amount=number + 1) for number in range(COMMANDS)
        ]
    for command in commands:
        await world.publish(command)

    async def has(world: World, event: type[IntentCreatedV1 | IntentDueV1]) -> bool:
        return await world.broker.probe.count(event) >= COMMANDS

    async with run_intent(payment_limits={0: LEVEL}) as world:
        creating = await seconds_until(lambda: has(world, IntentCreatedV1))
        created = await world.collect(IntentCreatedV1, COMMANDS)
    for intent in created:
        await world.publish(world.authorise(intent, user_id=intent.user_id))
    world.approve()
    async with run_intent() as world:
        authorising = await seconds_until(lambda: has(world, IntentDueV1))
    with capsys.disabled():
        print(f"\ncreated {COMMANDS / creating:,.0f}/s, authorised and due {COMMANDS / authorising:,.0f}/s")
    assert COMMANDS / authorising > LEAST_PER_SECOND
