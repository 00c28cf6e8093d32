"""Occurrences of an intent, and what the payment of one means for the intent."""

from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from snowrail_intent.domain.intents import Intent
from snowrail_intent.domain.schedule import Slot
from snowrail_intent.domain.states import IntentEvent, Status, allows
from snowrail_kit.ids import derived_id

IN_REVIEW = "payment_in_review"
OUTCOME_UNKNOWN = "outcome_unknown"
REOPENED = "payment_reopened"
FRAUD_BLOCKED = "fraud_blocked"
_CANCELLED = "cancelled_on_chain"


class OccurrenceStatus(StrEnum):
    """How far the payment of an occurrence is; one that was missed is skipped and has none."""

    PAYING = "paying"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    BLOCKED = "blocked"
    CANCELLED = "cancelled"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True)
class Occurrence:
    """One occurrence of an intent that became due, or was missed.

    Attributes:
        slot: its number in the calendar.
        occurrence: number of executions before it, as the escrow counts them.
        scheduled_at: when the calendar has it.
        due_at: when it was handed to payment, or left out.
        version: that of the payment, when it was last heard of.
        step: what the payment last said of itself.
    """

    intent_id: UUID
    slot: int
    occurrence: int
    payment_id: UUID
    status: OccurrenceStatus
    step: str
    version: int
    tx_hash: str | None
    scheduled_at: datetime
    due_at: datetime
    changed_at: datetime


@dataclass(frozen=True, slots=True)
class PaymentFact:
    """What the owner of payments said about one.

    Attributes:
        version: of the payment; an older one than is known is stale.
        status: of the occurrence after it.
        step: finer than the status; of a failure its code.
    """

    payment_id: UUID
    intent_id: UUID
    occurrence: int
    version: int
    status: OccurrenceStatus
    step: str
    tx_hash: str | None


def payment_id_of(intent_id: UUID, slot: int) -> UUID:
    """Return the id of the payment of an occurrence, the same however often it is asked for."""
    return derived_id("payment", intent_id, slot)


def open_occurrence(intent: Intent, slot: Slot, now: datetime) -> Occurrence:
    """Return the occurrence that is to be paid now."""
    return _occurrence(intent, slot, OccurrenceStatus.PAYING, "due", now)


def skip_occurrence(intent: Intent, slot: Slot, now: datetime) -> Occurrence:
    """Return an occurrence that is left out because it was missed."""
    return _occurrence(intent, slot, OccurrenceStatus.SKIPPED, "missed", now)


def _occurrence(intent: Intent, slot: Slot, status: OccurrenceStatus, step: str, now: datetime) -> Occurrence:
    return Occurrence(
        intent_id=intent.intent_id,
        slot=slot.number,
        occurrence=intent.next_occurrence,
        payment_id=payment_id_of(intent.intent_id, slot.number),
        status=status,
        step=step,
        version=0,
        tx_hash=None,
        scheduled_at=slot.at,
        due_at=now,
        changed_at=now,
    )


def apply_payment(
    intent: Intent, occurrence: Occurrence, fact: PaymentFact, now: datetime
) -> list[tuple[Intent, Occurrence]]:
    """Return intent and occurrence after each step that a payment fact means; none when it says nothing new.

    The occurrence always keeps what was said last. The intent follows where its state machine allows: a
    payment that was cancelled and paid in a race ends as the chain took it. An end that contradicts the one
    that is known was preceded by the payment being re-opened, whether that was heard of or not.
    """
    if fact.version <= occurrence.version:
        return []
    steps: list[tuple[Intent, Occurrence]] = []
    if fact.status is not OccurrenceStatus.PAYING and occurrence.status not in (
        OccurrenceStatus.PAYING,
        fact.status,
    ):
        reopening = replace(fact, status=OccurrenceStatus.PAYING, step=REOPENED)
        intent, occurrence = _apply(intent, occurrence, reopening, now)
        steps.append((intent, occurrence))
    steps.append(_apply(intent, occurrence, fact, now))
    return steps


def _apply(
    intent: Intent, occurrence: Occurrence, fact: PaymentFact, now: datetime
) -> tuple[Intent, Occurrence]:
    known = replace(
        occurrence,
        status=fact.status,
        step=fact.step,
        version=fact.version,
        tx_hash=fact.tx_hash or occurrence.tx_hash,
        changed_at=now,
    )
    if intent.status is Status.DUE and fact.occurrence != intent.next_occurrence:
        return intent, known  # another occurrence is in flight: only the payment of that one moves the intent
    event, reason, paid = _meaning(intent, occurrence, fact)
    if event is not None and allows(intent.state, event):
        changes = _changes(intent, occurrence, fact, now)
        return intent.after(now, event, reason=reason, next_occurrence=paid, **changes), known
    if event is None and intent.status is Status.DUE and reason != intent.reason:
        return intent.changed(now, reason=reason), known
    return intent, known


def align(intent: Intent, paying: Collection[Occurrence], paid: int, now: datetime) -> Intent:
    """Return a series as all its occurrences have it, after payments of some of them were heard of.

    A rollback re-opens several payments at once, or an earlier one beside one in flight. While any of them
    is under way the series pays nothing else, and what it pays next has the number the escrow waits for.

    Args:
        intent: a series, as the news have left it.
        paying: its occurrences whose payments are under way.
        paid: how many of its occurrences are paid.
        now: the time of the change.
    """
    if not paying:
        is_behind = intent.status is not Status.DUE and intent.next_occurrence != paid
        return intent.changed(now, next_occurrence=paid) if is_behind else intent
    if intent.status is Status.DUE:
        return intent
    earliest = min(paying, key=lambda occurrence: occurrence.occurrence)
    if not allows(intent.state, IntentEvent.REOPENED):
        return intent
    return intent.after(
        now,
        IntentEvent.REOPENED,
        reason=REOPENED,
        next_occurrence=earliest.occurrence,
        counted_on=earliest.due_at.date(),
    )


def _changes(intent: Intent, occurrence: Occurrence, fact: PaymentFact, now: datetime) -> dict[str, Any]:
    """Return what else a payment that ended, or was re-opened, changes."""
    if fact.status is OccurrenceStatus.PAYING:
        return {"counted_on": occurrence.due_at.date(), "last_result": None, "last_result_at": None}
    failed = fact.status in (OccurrenceStatus.FAILED, OccurrenceStatus.BLOCKED)
    return {
        "missed": intent.missed + (failed and intent.recurrence is not None),
        "last_result": fact.status.value,
        "last_result_at": now,
    }


def _meaning(
    intent: Intent, occurrence: Occurrence, fact: PaymentFact
) -> tuple[IntentEvent | None, str | None, int]:
    """Return what happens to the intent, why, and how many of its occurrences are then paid."""
    if fact.status is OccurrenceStatus.SUCCEEDED:
        paid = fact.occurrence + 1
        return (IntentEvent.OCCURRENCE_PAID if intent.slots_left else IntentEvent.ALL_PAID), None, paid
    paid = intent.next_occurrence
    if fact.status is OccurrenceStatus.FAILED:
        if intent.chain_cancelled:
            # it failed because its payer had cancelled the order
            return IntentEvent.PAYMENT_CANCELLED, _CANCELLED, paid
        return _failed(intent), fact.step, paid
    if fact.status is OccurrenceStatus.BLOCKED:
        return _failed(intent), FRAUD_BLOCKED, paid
    if fact.status is OccurrenceStatus.CANCELLED:
        return IntentEvent.PAYMENT_CANCELLED, _CANCELLED, paid
    if occurrence.status is not OccurrenceStatus.PAYING:
        return IntentEvent.REOPENED, REOPENED, fact.occurrence
    return None, {"review": IN_REVIEW, "unknown": OUTCOME_UNKNOWN}.get(fact.step), paid


def _failed(intent: Intent) -> IntentEvent:
    """An occurrence that fails ends no series: the next one is awaited, and what was paid stays paid."""
    if intent.slots_left:
        return IntentEvent.OCCURRENCE_FAILED
    return IntentEvent.SERIES_ENDED if intent.next_occurrence else IntentEvent.PAYMENT_FAILED
