"""Facts about the chain over the real bus: deposits authorise, cancellations end, orphans take back."""

from datetime import timedelta
from typing import Any

import pytest

from snowrail_events import (
    GasPriceUpdatedV1,
    IntentCancelledV1,
    IntentCreatedV1,
    IntentDueV1,
    IntentUpdatedV1,
    PaymentBlockedV1,
    PaymentCancelledV1,
    PaymentFailedV1,
    PaymentSucceededV1,
    PaymentUpdatedV1,
    TransactionFinalV1,
    TransactionIncludedV1,
    TransactionOrphanedV1,
)
from snowrail_testkit import Builder

from .conftest import World
from .samples import STRANGER


async def gas(world: World, price: int) -> None:
    """Tell the chain's gas price."""
    await world.publish(
        GasPriceUpdatedV1(
            chain_id=31337, block_number=1, gas_price=price, base_fee=1, observed_at=world.clock.now()
        )
    )
    await world.heard(GasPriceUpdatedV1)


async def funded(world: World, **changes: Any) -> IntentCreatedV1:
    """Return a native intent whose deposit is final."""
    created = await world.created("CRO", **changes)
    await world.publish(world.fact(TransactionFinalV1, world.log("funded", created.order_hash)))
    return created


def payment(created: IntentCreatedV1, due: IntentDueV1, **changes: Any) -> dict[str, Any]:
    """Return what all facts about the payment of an intent have in common."""
    return {
        "payment_id": due.payment_id, "intent_id": created.intent_id, "user_id": created.user_id,
        "recipient": created.recipient, "payer": created.payer, "occurrence": 0, "version": 2, **changes,
    }  # fmt: skip


async def test_a_final_deposit_is_an_authorisation(world: World) -> None:
    await gas(world, 7)
    created = await world.created("CRO")
    log = world.log("funded", created.order_hash)
    await world.publish(world.fact(TransactionIncludedV1, log, block=1))
    await world.status(created.intent_id, "awaiting_authorisation", "funding_confirming")
    await world.publish(world.fact(TransactionFinalV1, log, block=1))
    (due,) = await world.collect(IntentDueV1)
    assert (due.signature, due.order) == ("0x", created.order)
    updates = await world.collect(IntentUpdatedV1, 2)
    assert [item.reason for item in updates] == ["funding_confirming", None]
    assert world.monitor.questions[-1]["queries"]  # asked when it was created, not again


async def test_part_of_a_deposit_is_not_enough(world: World) -> None:
    await gas(world, 7)
    created = await world.created("CRO")
    await world.publish(world.fact(TransactionFinalV1, world.log("funded", created.order_hash, amount=999)))
    await world.status(created.intent_id, "awaiting_authorisation", "funding_partial")
    await world.publish(world.fact(TransactionFinalV1, world.log("funded", created.order_hash, amount=1)))
    await world.collect(IntentDueV1)


async def test_facts_told_twice_count_once(world: World) -> None:
    await gas(world, 7)
    created = await world.created("CRO")
    fact = world.fact(TransactionFinalV1, world.log("funded", created.order_hash, amount=500), block=9)
    await world.publish(fact, fact)
    await world.status(created.intent_id, "awaiting_authorisation", "funding_partial")
    await world.heard(TransactionFinalV1)
    (order,) = await world.rows("SELECT deposit FROM intent_order")
    assert order["deposit"] == 500


async def test_facts_that_do_not_count(world: World) -> None:
    await gas(world, 7)
    native, token = await world.created("CRO"), await world.created("USDC")
    await world.publish(
        world.fact(TransactionFinalV1, world.log("funded", native.order_hash), succeeded=False),
        world.fact(TransactionFinalV1, world.log("funded", native.order_hash), chain_id=338),
        world.fact(TransactionFinalV1, world.log("funded", "0x" + "77" * 32)),
        world.fact(TransactionFinalV1, world.log("funded", token.order_hash), sender=STRANGER.address),
        world.fact(TransactionFinalV1),
    )
    await world.settle()
    assert await world.broker.probe.count(IntentDueV1) == 0
    await world.publish(world.fact(TransactionFinalV1, world.log("funded", token.order_hash, amount=1)))
    await world.collect(IntentUpdatedV1)


async def test_a_token_deposit_by_the_payer_needs_no_signature(world: World) -> None:
    await gas(world, 7)
    created = await world.created("USDC")
    await world.publish(world.fact(TransactionFinalV1, world.log("funded", created.order_hash)))
    (due,) = await world.collect(IntentDueV1)
    assert due.signature == "0x"


async def test_a_deposit_that_leaves_the_chain_before_the_payment_takes_the_authorisation_back(
    world: World,
) -> None:
    await gas(world, 7)
    created = await world.created("CRO", not_before=world.clock.now() + timedelta(hours=1))
    log = world.log("funded", created.order_hash)
    await world.publish(world.fact(TransactionFinalV1, log, block=3))
    await world.status(created.intent_id, "armed")
    await world.publish(world.fact(TransactionOrphanedV1, log, block=3))
    await world.status(created.intent_id, "awaiting_authorisation", "funding_orphaned")
    await world.publish(world.fact(TransactionFinalV1, log, block=3))  # late news of the same block
    await world.settle()
    assert (await world.row(created.intent_id))["status"] == "awaiting_authorisation"
    await world.publish(world.fact(TransactionFinalV1, log, block=4, tx_hash=f"0x{3:064x}"))
    await world.status(created.intent_id, "armed")


async def test_a_gas_price_above_the_ceiling_delays_until_it_falls(world: World) -> None:
    await gas(world, 36)
    created = await funded(world)
    row = await world.status(created.intent_id, "delayed", "gas_price_above_ceiling")
    assert row["waiting_since"] == world.clock.now()
    world.monitor.gas_price = 36
    await world.collect(IntentUpdatedV1)
    await world.pass_time(2)
    await world.settle()
    assert await world.broker.probe.count(IntentUpdatedV1) == 1
    world.clock.advance(0.5)
    world.monitor.gas_price = 35
    await gas(world, 35)
    await world.collect(IntentDueV1)


async def test_an_unknown_gas_price_is_asked_for(world: World) -> None:
    created = await funded(world)
    await world.status(created.intent_id, "delayed", "gas_price_unknown")
    await world.pass_time(2)
    await world.collect(IntentDueV1)


async def test_a_cancellation_on_chain_ends_an_intent_and_says_what_came_back(world: World) -> None:
    await gas(world, 7)
    created = await funded(world, not_before=world.clock.now() + timedelta(hours=1))
    await world.status(created.intent_id, "armed")
    log = world.log("cancelled", created.order_hash, amount=1_000)
    await world.publish(world.fact(TransactionFinalV1, log, block=5))
    (cancelled,) = await world.collect(IntentCancelledV1)
    assert cancelled.on_chain
    updated = (await world.collect(IntentUpdatedV1, 2))[-1]
    assert (updated.status, updated.reason, updated.refunded) == ("cancelled", "cancelled_on_chain", 1_000)
    assert updated.next_step is None
    await world.publish(world.fact(TransactionOrphanedV1, log, block=5))
    row = await world.status(created.intent_id, "cancelled", "cancellation_orphaned")
    assert row["next_check_at"] is None
    again = (await world.collect(IntentUpdatedV1, 3))[-1]
    assert again.next_step is not None
    assert again.next_step.purpose == "cancel"


async def test_stopped_first_and_then_cancelled_on_chain_is_said_twice(world: World) -> None:
    await gas(world, 7)
    created = await funded(world, not_before=world.clock.now() + timedelta(hours=1))
    await world.status(created.intent_id, "armed")
    await world.publish(world.cancel(created.intent_id))
    await world.collect(IntentCancelledV1)
    await world.publish(world.fact(TransactionFinalV1, world.log("cancelled", created.order_hash)))
    cancellations = await world.collect(IntentCancelledV1, 2)
    assert [item.on_chain for item in cancellations] == [False, True]


async def test_a_deposit_after_the_end_is_offered_back(world: World) -> None:
    created = await world.created("CRO")
    await world.publish(world.cancel(created.intent_id))
    await world.collect(IntentCancelledV1)
    await world.publish(world.fact(TransactionFinalV1, world.log("funded", created.order_hash)))
    await world.status(created.intent_id, "cancelled", "deposit_to_return")
    updated = (await world.collect(IntentUpdatedV1, 2))[-1]
    assert updated.next_step is not None
    assert updated.next_step.purpose == "cancel"
    await world.publish(world.fact(TransactionFinalV1, world.log("returned", created.order_hash)))
    updated = (await world.collect(IntentUpdatedV1, 3))[-1]
    assert updated.refunded == 1_000


async def test_an_expired_deposit_is_offered_back(world: World) -> None:
    await gas(world, 36)
    created = await funded(world)
    await world.status(created.intent_id, "delayed", "gas_price_above_ceiling")
    await world.pass_time(86_401)
    await world.status(created.intent_id, "expired", "expired")
    updated = (await world.collect(IntentUpdatedV1, 2))[-1]
    assert updated.next_step is not None
    assert updated.next_step.purpose == "return_expired"


async def test_a_cancellation_during_the_payment_waits_for_news_of_an_execution(world: World) -> None:
    await gas(world, 7)
    created = await funded(world)
    await world.collect(IntentDueV1)
    await world.publish(world.fact(TransactionFinalV1, world.log("cancelled", created.order_hash)))
    row = await world.status(created.intent_id, "due", "cancellation_seen")
    assert row["next_check_at"] == world.clock.now() + timedelta(seconds=15)
    await world.settle()
    assert await world.broker.probe.count(IntentCancelledV1) == 0
    await world.pass_time(15)
    (cancelled,) = await world.collect(IntentCancelledV1)
    assert cancelled.on_chain
    await world.status(created.intent_id, "cancelled", "cancelled_on_chain")


@pytest.mark.parametrize("kind", [TransactionIncludedV1, TransactionFinalV1])
async def test_an_execution_before_the_cancellation_is_the_truth(
    world: World, build: Builder, kind: type[Any]
) -> None:
    await gas(world, 7)
    created = await funded(world)
    (due,) = await world.collect(IntentDueV1)
    await world.publish(
        world.fact(TransactionFinalV1, world.log("cancelled", created.order_hash, amount=0), block=8),
        world.fact(kind, world.log("executed", created.order_hash, fee=0), block=7),  # arrives late
    )
    await world.status(created.intent_id, "due", "cancellation_seen")
    await world.heard(TransactionFinalV1, kind)
    await world.pass_time(15)
    await world.settle()
    assert await world.broker.probe.count(IntentCancelledV1) == 0
    await world.publish(build(PaymentSucceededV1, **payment(created, due)))
    await world.status(created.intent_id, "completed")


async def test_a_payment_that_succeeds_completes_its_intent_and_a_reorganisation_opens_it(
    world: World, build: Builder
) -> None:
    await gas(world, 7)
    created = await funded(world)
    (due,) = await world.collect(IntentDueV1)
    await world.publish(build(PaymentUpdatedV1, **payment(created, due, step="review", status="review")))
    await world.status(created.intent_id, "due", "payment_in_review")
    await world.publish(build(PaymentSucceededV1, **payment(created, due, version=3)))
    await world.status(created.intent_id, "completed")
    (recipient,) = await world.rows("SELECT address, paid_count FROM paid_recipient")
    assert recipient == {"address": created.recipient, "paid_count": 1}
    reopened = payment(created, due, version=4, step="reopened", status="executing")
    await world.publish(build(PaymentUpdatedV1, **reopened))
    await world.status(created.intent_id, "due", "payment_reopened")
    stale = build(PaymentFailedV1, **payment(created, due, version=2))
    await world.publish(stale, build(PaymentSucceededV1, **payment(created, due, version=5)))
    await world.status(created.intent_id, "completed")
    assert await world.broker.probe.count(IntentDueV1) == 1  # never due twice for one occurrence


async def test_a_payment_that_fails_offers_the_deposit_back(world: World, build: Builder) -> None:
    await gas(world, 7)
    created = await funded(world)
    (due,) = await world.collect(IntentDueV1)
    await world.publish(build(PaymentFailedV1, **payment(created, due, code="recipient_reverts")))
    await world.status(created.intent_id, "failed", "recipient_reverts")
    updated = (await world.collect(IntentUpdatedV1, 2))[-1]
    assert updated.next_step is not None
    assert updated.next_step.purpose == "cancel"
    (spent,) = await world.rows("SELECT amount FROM spending")
    assert spent["amount"] == 0
    await world.publish(world.fact(TransactionFinalV1, world.log("cancelled", created.order_hash)))
    updated = (await world.collect(IntentUpdatedV1, 3))[-1]
    assert (updated.status, updated.reason, updated.refunded) == ("failed", "recipient_reverts", 1_000)


async def test_a_blocked_payment_fails_and_a_cancelled_one_is_cancelled(world: World, build: Builder) -> None:
    await gas(world, 7)
    first, second = await funded(world), await funded(world, amount=1_000, recipient=STRANGER.address)
    dues = {item.intent_id: item for item in await world.collect(IntentDueV1, 2)}
    await world.publish(
        build(PaymentBlockedV1, **payment(first, dues[first.intent_id])),
        build(PaymentCancelledV1, **payment(second, dues[second.intent_id])),
    )
    await world.status(first.intent_id, "failed", "fraud_blocked")
    await world.status(second.intent_id, "cancelled", "cancelled_on_chain")


async def test_payments_that_are_not_ours_are_none_of_our_business(world: World, build: Builder) -> None:
    created = await world.created("CRO")
    await world.publish(build(PaymentFailedV1, intent_id=created.intent_id))
    await world.settle()
    assert (await world.row(created.intent_id))["status"] == "awaiting_authorisation"
    assert await world.rows("SELECT * FROM dead_letter") == []


async def test_a_payer_can_fund_an_order_that_was_edited_away_and_gets_it_back(world: World) -> None:
    created = await world.created("CRO")
    at = world.clock.now() + timedelta(hours=5)
    answer = await world.running.http.patch(
        f"/intents/{created.intent_id}", json={"not_before": at.isoformat()}, headers=world.headers()
    )
    assert answer.status_code == 200, answer.text
    assert answer.json()["order_hash"] != created.order_hash
    await world.publish(world.fact(TransactionFinalV1, world.log("funded", created.order_hash)))
    await world.status(created.intent_id, "awaiting_authorisation", "superseded_order_funded")
    updated = (await world.collect(IntentUpdatedV1, 2))[-1]
    assert updated.next_step is not None
    assert updated.next_step.purpose == "cancel"
    assert created.transaction is not None
    assert updated.next_step.data[10:] == created.transaction.data[10:]  # the very order that was funded
    await world.publish(world.fact(TransactionFinalV1, world.log("cancelled", created.order_hash)))
    updated = (await world.collect(IntentUpdatedV1, 3))[-1]
    assert (updated.reason, updated.refunded) == (None, 1_000)
    assert await world.broker.probe.count(IntentDueV1) == 0
