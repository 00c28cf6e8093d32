"""Cancelling intents: at once where nothing is under way, otherwise on chain, by the payer alone."""

from collections.abc import Sequence
from uuid import UUID

from snowrail_events import IntentCancelV1
from snowrail_intent.domain.intents import Intent
from snowrail_intent.domain.next_steps import way_back
from snowrail_intent.domain.orders import cancel_transaction
from snowrail_intent.domain.refusals import NOT_FOUND, Refusal
from snowrail_intent.domain.states import STOPPABLE, IntentEvent, Status
from snowrail_intent.parts import Parts
from snowrail_intent.usecases import outgoing
from snowrail_intent.usecases.acts import act
from snowrail_intent.usecases.work import Work
from snowrail_kit.delivery import Delivery
from snowrail_kit.unit_of_work import Transaction

CANCELLED_BY_USER = "cancelled_by_user"
CANCEL_ON_CHAIN_ONLY = "cancel_on_chain_only"
_ENDED = {
    Status.COMPLETED: Refusal("already_executed", "This payment has been made; it cannot be cancelled."),
    Status.CANCELLED: Refusal("already_cancelled", "This intent is cancelled already."),
    Status.EXPIRED: Refusal("order_expired", "This intent has expired; there is nothing left to cancel."),
    Status.FAILED: Refusal("intent_failed", "This intent has failed; there is nothing left to cancel."),
}


async def cancel(deliveries: list[Delivery[IntentCancelV1]], tx: Transaction, parts: Parts) -> None:
    """Stop the intents of a batch, or answer how the payer can."""
    asked = [(delivery.event.intent_id, delivery.event.user_id) for delivery in deliveries]
    outcomes = await cancel_all(
        asked, [delivery.event.request_id for delivery in deliveries], tx, parts, deliveries
    )
    for delivery, outcome in zip(deliveries, outcomes, strict=True):
        event = delivery.event
        if isinstance(outcome, Refusal):
            rejection = outgoing.rejected(
                event.intent_id, event.user_id, event.request_id, "cancel", outcome, tx.now
            )
            tx.emit(rejection, cause=delivery)


async def cancel_all(
    asked: Sequence[tuple[UUID, UUID]],
    request_ids: Sequence[UUID | None],
    tx: Transaction,
    parts: Parts,
    causes: Sequence[Delivery[IntentCancelV1] | None],
) -> list[Intent | Refusal]:
    """Cancel intents by (intent, user), in order.

    While a payment is in flight only the chain can stop it: the answer carries the payer's transaction, and
    whichever the chain takes first decides.
    """
    work = Work(tx, parts)
    await work.lock({intent_id for intent_id, _ in asked})
    outcomes: list[Intent | Refusal] = []
    for (intent_id, user_id), request_id, cause in zip(asked, request_ids, causes, strict=True):
        intent = work.intents.get(intent_id)
        if intent is None or intent.user_id != user_id:
            outcomes.append(NOT_FOUND)
            continue
        step = None
        if intent.status in STOPPABLE:
            following = intent.after(tx.now, IntentEvent.CANCELLED, reason=CANCELLED_BY_USER)
        elif intent.status is Status.DUE:
            # only the chain can stop what is in flight; no occurrence follows it
            following = intent.changed(tx.now, reason=CANCEL_ON_CHAIN_ONLY, slots=intent.slot)
            step = cancel_transaction(intent.order, intent.chain_id, intent.escrow)
        elif (step := way_back(intent, tx.now)) is not None:
            following = intent.changed(tx.now)
        else:
            outcomes.append(_ENDED[intent.status])
            continue
        tx.record(act("cancelled", following, on_chain_only=step is not None))
        outcomes.append(work.put(following, cause))
        work.answer(intent_id, request_id, step)
    await work.write()
    return outcomes
