"""Whether an authorised intent can be paid now, and what it waits for if not."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from snowrail_intent.domain.intents import Intent, Pace
from snowrail_intent.domain.requests import approval_needed
from snowrail_intent.domain.states import WAITING, IntentEvent, Status

EXPIRED = "expired"
INSUFFICIENT_FUNDS = "insufficient_funds"
APPROVAL_MISSING = "approval_missing"
GAS_PRICE_UNKNOWN = "gas_price_unknown"
GAS_PRICE_ABOVE_CEILING = "gas_price_above_ceiling"
CHAIN_UNAVAILABLE = "chain_unavailable"
EARLIER_PAYMENTS = "earlier_payments"


@dataclass(frozen=True, slots=True)
class Inputs:
    """What an intent is judged by.

    Attributes:
        balance: atoms of the token in the payer's wallet; None when unknown.
        allowance: atoms of it that the escrow may move; None when unknown.
        gas_price: wei; None when unknown.
        in_flight: atoms that the wallet's payments in flight will still take.
        is_stale: whether the wallet paid in a block after the one it was read at.
    """

    now: datetime
    balance: int | None = None
    allowance: int | None = None
    gas_price: int | None = None
    in_flight: int = 0
    is_stale: bool = False


@dataclass(frozen=True, slots=True)
class Verdict:
    """What an evaluation leads to.

    Attributes:
        events: what happens to the intent, in order; empty when nothing does.
        reason: of the new state.
        is_due: whether the next occurrence is to be paid now.
        approval_amount: allowance the payer still has to grant; 0 when it suffices.
    """

    events: tuple[IntentEvent, ...]
    reason: str | None
    is_due: bool = False
    approval_amount: int = 0


@dataclass(frozen=True, slots=True)
class Evaluation:
    """One evaluation as it is recorded."""

    intent_id: UUID
    evaluated_at: datetime
    status: Status
    reason: str | None
    inputs: dict[str, Any]


def evaluate(intent: Intent, inputs: Inputs, pace: Pace) -> Verdict:
    """Judge an intent that is not being paid.

    Money that is not known to be there counts as missing: the intent waits (money-safety rule 13).
    """
    assert intent.status is not Status.DUE, "a payment in flight is not judged"
    if inputs.now >= intent.expires_at:
        return Verdict((IntentEvent.EXPIRED,), EXPIRED)
    if intent.paused or intent.status is Status.AWAITING_AUTHORISATION:
        return Verdict((), intent.reason)
    if inputs.is_stale:
        return Verdict((), intent.reason)  # it is looked at again, with a newer reading
    if (missing := _missing_cover(intent, inputs)) is not None:
        return missing
    covered = (IntentEvent.COVERED,) if intent.status in WAITING - {Status.DELAYED} else ()
    if inputs.now < pace.ready_at(intent):
        return Verdict(covered, None)
    due = (*covered, IntentEvent.BECAME_DUE)
    if not _is_free(intent, inputs):
        return Verdict((*due, IntentEvent.CONDITION_UNMET), EARLIER_PAYMENTS)
    if inputs.gas_price is None:
        return Verdict((*due, IntentEvent.CONDITION_UNMET), GAS_PRICE_UNKNOWN)
    if inputs.gas_price > intent.order.max_gas_price:
        return Verdict((*due, IntentEvent.CONDITION_UNMET), GAS_PRICE_ABOVE_CEILING)
    return Verdict(due, None, is_due=True)


def _missing_cover(intent: Intent, inputs: Inputs) -> Verdict | None:
    order = intent.order
    from_wallet = intent.taken_from_wallet
    needed = from_wallet + order.safety_buffer
    if needed == 0:
        return None
    if inputs.balance is None or inputs.balance < needed:
        return Verdict(
            (IntentEvent.FUNDS_MISSING,), INSUFFICIENT_FUNDS, approval_amount=intent.approval_amount
        )
    if from_wallet and (inputs.allowance is None or inputs.allowance < from_wallet):
        needed_allowance = approval_needed(order, inputs.allowance or 0, inputs.in_flight)
        return Verdict((IntentEvent.APPROVAL_MISSING,), APPROVAL_MISSING, approval_amount=needed_allowance)
    return None


def _is_free(intent: Intent, inputs: Inputs) -> bool:
    """Whether the wallet still covers the intent after all that its payments in flight take."""
    if intent.taken_from_wallet == 0:
        return True
    assert inputs.balance is not None, "missing cover was told before"
    assert inputs.allowance is not None, "a missing approval was told before"
    needed = intent.taken_from_wallet + intent.order.safety_buffer
    return (
        inputs.balance - inputs.in_flight >= needed
        and inputs.allowance - inputs.in_flight >= intent.taken_from_wallet
    )


def record(intent: Intent, inputs: Inputs, reason: str | None) -> Evaluation:
    """Return the record of an evaluation that left the intent as given, for a reason."""
    return Evaluation(
        intent_id=intent.intent_id,
        evaluated_at=inputs.now,
        status=intent.status,
        reason=reason,
        inputs={
            "balance": _text(inputs.balance),
            "allowance": _text(inputs.allowance),
            "gas_price": _text(inputs.gas_price),
            "in_flight": str(inputs.in_flight),
            "deposit": str(intent.deposit),
            "max_gas_price": str(intent.order.max_gas_price),
            "not_before": intent.not_before.isoformat() if intent.not_before else None,
            "expires_at": intent.expires_at.isoformat(),
            "paused": intent.paused,
        },
    )


def _text(value: int | None) -> str | None:
    return None if value is None else str(value)
