"""Occurrences of an intent, and what the payment of one means for the intent."""

from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from snowrail_intent.domain.intents import Intent
from snowrail_intent.domain.states import IntentEvent, Status, allows

IN_REVIEW = "payment_in_review"
OUTCOME_UNKNOWN = "outcome_unknown"
REOPENED = "payment_reopened"
FRAUD_BLOCKED = "fraud_blocked"
_CANCELLED = "cancelled_on_chain"


class OccurrenceStatus(StrEnum):
    """How far the payment of an occurrence is."""

    PAYING = "paying"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    BLOCKED = "blocked"
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True)
class Occurrence:
    """One execution of an intent that became due.

    Attributes:
        version: that of the payment, when it was last heard of.
        step: what the payment last said of itself.
    """

    intent_id: UUID
    occurrence: int
    payment_id: UUID
    status: OccurrenceStatus
    step: str
    version: int
    tx_hash: str | None
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


def open_occurrence(intent: Intent, now: datetime) -> Occurrence:
    """Return the occurrence that becomes due now."""
    return Occurrence(
        intent_id=intent.intent_id,
        occurrence=intent.next_occurrence,
        payment_id=intent.payment_id,
        status=OccurrenceStatus.PAYING,
        step="due",
        version=0,
        tx_hash=None,
        due_at=now,
        changed_at=now,
    )


def apply_payment(
    intent: Intent, occurrence: Occurrence, fact: PaymentFact, now: datetime
) -> tuple[Intent, Occurrence] | None:
    """Return intent and occurrence after a payment fact, or None when it says nothing new.

    The occurrence always keeps what was said last. The intent follows where its state machine allows: a
    payment that was cancelled and paid in a race ends as the chain took it.
    """
    if fact.version <= occurrence.version:
        return None
    known = replace(
        occurrence,
        status=fact.status,
        step=fact.step,
        version=fact.version,
        tx_hash=fact.tx_hash or occurrence.tx_hash,
        changed_at=now,
    )
    event, reason, paid = _meaning(intent, fact)
    if event is not None and allows(intent.state, event):
        return intent.after(now, event, reason=reason, next_occurrence=paid), known
    if event is None and intent.status is Status.DUE and reason != intent.reason:
        return intent.changed(now, reason=reason), known
    return intent, known


def _meaning(intent: Intent, fact: PaymentFact) -> tuple[IntentEvent | None, str | None, int]:
    """Return what happens to the intent, why, and how many of its occurrences are then paid."""
    if fact.status is OccurrenceStatus.SUCCEEDED:
        paid = fact.occurrence + 1
        last = paid >= intent.order.max_executions
        return (IntentEvent.ALL_PAID if last else IntentEvent.OCCURRENCE_PAID), None, paid
    paid = intent.next_occurrence
    if fact.status is OccurrenceStatus.FAILED:
        if intent.chain_cancelled:
            # it failed because its payer had cancelled the order
            return IntentEvent.PAYMENT_CANCELLED, _CANCELLED, paid
        return IntentEvent.PAYMENT_FAILED, fact.step, paid
    if fact.status is OccurrenceStatus.BLOCKED:
        return IntentEvent.PAYMENT_FAILED, FRAUD_BLOCKED, paid
    if fact.status is OccurrenceStatus.CANCELLED:
        return IntentEvent.PAYMENT_CANCELLED, _CANCELLED, paid
    if paid > fact.occurrence:
        return IntentEvent.REOPENED, REOPENED, fact.occurrence
    return None, {"review": IN_REVIEW, "unknown": OUTCOME_UNKNOWN}.get(fact.step), paid
