"""The engine: bounded passes over intents whose next look is due, every evaluation recorded."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

import structlog

from snowrail_intent.clients import Readings
from snowrail_intent.domain.evaluation import CHAIN_UNAVAILABLE, Inputs, record
from snowrail_intent.domain.facts import CANCELLED_ON_CHAIN, fold
from snowrail_intent.domain.intents import Intent
from snowrail_intent.domain.states import IntentEvent, Status
from snowrail_intent.parts import Parts
from snowrail_intent.store import facts as fact_store
from snowrail_intent.store import intents as intent_store
from snowrail_intent.store import occurrences as occurrence_store
from snowrail_intent.store import projections
from snowrail_intent.usecases.readings import read_for_intents
from snowrail_intent.usecases.work import Work
from snowrail_kit.database import TRANSIENT_ERRORS
from snowrail_kit.telemetry import TASK_FAILURES
from snowrail_kit.unit_of_work import Transaction

log = structlog.get_logger("engine")

EVALUATE = "evaluate"
"""Name of the engine's task."""
_PRUNE_ROWS = 10_000


async def evaluate_due(parts: Parts) -> bool:
    """Look at one batch of intents that are due for it. Returns whether there may be more."""
    limit = parts.settings.check_batch_intents
    async with parts.database.connection() as connection:
        candidates = await intent_store.find_due_for_check(connection, parts.clock.now(), limit)
    if not candidates:
        return False
    readings = await read_for_intents(_to_read(candidates, parts), parts)
    await _evaluate_apart(candidates, readings, parts)
    return len(candidates) == limit


async def _evaluate_apart(candidates: Sequence[Intent], readings: Readings, parts: Parts) -> None:
    """Look at intents; one at which that fails unexpectedly holds up no other, and is looked at later."""
    try:
        await _evaluate(candidates, readings, parts)
    except TRANSIENT_ERRORS:
        raise
    except Exception as error:  # what the rules did not foresee: find the intent that causes it
        if len(candidates) > 1:
            middle = len(candidates) // 2
            await _evaluate_apart(candidates[:middle], readings, parts)
            await _evaluate_apart(candidates[middle:], readings, parts)
            return
        TASK_FAILURES.labels(EVALUATE).inc()
        log.error("intent not evaluated", intent_id=str(candidates[0].intent_id), exc_info=error)
        later = parts.clock.now() + timedelta(seconds=parts.settings.check_last_seconds)
        async with parts.database.connection() as connection:
            await intent_store.delay_check(connection, [replace(candidates[0], next_check_at=later)])


async def _evaluate(candidates: Sequence[Intent], readings: Readings, parts: Parts) -> None:
    async with parts.transaction() as tx:
        work = Work(tx, parts)
        await work.lock_free(intent.intent_id for intent in candidates)
        known = {intent.intent_id: intent.version for intent in candidates}
        unchanged = [item for item in work.intents.values() if item.version == known[item.intent_id]]
        await work.look_around([item for item in unchanged if item.status is not Status.DUE], readings)
        cancelled = [item for item in unchanged if item.status is Status.DUE and item.chain_cancelled]
        await _conclude_cancellations(cancelled, work, tx)
        for intent in unchanged:
            if intent.status is not Status.DUE:
                _look_at(intent, readings, work)
        await work.write()


def _to_read(candidates: Sequence[Intent], parts: Parts) -> list[Intent]:
    """Return those whose wallets matter: not what ends by its age, nor what the chain decides."""
    now = parts.clock.now()
    return [
        intent
        for intent in candidates
        if intent.status is not Status.DUE and not intent.paused and now < intent.expires_at
    ]


def _look_at(intent: Intent, readings: Readings, work: Work) -> None:
    reading = readings.of(intent.chain_id)
    if intent.paused or work.now >= intent.expires_at:
        work.judge(intent, Inputs(now=work.now))
    elif reading is None:
        work.look_later(intent, record(intent, Inputs(now=work.now), CHAIN_UNAVAILABLE))
    else:
        work.judge(intent, work.inputs_of(intent, reading))


async def _conclude_cancellations(cancelled: Sequence[Intent], work: Work, tx: Transaction) -> None:
    """End what was cancelled on chain while its payment was in flight, unless that was executed before.

    An execution that was seen leaves the end to the payment.
    """
    if not cancelled:
        return
    facts = await fact_store.find(tx.connection, [intent.order_hash for intent in cancelled])
    for intent in cancelled:
        seen = fold(facts.get(intent.order_hash, ()), intent.order.payer, intent.order.token)
        if seen.executed > intent.next_occurrence:
            work.look_later(intent)
        else:
            work.put(intent.after(work.now, IntentEvent.CANCELLED_ON_CHAIN, reason=CANCELLED_ON_CHAIN))


async def prune(parts: Parts) -> bool:
    """Delete old evaluations and gas samples. Returns whether there may be more."""
    now = parts.clock.now()
    async with parts.database.connection() as connection:
        evaluations_before = now - timedelta(days=parts.settings.evaluation_keep_days)
        pruned = await occurrence_store.prune_evaluations(connection, evaluations_before, _PRUNE_ROWS)
        samples_before = now - timedelta(days=parts.settings.gas_sample_keep_days)
        await projections.prune_gas_samples(connection, samples_before)
    return pruned == _PRUNE_ROWS
