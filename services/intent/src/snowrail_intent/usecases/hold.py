"""Holding intents back, and letting them go on."""

from collections.abc import Sequence
from dataclasses import replace
from uuid import UUID

from snowrail_events import IntentPauseV1, IntentResumeV1
from snowrail_intent.domain.intents import Intent
from snowrail_intent.domain.refusals import NOT_FOUND, Refusal
from snowrail_intent.domain.states import PAUSABLE, WAITING, IntentEvent, Status, allows
from snowrail_intent.parts import Parts
from snowrail_intent.usecases import outgoing
from snowrail_intent.usecases.acts import act
from snowrail_intent.usecases.work import Work
from snowrail_kit.delivery import Delivery
from snowrail_kit.unit_of_work import Transaction


async def pause(deliveries: list[Delivery[IntentPauseV1]], tx: Transaction, parts: Parts) -> None:
    """Hold back the intents of a batch until they are resumed or expire."""
    await _hold_batch(deliveries, True, tx, parts)


async def resume(deliveries: list[Delivery[IntentResumeV1]], tx: Transaction, parts: Parts) -> None:
    """Let the paused intents of a batch go on."""
    await _hold_batch(deliveries, False, tx, parts)
    parts.wake_engine()


async def _hold_batch(
    deliveries: Sequence[Delivery[IntentPauseV1]] | Sequence[Delivery[IntentResumeV1]],
    paused: bool,
    tx: Transaction,
    parts: Parts,
) -> None:
    asked = [(delivery.event.intent_id, delivery.event.user_id) for delivery in deliveries]
    requests = [delivery.event.request_id for delivery in deliveries]
    outcomes = await hold_all(asked, requests, paused, tx, parts)
    for delivery, outcome in zip(deliveries, outcomes, strict=True):
        event = delivery.event
        if isinstance(outcome, Refusal):
            command = "pause" if paused else "resume"
            rejection = outgoing.rejected(
                event.intent_id, event.user_id, event.request_id, command, outcome, tx.now
            )
            tx.emit(rejection, cause=delivery)


async def hold_all(
    asked: Sequence[tuple[UUID, UUID]],
    request_ids: Sequence[UUID | None],
    paused: bool,
    tx: Transaction,
    parts: Parts,
) -> list[Intent | Refusal]:
    """Pause or resume intents by (intent, user), in order. Asking for what is already so changes nothing."""
    work = Work(tx, parts)
    await work.lock({intent_id for intent_id, _ in asked})
    event = IntentEvent.PAUSED if paused else IntentEvent.RESUMED
    outcomes: list[Intent | Refusal] = []
    for (intent_id, user_id), request_id in zip(asked, request_ids, strict=True):
        intent = work.intents.get(intent_id)
        if intent is None or intent.user_id != user_id:
            outcomes.append(NOT_FOUND)
            continue
        if intent.status is Status.DUE and not intent.slots_left:
            outcomes.append(_not_pausable(intent))
            continue
        if allows(intent.state, event):
            following = intent.after(tx.now, event, reason=intent.reason)
            if following.status in WAITING:
                following = replace(following, waiting_since=tx.now)
            intent = work.put(following)
            tx.record(act("paused" if paused else "resumed", intent))
        elif intent.status not in PAUSABLE:
            outcomes.append(_not_pausable(intent))
            continue
        outcomes.append(intent)
        if request_id is not None:
            work.answer(intent_id, request_id)
    await work.write()
    return outcomes


def _not_pausable(intent: Intent) -> Refusal:
    return Refusal(
        "not_pausable", f"This intent is {intent.status} and cannot be held back; try to cancel it."
    )
