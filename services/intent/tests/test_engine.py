"""The engine: bounded passes, several replicas at once, a chain that is away, and what is forgotten."""

from datetime import timedelta
from decimal import Decimal
from uuid import uuid4

import asyncpg

from snowrail_chain.addresses import NATIVE_TOKEN
from snowrail_events import IntentCancelledV1, IntentCreatedV1, IntentDueV1, IntentRejectedV1, IntentUpdatedV1
from snowrail_intent.settings import LevelLimitSettings, TokenLimitSettings
from snowrail_intent.usecases.engine import evaluate_due, prune
from snowrail_kit.telemetry import TASK_FAILURES
from snowrail_testkit import eventually

from .conftest import RunIntent, World
from .samples import PAYER, RECIPIENT, USDC

BOUNDLESS = TokenLimitSettings(per_transaction=Decimal(10**9), per_day=Decimal(10**9))
GENEROUS = {0: LevelLimitSettings(gas_per_day=10**12, tokens={"USDC": BOUNDLESS})}


async def armed(world: World, count: int) -> list[IntentCreatedV1]:
    """Return signed intents that become due together in an hour."""
    world.approve()
    at = world.clock.now() + timedelta(hours=1)
    await world.publish(*(world.create(amount=number + 1, not_before=at) for number in range(count)))
    created = await world.collect(IntentCreatedV1, count)
    await world.publish(*(world.authorise(intent) for intent in created))
    await world.collect(IntentUpdatedV1, count)
    return created


async def test_many_intents_become_due_in_bounded_passes(run_intent: RunIntent) -> None:
    async with run_intent(payment_limits=GENEROUS, check_batch_intents=10) as world:
        await world.register()
        created = await armed(world, 45)
        asked_before = len(world.monitor.questions)
        await world.pass_time(3_603)
        due = await world.collect(IntentDueV1, 45)
        assert {item.intent_id for item in due} == {item.intent_id for item in created}
        assert len(world.monitor.questions) - asked_before <= 6


async def test_replicas_make_each_occurrence_due_once(run_intent: RunIntent) -> None:
    async with (
        run_intent(payment_limits=GENEROUS, check_batch_intents=20) as world,
        run_intent(payment_limits=GENEROUS, check_batch_intents=20) as other,
    ):
        await world.register()
        created = await armed(world, 100)
        world.clock.advance(3_603)
        for _ in range(5):
            world.running.parts.wake_engine()
            other.running.parts.wake_engine()
        due = await world.collect(IntentDueV1, 100)
        await world.settle()
        assert await world.broker.probe.count(IntentDueV1) == 100
        assert len({item.payment_id for item in due}) == len(created)


async def test_replicas_never_exceed_a_limit_together(run_intent: RunIntent) -> None:
    limit = TokenLimitSettings(per_transaction=Decimal("0.001"), per_day=Decimal("0.05"))
    limits = {0: LevelLimitSettings(gas_per_day=10**12, tokens={"USDC": limit})}
    options = {"payment_limits": limits, "consumer_batch_messages": 8}
    async with run_intent(**options) as world, run_intent(**options):
        await world.register()
        await world.settle()
        await world.publish(
            *(world.create(amount=1_000, acknowledged=("duplicate_payment",)) for _ in range(80))
        )
        created = await world.collect(IntentCreatedV1, 50)
        await world.collect(IntentRejectedV1, 30)
        assert sum(item.amount for item in created) == 50_000


async def test_a_chain_that_is_away_is_recorded_and_asked_again(world: World) -> None:
    (intent,) = await armed(world, 1)
    world.monitor.is_available = False
    await world.pass_time(3_603)

    async def is_recorded() -> bool:
        return bool(await world.rows("SELECT 1 AS one FROM evaluation WHERE reason = 'chain_unavailable'"))

    await eventually(is_recorded)
    assert (await world.row(intent.intent_id))["status"] == "armed"
    world.monitor.is_available = True
    await world.pass_time(2)
    await world.collect(IntentDueV1)


async def test_funds_that_left_meanwhile_are_noticed_before_anything_is_sent(world: World) -> None:
    (intent,) = await armed(world, 1)
    world.monitor.balances[PAYER.address, USDC.address] = 0
    await world.pass_time(3_603)
    await world.status(intent.intent_id, "awaiting_funds", "insufficient_funds")
    assert await world.broker.probe.count(IntentDueV1) == 0


def failed_passes() -> float:
    """Return how many passes of the engine have failed in this process."""
    return TASK_FAILURES.labels("evaluate")._value.get()  # pyright: ignore[reportPrivateUsage]


async def test_what_is_cancelled_while_the_engine_asks_the_chain_stays_cancelled(world: World) -> None:
    (intent,) = await armed(world, 1)
    failed_before = failed_passes()
    path = f"/intents/{intent.intent_id}"
    world.monitor.meanwhile = lambda: world.running.http.delete(path, headers=world.headers())
    await world.pass_time(3_603)
    await world.status(intent.intent_id, "cancelled", "cancelled_by_user")
    await world.settle()
    assert await world.broker.probe.count(IntentDueV1) == 0
    assert failed_passes() == failed_before


async def test_what_another_replica_made_due_is_left_alone(world: World) -> None:
    (intent,) = await armed(world, 1)
    failed_before = failed_passes()
    world.monitor.meanwhile = lambda: evaluate_due(world.running.parts)
    await world.pass_time(3_603)
    await world.collect(IntentDueV1)
    await world.settle()
    assert await world.broker.probe.count(IntentDueV1) == 1
    assert await world.broker.probe.count(IntentCancelledV1) == 0
    assert (await world.row(intent.intent_id))["status"] == "due"
    assert failed_passes() == failed_before


async def test_only_wallets_that_matter_are_asked_about(world: World) -> None:
    await armed(world, 3)
    await world.pass_time(3_603)
    await world.collect(IntentDueV1, 3)
    question = world.monitor.questions[-1]
    assert question["queries"] == [{"address": PAYER.address, "token": USDC.address}]
    (allowance,) = question["allowances"]
    assert allowance["spender"] == world.chain.escrow
    await world.created("CRO", recipient=RECIPIENT)
    assert world.monitor.questions[-1]["queries"][0]["token"] == NATIVE_TOKEN
    assert world.monitor.questions[-1]["allowances"] == []


async def test_old_records_are_pruned(world: World) -> None:
    (intent,) = await armed(world, 1)
    await world.pass_time(3_603)
    await world.collect(IntentDueV1)
    assert len(await world.rows("SELECT * FROM evaluation")) == 2
    assert not await prune(world.running.parts)
    assert len(await world.rows("SELECT * FROM evaluation")) == 2
    world.clock.advance(timedelta(days=31))
    assert not await prune(world.running.parts)
    assert await world.rows("SELECT * FROM evaluation") == []
    assert (await world.row(intent.intent_id))["status"] == "due"


async def test_an_intent_that_cannot_be_judged_holds_up_no_other(run_intent: RunIntent) -> None:
    async with run_intent(payment_limits=GENEROUS) as world:
        await world.register()
        created = await armed(world, 5)
        poisoned = created[2].intent_id
        connection = await asyncpg.connect(world.database.superuser_url, ssl=False)
        await connection.execute(
            "INSERT INTO occurrence (intent_id, slot, occurrence, payment_id, status, step, version,"
            " scheduled_at, due_at, changed_at)"
            " VALUES ($1, 99, 0, $2, 'paying', 'due', 0, now(), now(), now())",
            poisoned,
            uuid4(),
        )
        await connection.close()
        failures = failed_passes()
        await world.pass_time(3_603)
        due = await world.collect(IntentDueV1, 4)
        assert {item.intent_id for item in due} == {item.intent_id for item in created} - {poisoned}

        async def is_told() -> bool:
            return failed_passes() > failures

        await eventually(is_told)
        await world.status(poisoned, "armed")
