"""From due to executing: score, review, route. Fail closed: without an answer a payment waits."""

from collections.abc import Collection, Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

from snowrail_events import (
    Event,
    FraudAssessedV1,
    FraudAssessV1,
    FraudReviewedV1,
    IntentCancelledV1,
    IntentDueV1,
    RouteSelectedV1,
)
from snowrail_kit.delivery import Delivery
from snowrail_kit.unit_of_work import Transaction
from snowrail_payment_orchestrator import reconciliation_store, store
from snowrail_payment_orchestrator.domain import FINISHED, Happening, IllegalTransition, Status, transition
from snowrail_payment_orchestrator.parts import Parts
from snowrail_payment_orchestrator.store import AttemptChange, Payment
from snowrail_payment_orchestrator.usecases import facts

ASSET_HALTED = "asset_halted"
"""Code and step of a payment whose asset is halted because chain and ledger do not agree."""

_DECISIONS = {
    "allow": Happening.ASSESSED_ALLOW,
    "review": Happening.ASSESSED_REVIEW,
    "block": Happening.ASSESSED_BLOCK,
}


def move(payment: Payment, happening: Happening, tx: Transaction) -> bool:
    """Apply what happened to a payment. False, changing nothing, when it cannot happen in its state."""
    after = transition(payment.status, happening)
    if isinstance(after, IllegalTransition):
        return False
    payment.status = after
    payment.step = after.value
    payment.version += 1
    payment.changed_at = tx.now
    if after in FINISHED - {Status.SUCCEEDED}:
        tx.wake(occurrence_key(payment.intent_id, payment.occurrence))
    return True


def change_of(
    payment: Payment, attempt_status: str, hold_status: str, tx_hash: str | None = None
) -> AttemptChange:
    """Return what becomes of the present attempt of a payment, and of its hold."""
    return AttemptChange(
        payment.payment_id, payment.attempt, attempt_status, hold_status, tx_hash, payment.settlement_version
    )


def emit(tx: Transaction, event: Event, payment: Payment) -> None:
    """Publish a fact about a payment in the payment's own trace."""
    tx.emit(event, version=payment.version, traceparent=payment.traceparent)


async def request_payments(deliveries: list[Delivery[IntentDueV1]], tx: Transaction, _: Parts) -> None:
    """Create the payment of each due occurrence, once for ever, and ask for its score.

    While another payment of the same occurrence may still have an effect, a new one waits for its end.
    """
    events = {delivery.event.payment_id: delivery for delivery in deliveries}
    rows = [
        (
            event.payment_id,
            event.intent_id,
            event.occurrence,
            event.user_id,
            event.chain_id,
            event.escrow,
            event.order.model_dump(mode="json"),
            event.order_hash,
            event.signature,
            event.token,
            event.order.amount,
            event.order.payer,
            event.order.recipient,
            delivery.traceparent,
        )
        for delivery in events.values()
        for event in (delivery.event,)
    ]
    inserted = await store.insert_payments(tx, rows)
    for payment_id in events.keys() - inserted - await store.known_payments(tx, events.keys() - inserted):
        event = events[payment_id].event
        key = occurrence_key(event.intent_id, event.occurrence)
        events[payment_id].wait_for(key, "another payment of this occurrence has not ended")
    for payment_id in inserted:
        delivery = events[payment_id]
        event = delivery.event
        tx.emit(
            FraudAssessV1(
                payment_id=payment_id,
                intent_id=event.intent_id,
                user_id=event.user_id,
                occurrence=event.occurrence,
                payer=event.order.payer,
                recipient=event.order.recipient,
                token=event.token,
                amount=event.order.amount,
                requested_at=tx.now,
            ),
            cause=delivery,
            version=1,
        )
        tx.wake(str(payment_id))


def occurrence_key(intent_id: UUID, occurrence: int) -> str:
    """Key under which a payment waits for an earlier one of the same occurrence to end."""
    return f"{intent_id}:{occurrence}"


async def known(deliveries: Sequence[Delivery[Any]], tx: Transaction) -> list[tuple[Delivery[Any], Payment]]:
    """Pair deliveries with their locked payments; those without one wait for it."""
    payments = await store.lock_payments(tx, [delivery.event.payment_id for delivery in deliveries])
    pairs: list[tuple[Delivery[Any], Payment]] = []
    for delivery in deliveries:
        payment = payments.get(delivery.event.payment_id)
        if payment is None:
            delivery.wait_for(str(delivery.event.payment_id), "the payment is not known yet")
        else:
            pairs.append((delivery, payment))
    return pairs


async def record_scores(deliveries: list[Delivery[FraudAssessedV1]], tx: Transaction, parts: Parts) -> None:
    """Approve, hold for review, or block. A score for a payment that moved on changes nothing."""
    changed: list[Payment] = []
    pairs = await known(deliveries, tx)
    halted = await _halted(pairs, tx)
    for delivery, payment in pairs:
        event: FraudAssessedV1 = delivery.event
        happening = _DECISIONS.get(event.decision, Happening.ASSESSED_REVIEW)
        if not move(payment, happening, tx):
            continue
        payment.score_thousandths = event.score_thousandths
        payment.reasons = list(event.reasons)
        _continue_approved(payment, tx, parts, halted)
        changed.append(payment)
    await store.save_payments(tx, changed)


async def record_reviews(deliveries: list[Delivery[FraudReviewedV1]], tx: Transaction, parts: Parts) -> None:
    """Release or block payments that were held for review."""
    changed: list[Payment] = []
    pairs = await known(deliveries, tx)
    halted = await _halted(pairs, tx)
    for delivery, payment in pairs:
        event: FraudReviewedV1 = delivery.event
        if payment.status is Status.REQUESTED:
            delivery.wait_for(str(payment.payment_id), "the score has not arrived yet")
            continue
        if move(payment, Happening.REVIEW_APPROVED if event.approved else Happening.REVIEW_DENIED, tx):
            _continue_approved(payment, tx, parts, halted)
            changed.append(payment)
    await store.save_payments(tx, changed)


async def _halted(pairs: Sequence[tuple[Delivery[Any], Payment]], tx: Transaction) -> set[str]:
    return await reconciliation_store.halted_among(tx, (payment.token for _, payment in pairs))


def _wait_for_asset(payment: Payment, tx: Transaction, parts: Parts) -> None:
    """Leave an approved payment where it is until its asset is resumed, and say why once."""
    schedule_retry(payment, tx, parts.settings.halted_retry_seconds)
    if payment.code == ASSET_HALTED:
        return
    payment.code = payment.step = ASSET_HALTED
    payment.version += 1
    payment.changed_at = tx.now
    emit(tx, facts.updated(payment), payment)


def _continue_approved(payment: Payment, tx: Transaction, parts: Parts, halted: Collection[str]) -> None:
    if payment.status is Status.APPROVED and payment.token in halted:
        _wait_for_asset(payment, tx, parts)
        tx.wake(str(payment.payment_id))
    elif payment.status is Status.APPROVED:
        emit(tx, facts.select_route(payment, tx.now), payment)
    elif payment.status is Status.BLOCKED:
        emit(tx, facts.blocked(payment), payment)
    else:
        emit(tx, facts.updated(payment), payment)
        tx.wake(str(payment.payment_id))


async def start_attempts(deliveries: list[Delivery[RouteSelectedV1]], tx: Transaction, parts: Parts) -> None:
    """Open the attempt with its hold and command its execution; end the payment where no rail is eligible."""
    changed: list[Payment] = []
    opened: list[Payment] = []
    pairs = await known(deliveries, tx)
    halted = await _halted(pairs, tx)
    for delivery, payment in pairs:
        event: RouteSelectedV1 = delivery.event
        if event.attempt != payment.attempt + 1:
            continue
        if payment.token in halted and payment.status is Status.APPROVED:
            _wait_for_asset(payment, tx, parts)
            changed.append(payment)
        elif event.rail is None:
            if move(payment, Happening.NO_ROUTE, tx):
                payment.code = "no_eligible_rail"
                payment.decision_id = event.decision_id
                emit(tx, facts.failed(payment, f"No rail can carry this payment: {event.reason}."), payment)
                changed.append(payment)
        elif move(payment, Happening.ROUTED, tx):
            payment.attempt = event.attempt
            payment.rail = event.rail
            payment.decision_id = event.decision_id
            payment.settlement_version = 0
            payment.code = None
            emit(tx, facts.execute(payment, tx.now), payment)
            changed.append(payment)
            opened.append(payment)
    await store.save_payments(tx, changed)
    await store.open_attempts(tx, opened)


async def cancel_payments(deliveries: list[Delivery[IntentCancelledV1]], tx: Transaction, _: Parts) -> None:
    """Stop what has not executed. Only a final cancellation on chain stops an attempt under way."""
    on_chain: dict[UUID, bool] = {}
    for delivery in deliveries:
        event = delivery.event
        on_chain[event.intent_id] = event.on_chain or on_chain.get(event.intent_id, False)
    changed: list[Payment] = []
    attempts: list[AttemptChange] = []
    for payment in await store.lock_open_payments_of_intents(tx, on_chain):
        was_open = payment.status in (Status.EXECUTING, Status.UNKNOWN)
        happening = (
            Happening.CANCELLED_ON_CHAIN if on_chain[payment.intent_id] else Happening.CANCELLED_OFF_CHAIN
        )
        if not move(payment, happening, tx):
            continue
        payment.next_route_at = None
        if was_open:
            attempts.append(change_of(payment, "CANCELLED", "VOIDED"))
        emit(tx, facts.cancelled(payment), payment)
        changed.append(payment)
    await store.save_payments(tx, changed)
    await store.change_attempts(tx, attempts)


async def route_again(parts: Parts) -> bool:
    """Ask for the next rail of payments whose retry is due. Returns whether there may be more."""
    limit = parts.settings.route_batch_rows
    async with parts.transaction() as tx:
        payments = await store.lock_payments_to_route(tx, limit)
        halted = await reconciliation_store.halted_among(tx, (payment.token for payment in payments))
        for payment in payments:
            if payment.token in halted:
                _wait_for_asset(payment, tx, parts)
                continue
            payment.next_route_at = None
            payment.changed_at = tx.now
            emit(tx, facts.select_route(payment, tx.now), payment)
        await store.save_payments(tx, payments)
    return len(payments) == limit


def schedule_retry(payment: Payment, tx: Transaction, delay_seconds: float) -> None:
    """Have the next attempt routed after a delay."""
    payment.next_route_at = tx.now + timedelta(seconds=delay_seconds)
