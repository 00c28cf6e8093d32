"""Move items on, and tell what happened to them in the payment's own trace."""

from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any

import structlog

from snowrail_events import (
    Event,
    SettlementExecutedV1,
    SettlementFailedV1,
    SettlementIncludedV1,
    SettlementOrphanedV1,
    SettlementSubmittedV1,
    SettlementUnknownV1,
)
from snowrail_kit.unit_of_work import Transaction
from snowrail_settlement import metrics
from snowrail_settlement.domain.item import NO_EVENT, ItemEvent, ItemState, Step, after_item_event
from snowrail_settlement.store.items import Item

log = structlog.get_logger("items")


def take_step(item: Item, step: Step, tx: Transaction, tx_hash: str | None = None) -> None:
    """Move an item on by one event and emit the facts that follow from it.

    Args:
        item: Changed in place; to be saved by the caller.
        step: What happened.
        tx: Where the facts go.
        tx_hash: Transaction that carries the item, for events that do not rest on a block.

    Raises:
        IllegalTransition: The event cannot happen in the item's state.
    """
    before = item.state
    item.state = after_item_event(item.state, step.event)
    if step.event in (ItemEvent.EVIDENCE_LOST, ItemEvent.EVIDENCE_LOST_UNSENT):
        item.basis = None
        item.log_index = None
        item.sent_at = tx.now
        item.code, item.detail = None, ""
    elif step.basis is not None:
        item.basis = step.basis
        item.log_index = step.execution.log_index if step.execution else None
    if step.refusal is not None:
        item.code, item.detail = step.refusal.code, step.refusal.detail
    if (before is ItemState.FAILED and step.event is ItemEvent.EXECUTED) or step.refusal == NO_EVENT:
        metrics.CONTRADICTIONS.inc()
        log.error("contradiction", item_id=str(item.item_id), was=before.value, happened=step.event.value)
    for make in _FACTS.get(step.event, ()):
        item.version += 1
        tx.emit(make(item, step, tx_hash, tx.now), version=item.version, traceparent=item.traceparent)
        metrics.ITEMS.labels(step.event.value, item.code or "").inc()


def take_steps(item: Item, steps: Iterable[Step], tx: Transaction, tx_hash: str | None = None) -> None:
    """Move an item on by several events, in order."""
    for step in steps:
        if item.state is ItemState.ASSIGNED and step.event in (ItemEvent.SEEN_EXECUTED, ItemEvent.EXECUTED):
            # the node's answer is still on its way, but the network has it
            assert step.basis is not None, "an execution is somewhere"
            take_step(item, Step(ItemEvent.SUBMITTED), tx, tx_hash or step.basis.tx_hash)
        take_step(item, step, tx, tx_hash)


def _common(item: Item) -> dict[str, Any]:
    return {
        "payment_id": item.payment_id,
        "intent_id": item.intent_id,
        "user_id": item.user_id,
        "occurrence": item.occurrence,
        "attempt": item.attempt,
        "chain_id": item.chain_id,
    }


def _submitted(item: Item, _: Step, tx_hash: str | None, now: datetime) -> Event:
    assert tx_hash is not None, "a submission has its transaction"
    return SettlementSubmittedV1(**_common(item), tx_hash=tx_hash, submitted_at=now)


def _included(item: Item, step: Step, _: str | None, now: datetime) -> Event:
    execution = step.execution
    assert execution is not None, "an inclusion has its execution"
    return SettlementIncludedV1(
        **_common(item),
        tx_hash=execution.basis.tx_hash,
        log_index=execution.log_index,
        block_number=execution.block_number,
        included_at=now,
    )


def _executed(item: Item, step: Step, _: str | None, now: datetime) -> Event:
    execution = step.execution
    assert execution is not None, "an execution was seen"
    return SettlementExecutedV1(
        **_common(item),
        tx_hash=execution.basis.tx_hash,
        log_index=execution.log_index,
        block_number=execution.block_number,
        block_hash=execution.basis.block_hash,
        amount=execution.amount,
        fee=execution.fee,
        executed_at=now,
    )


def _failed(item: Item, step: Step, _: str | None, now: datetime) -> Event:
    assert step.refusal is not None, "a failure has its reason"
    return SettlementFailedV1(
        **_common(item),
        tx_hash=step.basis.tx_hash if step.basis else None,
        code=step.refusal.code,
        detail=step.refusal.detail,
        retryable=step.refusal.retryable,
        failed_at=now,
    )


def _orphaned(item: Item, step: Step, _: str | None, now: datetime) -> Event:
    assert step.basis is not None, "what was lost was somewhere"
    return SettlementOrphanedV1(**_common(item), tx_hash=step.basis.tx_hash, orphaned_at=now)


def _unknown(item: Item, step: Step, tx_hash: str | None, now: datetime) -> Event:
    assert step.refusal is not None, "doubt has its reason"
    assert tx_hash is not None, "doubt is about a transaction"
    return SettlementUnknownV1(
        **_common(item), tx_hash=tx_hash, code=step.refusal.code, since=item.sent_at or now
    )


_Maker = Callable[[Item, Step, str | None, datetime], Event]
_FACTS: dict[ItemEvent, tuple[_Maker, ...]] = {
    ItemEvent.SUBMITTED: (_submitted,),
    ItemEvent.REFUSED: (_failed,),
    ItemEvent.SEEN_EXECUTED: (_included,),
    ItemEvent.EXECUTED: (_executed,),
    ItemEvent.FAILED: (_failed,),
    ItemEvent.EVIDENCE_LOST: (_orphaned,),
    ItemEvent.EVIDENCE_LOST_UNSENT: (_orphaned, _failed),
    ItemEvent.CANNOT_TELL: (_unknown,),
}
