"""Several payments of one wallet: none counts on atoms that another is about to take."""

from typing import Any
from uuid import UUID, uuid4

from snowrail_events import (
    IntentCreatedV1,
    IntentDueV1,
    IntentUpdatedV1,
    PaymentFailedV1,
    PaymentSucceededV1,
    TransactionIncludedV1,
)
from snowrail_events.parts import UnsignedTransaction
from snowrail_testkit import Builder, eventually
from snowrail_testkit.escrow import PAYER_KEYS, Payer

from .conftest import World
from .samples import PAYER, USDC

WALLET = (PAYER.address, USDC.address)


async def test_two_payments_signed_at_once_do_not_count_on_the_same_allowance(
    world: World, build: Builder
) -> None:
    world.approve(amount=1_999)
    created = [await world.created(amount=amount) for amount in (1_000, 999, 998)]
    await world.publish(*(world.authorise(intent) for intent in created))
    first, second = await world.collect(IntentDueV1, 2)
    (waiting,) = [intent for intent in created if intent.intent_id not in (first.intent_id, second.intent_id)]
    await world.status(waiting.intent_id, "delayed", "earlier_payments")
    world.approve(amount=999)
    world.monitor.block_number = 6
    await world.publish(succeeded(build, first, 6), failed(build, second))
    due = (await world.collect(IntentDueV1, 3))[-1]
    assert due.intent_id == waiting.intent_id
    await world.status(waiting.intent_id, "due")


async def test_a_payment_in_flight_is_not_counted_twice_once_the_reading_shows_it(world: World) -> None:
    world.approve(amount=1_500)
    first, second = await world.created(amount=1_000), await world.created(amount=500)
    await world.publish(world.authorise(first))
    await world.collect(IntentDueV1)
    world.approve(amount=500)
    await world.publish(world.authorise(second))
    await world.status(second.intent_id, "delayed", "earlier_payments")
    included = world.fact(TransactionIncludedV1, world.log("executed", first.order_hash), block=5)
    await world.publish(included)
    await world.heard(TransactionIncludedV1)
    await world.pass_time(2)
    await world.settle()
    await world.status(second.intent_id, "delayed", "earlier_payments")  # read at block 1
    world.monitor.block_number = 5
    await world.pass_time(60)
    await world.status(second.intent_id, "due")


async def test_a_reading_from_before_the_last_payment_decides_nothing(world: World, build: Builder) -> None:
    world.approve(amount=2_000)
    first, second = await world.created(amount=1_000), await world.created(amount=900)
    await world.publish(world.authorise(first))
    (due,) = await world.collect(IntentDueV1)
    await world.publish(succeeded(build, due, 6))
    await world.status(first.intent_id, "completed")
    await world.publish(world.authorise(second))  # the chain is still read at block 1
    await world.status(second.intent_id, "armed")
    await world.publish(world.create(amount=1))
    await world.settle()
    assert await world.broker.probe.count(IntentCreatedV1) == 2
    world.approve(amount=0)
    world.monitor.block_number = 6
    await world.pass_time(2)
    await world.status(second.intent_id, "awaiting_approval", "approval_missing")
    third = (await world.collect(IntentCreatedV1, 3))[-1]
    assert third.approval is not None


async def test_the_approval_asked_for_leaves_what_was_promised(world: World) -> None:
    world.approve(amount=1_000)
    first = await world.created(amount=1_000)
    assert first.approval is None
    await world.publish(world.authorise(first))
    await world.collect(IntentDueV1)
    second = await world.created(amount=300)
    assert second.approval is not None
    assert int(second.approval.data[-64:], 16) == 1_300
    assert (await world.row(second.intent_id))["approval_amount"] == 1_300


def approved(approval: UnsignedTransaction | None) -> int:
    """Return the atoms that an approval is for."""
    assert approval is not None, "an approval is offered"
    assert approval.purpose == "approve"
    return int(approval.data[-64:], 16)


async def test_every_approval_that_is_offered_covers_all_that_waits_for_one(world: World) -> None:
    first = await world.created(amount=500)
    assert approved(first.approval) == 500
    amounts = (600, 700)
    await world.publish(*(world.create(amount=amount) for amount in amounts))
    created = await world.collect(IntentCreatedV1, 3)
    last = approved(created[-1].approval)
    assert last == 1_800, "nothing more than what is open, and all of it"
    for intent in created:
        assert (await world.row(intent.intent_id))["approval_amount"] == 1_800

    async def raised() -> bool:
        told = await world.collect(IntentUpdatedV1, await world.broker.probe.count(IntentUpdatedV1))
        own = [item for item in told if item.intent_id == first.intent_id]
        assert {item.status for item in own} <= {"awaiting_authorisation"}
        return bool(own) and approved(own[-1].next_step) == 1_800

    await eventually(raised)
    world.approve(amount=1_800)
    await world.publish(*(world.authorise(intent) for intent in created))
    due = await world.collect(IntentDueV1, 3)
    assert {item.intent_id for item in due} == {intent.intent_id for intent in created}


async def test_an_approval_that_is_missed_later_is_for_all_that_is_open(world: World) -> None:
    world.approve(amount=1_000)
    created = [await world.created(amount=amount) for amount in (600, 700)]
    assert [intent.approval for intent in created] == [None, None]
    world.approve(amount=0)
    await world.publish(*(world.authorise(intent) for intent in created))
    for intent in created:
        await world.status(intent.intent_id, "awaiting_approval", "approval_missing")
        assert (await world.row(intent.intent_id))["approval_amount"] == 1_300


async def test_the_wallets_of_others_are_none_of_its_business(world: World) -> None:
    other = Payer(PAYER_KEYS[2])
    await world.register(user_id := uuid4(), other)
    world.approve(amount=1_000)
    world.monitor.allowances[other.address, USDC.address] = 1_000
    first = await world.created(amount=1_000)
    second = await world.created(amount=1_000, user_id=user_id, payer=other.address)
    await world.publish(world.authorise(first), world.authorise(second, other, user_id=user_id))
    await world.collect(IntentDueV1, 2)


def succeeded(build: Builder, due: IntentDueV1, block: int) -> PaymentSucceededV1:
    """Return the news that a payment is final in a block."""
    return build(PaymentSucceededV1, **payment(due), payer=WALLET[0], token=due.token, block_number=block)


def failed(build: Builder, due: IntentDueV1) -> PaymentFailedV1:
    """Return the news that a payment ended without effect."""
    return build(PaymentFailedV1, **payment(due))


def payment(due: IntentDueV1) -> dict[str, Any]:
    """Return what names the payment of a due intent."""
    return {
        "payment_id": due.payment_id,
        "intent_id": UUID(str(due.intent_id)),
        "user_id": due.user_id,
        "occurrence": 0,
        "version": 2,
    }
