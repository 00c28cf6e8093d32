"""Whether an authorised intent can be paid now, and what it waits for if not."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from snowrail_intent.domain.conditions import ConditionKind
from snowrail_intent.domain.intents import Intent, Pace
from snowrail_intent.domain.requests import approval_needed
from snowrail_intent.domain.schedule import Slot
from snowrail_intent.domain.states import WAITING, IntentEvent, Status

EXPIRED = "expired"
INSUFFICIENT_FUNDS = "insufficient_funds"
APPROVAL_MISSING = "approval_missing"
GAS_PRICE_UNKNOWN = "gas_price_unknown"
GAS_PRICE_ABOVE_CEILING = "gas_price_above_ceiling"
CHAIN_UNAVAILABLE = "chain_unavailable"
EARLIER_PAYMENTS = "earlier_payments"
DEPOSIT_MISSING = "deposit_missing"
PRICE_UNKNOWN = "price_unknown"
PRICE_STALE = "price_stale"
PRICE_CONDITION_UNMET = "price_condition_unmet"
GAS_CONDITION_UNMET = "gas_condition_unmet"
OCCURRENCES_MISSED = "occurrences_missed"


@dataclass(frozen=True, slots=True)
class SeenPrice:
    """A price in US dollars for one whole token, and when it was seen."""

    value: Decimal
    observed_at: datetime


@dataclass(frozen=True, slots=True)
class Inputs:
    """What an intent is judged by.

    Attributes:
        balance: atoms of the token in the payer's wallet; None when unknown.
        allowance: atoms of it that the escrow may move; None when unknown.
        gas_price: wei; None when unknown.
        in_flight: atoms that the wallet's payments in flight will still take.
        obligations: atoms that all open intents take from the wallet, unsigned ones included; looked up only
            where the allowance does not suffice.
        is_stale: whether the wallet paid in a block after the one it was read at.
        price: of the token that the intent's condition names; None when unknown.
        exceeded: code of the limit of the payer that a payment today would exceed.
    """

    now: datetime
    balance: int | None = None
    allowance: int | None = None
    gas_price: int | None = None
    in_flight: int = 0
    obligations: int = 0
    is_stale: bool = False
    price: SeenPrice | None = None
    exceeded: str | None = None


@dataclass(frozen=True, slots=True)
class Shortfall:
    """What is missing for an occurrence.

    Attributes:
        event: what that does to the intent.
        reason: of what there is too little.
        needed, available: atoms.
    """

    event: IntentEvent
    reason: str
    needed: int
    available: int


@dataclass(frozen=True, slots=True)
class Verdict:
    """What an evaluation leads to.

    Attributes:
        events: what happens to the intent, in order; empty when nothing does.
        reason: of the new state.
        is_due: whether the next occurrence is to be paid now.
        approval_amount: allowance the payer still has to grant; 0 when it suffices.
        slot: the occurrence that was judged; None when none is left, or none was.
        missed: occurrences that are left out.
        warning: what the payer is to be told now, before the occurrence falls due.
    """

    events: tuple[IntentEvent, ...]
    reason: str | None
    is_due: bool = False
    approval_amount: int = 0
    slot: Slot | None = None
    missed: tuple[Slot, ...] = ()
    warning: Shortfall | None = None


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
        return _ended(intent, EXPIRED)
    if intent.paused or intent.status is Status.AWAITING_AUTHORISATION:
        return Verdict((), intent.reason)
    turn = intent.turn(inputs.now, timedelta(seconds=pace.grace_seconds))
    if turn.slot is None:
        return replace(_ended(intent, OCCURRENCES_MISSED), missed=turn.missed)
    if turn.missed:
        changes = intent.past(turn.missed[-1])
        following = intent.after(inputs.now, IntentEvent.OCCURRENCE_MISSED, **changes)
        verdict = _judge(following, inputs, pace)
        events = (IntentEvent.OCCURRENCE_MISSED, *verdict.events)
        return replace(verdict, events=events, slot=turn.slot, missed=turn.missed)
    return replace(_judge(intent, inputs, pace), slot=turn.slot)


def _ended(intent: Intent, reason: str) -> Verdict:
    """An intent ends without its last occurrence: as completed where some were paid."""
    event = IntentEvent.SERIES_ENDED if intent.next_occurrence else IntentEvent.EXPIRED
    return Verdict((event,), OCCURRENCES_MISSED if intent.next_occurrence else reason)


def _judge(intent: Intent, inputs: Inputs, pace: Pace) -> Verdict:
    """Judge the next occurrence."""
    if inputs.is_stale:
        return Verdict((), intent.reason)  # it is looked at again, with a newer reading
    if (missing := _shortfall(intent, inputs)) is not None:
        return _uncovered(intent, inputs, pace, missing)
    covered = (IntentEvent.COVERED,) if intent.status in WAITING - {Status.DELAYED} else ()
    if inputs.now < pace.ready_at(intent):
        return Verdict(covered, None)
    due = (*covered, IntentEvent.BECAME_DUE)
    reason = _unmet(intent, inputs, pace)
    if reason is not None:
        return Verdict((*due, IntentEvent.CONDITION_UNMET), reason)
    return Verdict(due, None, is_due=True)


def _uncovered(intent: Intent, inputs: Inputs, pace: Pace, missing: Shortfall) -> Verdict:
    approval_amount = intent.approval_amount
    if missing.event is IntentEvent.APPROVAL_MISSING:
        own = intent.taken_from_wallet * intent.slots_left
        approval_amount = approval_needed(
            intent.order, missing.available, inputs.in_flight, max(inputs.obligations, own)
        )
    is_near = pace.warns_at(intent) <= inputs.now < pace.ready_at(intent)
    is_new = is_near and intent.not_before is not None and intent.warned_slot != intent.slot
    return Verdict(
        (missing.event,),
        missing.reason,
        approval_amount=approval_amount,
        warning=missing if is_new else None,
    )


def _shortfall(intent: Intent, inputs: Inputs) -> Shortfall | None:
    order = intent.order
    from_wallet = intent.taken_from_wallet
    if intent.is_native and from_wallet:
        return Shortfall(
            IntentEvent.FUNDS_MISSING, DEPOSIT_MISSING, order.amount + order.max_fee, intent.unspent_deposit
        )
    needed = from_wallet + order.safety_buffer
    if needed == 0:
        return None
    if inputs.balance is None or inputs.balance < needed:
        return Shortfall(IntentEvent.FUNDS_MISSING, INSUFFICIENT_FUNDS, needed, inputs.balance or 0)
    if from_wallet and (inputs.allowance is None or inputs.allowance < from_wallet):
        return Shortfall(IntentEvent.APPROVAL_MISSING, APPROVAL_MISSING, from_wallet, inputs.allowance or 0)
    return None


def _unmet(intent: Intent, inputs: Inputs, pace: Pace) -> str | None:
    """Return why a covered occurrence that is due is not paid now, the first reason in a fixed order."""
    if not _is_free(intent, inputs):
        return EARLIER_PAYMENTS
    if (reason := _unmet_price(intent, inputs, pace)) is not None:
        return reason
    if inputs.gas_price is None:
        return GAS_PRICE_UNKNOWN
    condition = intent.condition
    if condition and condition.kind is ConditionKind.GAS and not condition.holds(inputs.gas_price):
        return GAS_CONDITION_UNMET
    if inputs.gas_price > intent.order.max_gas_price:
        return GAS_PRICE_ABOVE_CEILING
    return inputs.exceeded


def _unmet_price(intent: Intent, inputs: Inputs, pace: Pace) -> str | None:
    condition = intent.condition
    if condition is None or condition.kind is not ConditionKind.PRICE:
        return None
    if inputs.price is None:
        return PRICE_UNKNOWN
    if (inputs.now - inputs.price.observed_at).total_seconds() > pace.price_stale_seconds:
        return PRICE_STALE
    return None if condition.holds(inputs.price.value) else PRICE_CONDITION_UNMET


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


def record(intent: Intent, inputs: Inputs, reason: str | None, slot: Slot | None = None) -> Evaluation:
    """Return the record of an evaluation of an occurrence that left the intent as given, for a reason."""
    judged = slot or Slot(intent.slot, intent.not_before or intent.created_at)
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
            "not_before": judged.at.isoformat() if intent.not_before else None,
            "expires_at": intent.expires_at.isoformat(),
            "paused": intent.paused,
            "occurrence": judged.number,
            **_condition_inputs(intent, inputs),
        },
    )


def _condition_inputs(intent: Intent, inputs: Inputs) -> dict[str, Any]:
    condition = intent.condition
    if condition is None:
        return {}
    seen: dict[str, Any] = {
        "condition": f"{condition.kind} {condition.comparison} {condition.value:f}",
    }
    if condition.kind is ConditionKind.PRICE:
        seen["price"] = f"{inputs.price.value:f}" if inputs.price else None
        seen["price_observed_at"] = inputs.price.observed_at.isoformat() if inputs.price else None
    return seen


def _text(value: int | None) -> str | None:
    return None if value is None else str(value)
