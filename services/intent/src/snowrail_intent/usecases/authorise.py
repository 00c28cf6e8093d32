"""Authorising intents by the payer's signature: the hot path, a fixed number of statements per batch."""

from collections.abc import Iterable, Sequence
from uuid import UUID

from snowrail_events import IntentAuthoriseV1
from snowrail_intent.clients import Readings
from snowrail_intent.domain.intents import Intent
from snowrail_intent.domain.refusals import Refusal
from snowrail_intent.domain.signatures import Authorisation, check_authorisation
from snowrail_intent.domain.states import IntentEvent
from snowrail_intent.parts import Parts
from snowrail_intent.store import intents as intent_store
from snowrail_intent.usecases import outgoing
from snowrail_intent.usecases.acts import act
from snowrail_intent.usecases.create import ChainUnread
from snowrail_intent.usecases.readings import read_for_intents
from snowrail_intent.usecases.work import Work
from snowrail_kit.delivery import Delivery
from snowrail_kit.unit_of_work import Transaction

AuthoriseOutcome = Intent | Refusal | ChainUnread


async def prepare_authorise(deliveries: list[Delivery[IntentAuthoriseV1]], parts: Parts) -> Readings:
    """Read balances and allowances of the payers of a batch: one question per chain."""
    return await read_for_ids({delivery.event.intent_id for delivery in deliveries}, parts)


async def read_for_ids(intent_ids: Iterable[UUID], parts: Parts) -> Readings:
    """Read what these intents will be judged by."""
    async with parts.database.connection() as connection:
        intents = await intent_store.find(connection, intent_ids)
    return await read_for_intents(intents.values(), parts)


async def authorise(
    deliveries: list[Delivery[IntentAuthoriseV1]], tx: Transaction, parts: Parts, readings: Readings
) -> None:
    """Arm the intents of a batch whose signatures hold, and make those due that can be paid at once."""
    given = [_given(delivery.event) for delivery in deliveries]
    outcomes = await authorise_all(
        given, [delivery.event.request_id for delivery in deliveries], tx, parts, readings, deliveries
    )
    for delivery, outcome in zip(deliveries, outcomes, strict=True):
        event = delivery.event
        if isinstance(outcome, Refusal):
            rejection = outgoing.rejected(
                event.intent_id, event.user_id, event.request_id, "authorise", outcome, tx.now
            )
            tx.emit(rejection, cause=delivery)
        elif isinstance(outcome, ChainUnread):
            delivery.retry(f"chain {outcome.chain_id} could not be read", after_seconds=2)


def _given(event: IntentAuthoriseV1) -> Authorisation:
    return Authorisation(event.intent_id, event.user_id, event.signature, event.chain_id)


async def authorise_all(
    given: Sequence[Authorisation],
    request_ids: Sequence[UUID | None],
    tx: Transaction,
    parts: Parts,
    readings: Readings,
    causes: Sequence[Delivery[IntentAuthoriseV1] | None],
) -> list[AuthoriseOutcome]:
    """Judge signatures in order, and store and announce what follows."""
    work = Work(tx, parts)
    await work.lock({item.intent_id for item in given})
    await work.look_around(list(work.intents.values()), readings)
    outcomes: list[AuthoriseOutcome] = []
    for item, request_id, cause in zip(given, request_ids, causes, strict=True):
        intent = work.intents.get(item.intent_id)
        signature = check_authorisation(intent, item, tx.now, parts.chains.chains)
        if isinstance(signature, Refusal):
            outcomes.append(signature)
            continue
        assert intent is not None, "what is not there is refused"
        reading = readings.of(intent.chain_id)
        if reading is None:
            outcomes.append(ChainUnread(intent.chain_id))
            continue
        armed = intent.after(tx.now, IntentEvent.AUTHORISED, signature=signature)
        work.put(armed, cause)
        work.answer(intent.intent_id, request_id)
        authorised = work.judge(armed, work.inputs_of(armed, reading))
        tx.record(act("authorised", authorised, signature=f"0x{signature.hex()}"))
        outcomes.append(authorised)
    await work.write()
    return outcomes
