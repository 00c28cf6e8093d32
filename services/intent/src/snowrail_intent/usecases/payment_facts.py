"""What becomes of the payments of due occurrences."""

from collections.abc import Mapping, Sequence
from uuid import UUID

from snowrail_chain.config import parse_token_id
from snowrail_events import (
    PaymentBlockedV1,
    PaymentCancelledV1,
    PaymentFailedV1,
    PaymentSucceededV1,
    PaymentUpdatedV1,
)
from snowrail_intent.domain.intents import PayingWallet
from snowrail_intent.domain.payments import (
    Occurrence,
    OccurrenceStatus,
    PaymentFact,
    align,
    apply_payment,
)
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
    blocks = [
        (PayingWallet(token.chain_id, item.event.payer, token.address), item.event.block_number)
        for item in deliveries
        if not (token := parse_token_id(item.event.token)).is_native
    ]
    await _record(facts, tx, parts, blocks)
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


async def _record(
    facts: Sequence[PaymentFact],
    tx: Transaction,
    parts: Parts,
    paid_blocks: Sequence[tuple[PayingWallet, int]] = (),
) -> None:
    """Apply facts to the occurrences they are about. What no intent of ours asked for is not ours."""
    work = Work(tx, parts)
    await work.lock({fact.intent_id for fact in facts})
    if paid_blocks:
        await wallet_store.raise_paid_blocks(tx.connection, paid_blocks)
    occurrences = await occurrence_store.find_by_payment(tx.connection, {fact.payment_id for fact in facts})
    before = dict(work.intents)
    heard: dict[UUID, Occurrence] = {}
    reopened: set[PayingWallet] = set()
    for fact in facts:
        occurrence = occurrences.get(fact.payment_id)
        if occurrence is None or occurrence.intent_id != fact.intent_id:
            continue
        intent = work.intents[occurrence.intent_id]
        steps = apply_payment(intent, occurrence, fact, tx.now)
        if not steps:
            continue
        occurrences[fact.payment_id] = steps[-1][1]
        if _was_undone(occurrence, fact) and not intent.is_native:
            reopened.add(intent.wallet)
        heard[fact.payment_id] = occurrences[fact.payment_id]
        work.keep(occurrences[fact.payment_id])
        for following, _ in steps:
            if following is not work.intents[intent.intent_id]:
                work.put(following)
    if reopened:
        await wallet_store.forget_paid_blocks(tx.connection, reopened)
    await _align_series(heard, work, tx)
    released = {
        intent.wallet
        for intent_id, intent in work.intents.items()
        if before[intent_id].status is Status.DUE and intent.status is not Status.DUE and not intent.is_native
    }
    await work.write()
    if released:
        await intent_store.check_released(tx.connection, released, tx.now)


def _was_undone(occurrence: Occurrence, fact: PaymentFact) -> bool:
    return occurrence.status is OccurrenceStatus.SUCCEEDED and fact.status is not OccurrenceStatus.SUCCEEDED


async def _align_series(heard: Mapping[UUID, Occurrence], work: Work, tx: Transaction) -> None:
    """Bring series of which payments were heard of in line with all their occurrences."""
    series = {
        occurrence.intent_id
        for occurrence in heard.values()
        if work.intents[occurrence.intent_id].recurrence is not None
    }
    if not series:
        return
    stored = await occurrence_store.find_standing(tx.connection, series)
    standing: dict[UUID, list[Occurrence]] = {intent_id: [] for intent_id in series}
    unheard = [occurrence for occurrence in stored if occurrence.payment_id not in heard]
    for occurrence in (*unheard, *heard.values()):
        if occurrence.intent_id in series:
            standing[occurrence.intent_id].append(occurrence)
    for intent_id, known in standing.items():
        paying = [item for item in known if item.status is OccurrenceStatus.PAYING]
        paid = sum(item.status is OccurrenceStatus.SUCCEEDED for item in known)
        intent = work.intents[intent_id]
        aligned = align(intent, paying, paid, tx.now)
        if aligned is not intent:
            work.put(aligned, moves_spending=False)
