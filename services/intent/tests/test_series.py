"""Recurring payments over the real bus and database: each occurrence once, in time or missed as chosen."""

from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from snowrail_events import (
    IntentCancelV1,
    IntentCreatedV1,
    IntentDueV1,
    IntentLowBalanceV1,
    IntentPauseV1,
    IntentRejectedV1,
    IntentResumeV1,
    IntentUpdatedV1,
    PaymentFailedV1,
    PaymentSucceededV1,
    PaymentUpdatedV1,
    TransactionFinalV1,
    TransactionOrphanedV1,
)
from snowrail_kit.ids import derived_id
from snowrail_testkit import Builder, eventually

from .conftest import World
from .samples import PAYER, USDC

DAY = 86_400
FIRST_IN_SECONDS = 600


async def a_series(world: World, symbol: str = "USDC", **terms: Any) -> IntentCreatedV1:
    """Return a daily payment, the first in ten minutes, authorised where a signature does that."""
    values: dict[str, Any] = {
        "kind": "daily",
        "time_zone": "UTC",
        "start_at": world.clock.now() + timedelta(seconds=FIRST_IN_SECONDS),
        "count": 3,
        **terms,
    }
    created = await world.created(symbol, recurrence=values)
    if symbol == "USDC":
        world.approve()
        await world.publish(world.authorise(created))
        await world.status(created.intent_id, "armed")
    return created


async def succeed(world: World, build: Builder, due: IntentDueV1, version: int = 9) -> None:
    """Have the payment of an occurrence end well, and wait until the intent knows."""
    await world.publish(
        build(
            PaymentSucceededV1,
            payment_id=due.payment_id,
            intent_id=due.intent_id,
            occurrence=due.occurrence,
            version=version,
            token=due.token,
            payer=due.order.payer,
            block_number=1,
        )
    )
    await paid(world, due)


async def fail(world: World, build: Builder, due: IntentDueV1, code: str = "insufficient_balance") -> None:
    """Have the payment of an occurrence end without effect, and wait until the intent knows."""
    await world.publish(
        build(
            PaymentFailedV1,
            payment_id=due.payment_id,
            intent_id=due.intent_id,
            occurrence=due.occurrence,
            version=9,
            code=code,
        )
    )


async def paid(world: World, due: IntentDueV1) -> None:
    """Wait until an intent counts the payment of an occurrence; the next may be due at once."""
    await eventually(
        lambda: world.rows(
            "SELECT 1 FROM occurrence JOIN intent USING (intent_id)"
            " WHERE payment_id = $1 AND occurrence.status = 'succeeded' AND next_occurrence > $2",
            due.payment_id,
            due.occurrence,
        )
    )


async def told(world: World, status: str, reason: str | None = None) -> IntentUpdatedV1:
    """Wait until the last that is said of an intent is this state, and return it."""

    async def is_last() -> IntentUpdatedV1 | None:
        said = await world.collect(IntentUpdatedV1, await world.broker.probe.count(IntentUpdatedV1))
        return said[-1] if said and (said[-1].status, said[-1].reason) == (status, reason) else None

    return await eventually(is_last)


async def occurrences(world: World, intent_id: UUID) -> list[tuple[int, int, str]]:
    """Return the occurrences of an intent: number in the calendar, number on chain, how it ended."""
    rows = await world.rows(
        "SELECT slot, occurrence, status FROM occurrence WHERE intent_id = $1 ORDER BY slot", intent_id
    )
    return [(row["slot"], row["occurrence"], row["status"]) for row in rows]


async def test_one_signature_pays_every_occurrence_in_its_time(world: World, build: Builder) -> None:
    created = await a_series(world)
    order = created.order
    assert (order.max_executions, order.min_interval, created.occurrences_total) == (3, DAY, 3)
    assert order.valid_after == int(world.clock.now().timestamp()) + FIRST_IN_SECONDS
    for number in range(3):
        await world.pass_time(DAY if number else FIRST_IN_SECONDS + 3)
        due = (await world.collect(IntentDueV1, number + 1))[-1]
        assert (due.occurrence, due.payment_id) == (number, derived_id("payment", created.intent_id, number))
        assert due.order == order
        await world.settle()
        assert await world.broker.probe.count(IntentDueV1) == number + 1
        await succeed(world, build, due)
    row = await world.status(created.intent_id, "completed")
    assert (row["next_occurrence"], row["missed"], row["last_result"]) == (3, 0, "succeeded")
    last = await told(world, "completed")
    assert (last.occurrences_paid, last.occurrences_total, last.next_run_at) == (3, 3, None)


@pytest.mark.parametrize(
    ("missed", "expected"),
    [
        ("skip", [(0, 0, "skipped"), (1, 0, "skipped")]),
        ("run_once", [(0, 0, "skipped"), (1, 0, "paying")]),
        ("run_all", [(0, 0, "paying")]),
    ],
)
async def test_what_was_missed_is_done_as_its_user_chose(
    world: World, missed: str, expected: list[tuple[int, int, str]]
) -> None:
    created = await a_series(world, missed=missed, count=5)
    await world.pass_time(FIRST_IN_SECONDS + DAY + 2 * 3_600)  # two hours after the second occurrence
    if missed == "skip":

        async def both_missed() -> dict[str, Any] | None:
            found = await world.row(created.intent_id)
            return found if (found["status"], found["missed"]) == ("armed", 2) else None

        row = await eventually(both_missed)
        assert row["not_before"] == created.next_run_at + timedelta(days=2)  # pyright: ignore[reportOptionalOperand]
        assert row["last_result"] == "skipped"
    else:
        await world.collect(IntentDueV1)
    assert await occurrences(world, created.intent_id) == expected


async def test_all_that_was_missed_is_paid_one_after_the_other(world: World, build: Builder) -> None:
    created = await a_series(world, missed="run_all", count=3)
    await world.pass_time(FIRST_IN_SECONDS + 2 * DAY + 7_200)
    for number in range(3):
        due = (await world.collect(IntentDueV1, number + 1))[-1]
        assert due.occurrence == number
        await succeed(world, build, due)
    await world.status(created.intent_id, "completed")


async def test_a_failed_occurrence_ends_no_series(world: World, build: Builder) -> None:
    created = await a_series(world)
    await world.pass_time(FIRST_IN_SECONDS + 3)
    (first,) = await world.collect(IntentDueV1)
    await fail(world, build, first)
    row = await world.status(created.intent_id, "armed", "insufficient_balance")
    assert (row["missed"], row["last_result"], row["next_occurrence"]) == (1, "failed", 0)
    (spent,) = await world.rows("SELECT sum(amount) AS amount FROM spending")
    assert spent["amount"] == 0
    await world.pass_time(DAY)
    second = (await world.collect(IntentDueV1, 2))[-1]
    assert second.occurrence == 0  # the escrow has executed nothing yet
    assert second.payment_id != first.payment_id
    await succeed(world, build, second)
    await world.pass_time(DAY)
    third = (await world.collect(IntentDueV1, 3))[-1]
    await fail(world, build, third)
    row = await world.status(created.intent_id, "completed", "insufficient_balance")
    assert (row["next_occurrence"], row["missed"]) == (1, 2)


async def test_a_series_of_which_nothing_could_be_paid_has_failed(world: World, build: Builder) -> None:
    created = await a_series(world, count=1)
    await world.pass_time(FIRST_IN_SECONDS + 3)
    (only,) = await world.collect(IntentDueV1)
    await fail(world, build, only)
    await world.status(created.intent_id, "failed", "insufficient_balance")


async def test_missing_money_is_told_before_the_day_and_the_occurrence_is_left_out_after_it(
    world: World,
) -> None:
    created = await a_series(world, start_at=world.clock.now() + timedelta(days=3))
    world.monitor.balances[PAYER.address, USDC.address] = 10
    await world.pass_time(2 * DAY - 60)
    await world.settle()
    assert await world.broker.probe.count(IntentLowBalanceV1) == 0
    await world.pass_time(120)
    (warning,) = await world.collect(IntentLowBalanceV1)
    assert (warning.needed, warning.available, warning.reason) == (1_000, 10, "insufficient_funds")
    assert warning.due_at == created.next_run_at
    await world.status(created.intent_id, "awaiting_funds", "insufficient_funds")
    for _ in range(3):
        await world.pass_time(3_600)
    await world.settle()
    assert await world.broker.probe.count(IntentLowBalanceV1) == 1
    await world.pass_time(DAY)  # three hours after it was due
    second = (await world.collect(IntentLowBalanceV1, 2))[-1]
    assert second.due_at == warning.due_at + timedelta(days=1)
    assert await occurrences(world, created.intent_id) == [(0, 0, "skipped")]
    world.monitor.balances[PAYER.address, USDC.address] = 5_000
    await world.pass_time(DAY - 3 * 3_600)
    (due,) = await world.collect(IntentDueV1)
    assert due.payment_id == derived_id("payment", created.intent_id, 1)


async def test_a_paused_series_skips_and_goes_on(world: World) -> None:
    created = await a_series(world)
    names = {"intent_id": created.intent_id, "user_id": world.user_id}
    await world.publish(IntentPauseV1(**names, request_id=uuid4()))
    await world.collect(IntentUpdatedV1, 2)
    await world.pass_time(DAY + 3 * 3_600)
    await world.settle()
    assert await world.broker.probe.count(IntentDueV1) == 0
    await world.publish(IntentResumeV1(**names, request_id=uuid4()))
    await world.pass_time(DAY - 2 * 3_600)
    (due,) = await world.collect(IntentDueV1)
    assert due.payment_id == derived_id("payment", created.intent_id, 2)
    assert (await occurrences(world, created.intent_id))[:2] == [(0, 0, "skipped"), (1, 0, "skipped")]


async def test_a_series_that_is_cancelled_while_it_pays_pays_nothing_more(
    world: World, build: Builder
) -> None:
    created = await a_series(world)
    await world.pass_time(FIRST_IN_SECONDS + 3)
    (due,) = await world.collect(IntentDueV1)
    cancel = IntentCancelV1(intent_id=created.intent_id, user_id=world.user_id, request_id=uuid4())
    await world.publish(cancel)
    await world.status(created.intent_id, "due", "cancel_on_chain_only")
    await succeed(world, build, due)
    await world.status(created.intent_id, "completed")
    await world.pass_time(5 * DAY)
    await world.settle()
    assert await world.broker.probe.count(IntentDueV1) == 1


async def test_a_payment_that_leaves_the_chain_is_paid_again_under_its_own_number(
    world: World, build: Builder
) -> None:
    created = await a_series(world)
    await world.pass_time(FIRST_IN_SECONDS + 3)
    (due,) = await world.collect(IntentDueV1)
    await succeed(world, build, due)
    names = {"payment_id": due.payment_id, "intent_id": due.intent_id, "occurrence": 0}
    await world.publish(build(PaymentUpdatedV1, **names, version=10, step="reopened"))
    await world.status(created.intent_id, "due", "payment_reopened")
    (wallet,) = await world.rows("SELECT paid_block FROM wallet")
    assert wallet["paid_block"] == 0  # the chain may take hours to reach the block again that has left it
    await succeed(world, build, due, version=11)
    row = await world.status(created.intent_id, "armed")
    assert (row["next_occurrence"], row["slot"]) == (1, 1)
    (spent,) = await world.rows("SELECT amount FROM spending")
    assert spent["amount"] == 1_000
    await world.pass_time(DAY)
    assert (await world.collect(IntentDueV1, 2))[-1].occurrence == 1


async def test_a_native_series_is_deposited_ahead_and_asks_for_what_is_lacking(
    world: World, build: Builder
) -> None:
    created = await a_series(world, "CRO", count=3)
    assert created.transaction is not None
    assert created.transaction.value == 3_000
    funded = world.log("funded", created.order_hash, amount=1_500)
    await world.publish(world.fact(TransactionFinalV1, funded))
    await world.status(created.intent_id, "armed")
    await world.pass_time(FIRST_IN_SECONDS + 3)
    (due,) = await world.collect(IntentDueV1)
    await succeed(world, build, due)  # before the chain's own news of the execution
    (warning,) = await world.collect(IntentLowBalanceV1)
    assert (warning.reason, warning.needed, warning.available) == ("deposit_missing", 1_000, 500)
    updated = await told(world, "awaiting_funds", "deposit_missing")
    assert updated.next_step is not None
    assert (updated.next_step.purpose, updated.next_step.value) == ("deposit", 1_500)
    executed = world.log("executed", created.order_hash)
    more = world.log("funded", created.order_hash, amount=500, log_index=1)
    await world.publish(world.fact(TransactionFinalV1, executed, more))
    await world.status(created.intent_id, "armed")
    await world.pass_time(DAY)
    assert (await world.collect(IntentDueV1, 2))[-1].occurrence == 1


async def test_terms_that_cannot_repeat_are_refused(world: World) -> None:
    now = world.clock.now()
    daily: dict[str, Any] = {"kind": "daily", "time_zone": "UTC", "start_at": now}
    commands = [
        (world.create(recurrence={**daily, "time_zone": "Mars/Olympus"}), "invalid_recurrence"),
        (world.create(recurrence={**daily, "start_at": now - timedelta(days=1)}), "invalid_recurrence"),
        (world.create(recurrence={**daily, "count": 2_000}), "invalid_recurrence"),
        (world.create("CRO", recurrence=daily), "invalid_recurrence"),
        (world.create(recurrence=daily, not_before=now + timedelta(days=1)), "invalid_recurrence"),
        (world.create(amount=600 * 10**6, recurrence={**daily, "kind": "cron", "cron": "0 * * * *"}),
         "limit_exceeded"),
        (world.create(condition={"kind": "price", "comparison": "below", "value": "1"}), "invalid_condition"),
        (world.create(condition={"kind": "price", "token": "DOGE", "comparison": "below", "value": "1"}),
         "unknown_price"),
    ]  # fmt: skip
    await world.publish(*(command for command, _ in commands))
    rejected = await world.collect(IntentRejectedV1, len(commands))
    codes = {item.intent_id: item.code for item in rejected}
    assert [codes[command.intent_id] for command, _ in commands] == [code for _, code in commands]
    assert await world.rows("SELECT * FROM intent") == []


async def reopen(world: World, build: Builder, due: IntentDueV1, version: int = 10) -> None:
    """Have the block of a payment leave the chain."""
    names = {"payment_id": due.payment_id, "intent_id": due.intent_id, "occurrence": due.occurrence}
    await world.publish(build(PaymentUpdatedV1, **names, version=version, step="reopened"))

    async def is_paying() -> bool:
        query = "SELECT 1 AS one FROM occurrence WHERE payment_id = $1 AND status = 'paying'"
        return bool(await world.rows(query, due.payment_id))

    await eventually(is_paying)


async def two_paid(world: World, build: Builder, **terms: Any) -> tuple[IntentCreatedV1, list[IntentDueV1]]:
    """Return a series of which two occurrences are paid."""
    created = await a_series(world, count=4, **terms)
    for number in range(2):
        await world.pass_time(DAY if number else FIRST_IN_SECONDS + 3)
        await succeed(world, build, (await world.collect(IntentDueV1, number + 1))[-1])
    return created, await world.collect(IntentDueV1, 2)


async def spent_per_day(world: World) -> list[int]:
    """Return what the user's payments take of the limits, by day."""
    rows = await world.rows("SELECT amount FROM spending ORDER BY day")
    return [int(row["amount"]) for row in rows]


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
async def test_a_rollback_of_several_occurrences_holds_up_the_next_one_and_nobody_else(
    world: World, build: Builder, order: tuple[int, int]
) -> None:
    created, paid_before = await two_paid(world, build)
    for number in order:
        await reopen(world, build, paid_before[number])
    await world.status(created.intent_id, "due", "payment_reopened")
    await world.publish(
        build(
            PaymentSucceededV1,
            payment_id=paid_before[0].payment_id,
            intent_id=created.intent_id,
            occurrence=0,
            version=12,
            token=created.token,
            payer=PAYER.address,
            block_number=1,
        )
    )
    await world.pass_time(DAY)
    await world.settle()
    assert await world.broker.probe.count(IntentDueV1) == 2  # the second payment is still under way
    await succeed(world, build, paid_before[1], version=12)
    third = (await world.collect(IntentDueV1, 3))[-1]
    assert third.occurrence == 2
    assert await spent_per_day(world) == [1_000, 1_000, 1_000]


async def test_a_rollback_of_one_occurrence_while_the_next_is_in_flight(world: World, build: Builder) -> None:
    created, _ = await two_paid(world, build, missed="run_all")
    await world.pass_time(DAY)
    _, second, third = await world.collect(IntentDueV1, 3)
    await reopen(world, build, second)
    row = await world.status(created.intent_id, "due")
    assert row["next_occurrence"] == 2
    await fail(world, build, third, "occurrence_mismatch")  # the escrow waits for the one before it
    row = await world.status(created.intent_id, "due", "payment_reopened")
    assert (row["next_occurrence"], row["missed"]) == (1, 1)
    assert await spent_per_day(world) == [1_000, 1_000, 0]
    await world.pass_time(DAY)
    await world.settle()
    assert await world.broker.probe.count(IntentDueV1) == 3
    await succeed(world, build, second, version=12)
    fourth = (await world.collect(IntentDueV1, 4))[-1]
    assert fourth.occurrence == 2  # which nothing has paid yet
    assert await occurrences(world, created.intent_id) == [
        (0, 0, "succeeded"),
        (1, 1, "succeeded"),
        (2, 2, "failed"),
        (3, 2, "paying"),
    ]


@pytest.mark.parametrize("heard_of", [True, False])
async def test_a_payment_that_left_the_chain_for_good_is_not_counted(
    world: World, build: Builder, heard_of: bool
) -> None:
    created, (_, second) = await two_paid(world, build)
    if heard_of:
        await reopen(world, build, second, version=8 + 2)
    names = {"payment_id": second.payment_id, "intent_id": second.intent_id, "occurrence": 1}
    await world.publish(build(PaymentFailedV1, **names, version=11, code="nonce_taken"))
    await world.status(created.intent_id, "armed", "nonce_taken")
    assert await spent_per_day(world) == [1_000, 0]
    await world.pass_time(DAY)
    assert (await world.collect(IntentDueV1, 3))[-1].occurrence == 1


async def test_a_series_whose_deposit_left_the_chain_ends_in_its_time(world: World, build: Builder) -> None:
    created = await a_series(world, "CRO", count=2)
    funded = world.log("funded", created.order_hash, amount=2_000)
    await world.publish(world.fact(TransactionFinalV1, funded, block=7, nonce=7))
    await world.status(created.intent_id, "armed")
    await world.pass_time(FIRST_IN_SECONDS + 3)
    (due,) = await world.collect(IntentDueV1)
    await succeed(world, build, due)
    await world.publish(world.fact(TransactionOrphanedV1, funded, block=7, nonce=7))
    await world.status(created.intent_id, "awaiting_authorisation", "funding_orphaned")
    await world.pass_time(400 * DAY)
    await world.status(created.intent_id, "completed", "occurrences_missed")
