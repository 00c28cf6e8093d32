"""What becomes of the payments of due occurrences."""

from collections.abc import Sequence

from snowrail_chain.config import parse_token_id
from snowrail_events import (
    PaymentBlockedV1,
    PaymentCancelledV1,
    PaymentFailedV1,
    PaymentSucceededV1,
    PaymentUpdatedV1,
)
from snowrail_intent.domain.intents import PayingWallet
from snowrail_intent.domain.payments import OccurrenceStatus, PaymentFact, apply_payment
from snowrail_intent.domain.states import Status
from snowrail_intent.parts import Parts
from snowrail_intent.store import intents as intent_store
from snowrail_intent.store import occurrences as occurrence_store
from snowrail_intent.store import projections
from snowrail_intent.store import wallets as wallet_store
from snowrail_intent.usecases.work import Work
from snowrail_kit.delivery import Delivery
from snowrail_kit.unit_of_work import Transaction

PaymentEvent = PaymentUpdatedV1 | PaymentSucceededV1 | PaymentFailedV1 | PaymentBlockedV1 | PaymentCancelledV1


async def record_progress(
    deliveries: list[Delivery[PaymentUpdatedV1]], tx: Transaction, parts: Parts
) -> None:
    """Payments moved on, wait for a review, or were re-opened by the chain."""
    facts = [
        _fact(item.event, OccurrenceStatus.PAYING, item.event.step, item.event.tx_hash) for item in deliveries
    ]
    await _record(facts, tx, parts)


async def record_success(
    deliveries: list[Delivery[PaymentSucceededV1]], tx: Transaction, parts: Parts
) -> None:
    """Payments are final; their recipients are known to their payers from now on."""
    facts = [
        _fact(item.event, OccurrenceStatus.SUCCEEDED, "succeeded", item.event.tx_hash) for item in deliveries
    ]
    await _record(facts, tx, parts)
    blocks = [
        (PayingWallet(token.chain_id, item.event.payer, token.address), item.event.block_number)
        for item in deliveries
        if not (token := parse_token_id(item.event.token)).is_native
    ]
    if blocks:
        await wallet_store.raise_paid_blocks(tx.connection, blocks)
    paid = [(item.event.user_id, item.event.recipient) for item in deliveries]
    await projections.add_paid_recipients(tx.connection, paid, tx.now)


async def record_failure(deliveries: list[Delivery[PaymentFailedV1]], tx: Transaction, parts: Parts) -> None:
    """Payments ended without effect."""
    facts = [
        _fact(item.event, OccurrenceStatus.FAILED, item.event.code, item.event.tx_hash) for item in deliveries
    ]
    await _record(facts, tx, parts)


async def record_block(deliveries: list[Delivery[PaymentBlockedV1]], tx: Transaction, parts: Parts) -> None:
    """Payments were refused before anything moved."""
    facts = [_fact(item.event, OccurrenceStatus.BLOCKED, "blocked", None) for item in deliveries]
    await _record(facts, tx, parts)


async def record_cancellation(
    deliveries: list[Delivery[PaymentCancelledV1]], tx: Transaction, parts: Parts
) -> None:
    """Payments ended because their payers cancelled in time."""
    facts = [_fact(item.event, OccurrenceStatus.CANCELLED, "cancelled", None) for item in deliveries]
    await _record(facts, tx, parts)


def _fact(event: PaymentEvent, status: OccurrenceStatus, step: str, tx_hash: str | None) -> PaymentFact:
    return PaymentFact(
        payment_id=event.payment_id,
        intent_id=event.intent_id,
        occurrence=event.occurrence,
        version=event.version,
        status=status,
        step=step,
        tx_hash=tx_hash,
    )


async def _record(facts: Sequence[PaymentFact], tx: Transaction, parts: Parts) -> None:
    """Apply facts to the occurrences they are about. What no intent of ours asked for is not ours."""
    work = Work(tx, parts)
    await work.lock({fact.intent_id for fact in facts})
    occurrences = await occurrence_store.find_by_payment(tx.connection, {fact.payment_id for fact in facts})
    released: set[PayingWallet] = set()
    for fact in facts:
        occurrence = occurrences.get(fact.payment_id)
        if occurrence is None or occurrence.intent_id != fact.intent_id:
            continue
        intent = work.intents[occurrence.intent_id]
        applied = apply_payment(intent, occurrence, fact, tx.now)
        if applied is None:
            continue
        following, occurrences[fact.payment_id] = applied
        work.keep(occurrences[fact.payment_id])
        if following is not intent:
            work.put(following)
            if intent.status is Status.DUE and following.status is not Status.DUE and not intent.is_native:
                released.add(intent.wallet)
    await _recount(facts, work, tx)
    await work.write()
    if released:
        await intent_store.check_released(tx.connection, released, tx.now)


async def _recount(facts: Sequence[PaymentFact], work: Work, tx: Transaction) -> None:
    """Count anew what is paid of series of which a payment failed.

    An earlier payment may have left the chain and failed while a later one was in flight: that one was then
    asked for under a number that the escrow does not expect, and the next one has to have the right one.
    """
    failed = {fact.intent_id for fact in facts if fact.status is OccurrenceStatus.FAILED}
    series = [
        intent
        for intent_id in failed
        if (intent := work.intents.get(intent_id)) is not None
        and intent.recurrence is not None
        and intent.status is not Status.DUE
    ]
    if not series:
        return
    paid = await occurrence_store.count_paid(tx.connection, [intent.intent_id for intent in series])
    for intent in series:
        counted = paid.get(intent.intent_id, 0)
        if counted < intent.next_occurrence:
            work.put(intent.changed(tx.now, next_occurrence=counted))
