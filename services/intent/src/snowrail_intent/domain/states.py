"""The state machine of an intent: what may follow what, for every state and every event.

    DRAFT -> AWAITING_AUTHORISATION -> [AWAITING_FUNDS] -> [AWAITING_APPROVAL] -> ARMED
    ARMED -> DUE <-> DELAYED ; any before execution -> CANCELLED | EXPIRED ; paused <-> active

    an occurrence that is paid, missed or failed leads back to ARMED while the series has more

An intent that is stored as DUE has a payment in flight. DUE -> DELAYED happens only inside one evaluation,
before that payment exists; afterwards the payment alone decides how the intent goes on.
"""

from dataclasses import dataclass
from enum import StrEnum


class Status(StrEnum):
    """Where an intent is."""

    DRAFT = "draft"
    AWAITING_AUTHORISATION = "awaiting_authorisation"
    AWAITING_FUNDS = "awaiting_funds"
    AWAITING_APPROVAL = "awaiting_approval"
    ARMED = "armed"
    DUE = "due"
    DELAYED = "delayed"
    COMPLETED = "completed"
    CANCELLED = "cancelled"
    EXPIRED = "expired"
    FAILED = "failed"


class IntentEvent(StrEnum):
    """What can happen to an intent."""

    SUBMITTED = "submitted"
    """The request passed every check."""
    EDITED = "edited"
    AUTHORISED = "authorised"
    """The payer signed the order, or a final deposit by the payer covers it."""
    FUNDS_MISSING = "funds_missing"
    APPROVAL_MISSING = "approval_missing"
    COVERED = "covered"
    """Balance and allowance, or the deposit, suffice."""
    BECAME_DUE = "became_due"
    CONDITION_UNMET = "condition_unmet"
    OCCURRENCE_PAID = "occurrence_paid"
    """A payment is final and more occurrences remain."""
    OCCURRENCE_FAILED = "occurrence_failed"
    """A payment ended without effect and more occurrences remain."""
    OCCURRENCE_MISSED = "occurrence_missed"
    """An occurrence could not be paid in time and more occurrences remain."""
    SERIES_ENDED = "series_ended"
    """No occurrence remains; some were paid, the last one was not."""
    ALL_PAID = "all_paid"
    PAYMENT_FAILED = "payment_failed"
    PAYMENT_CANCELLED = "payment_cancelled"
    REOPENED = "reopened"
    """The transaction that ended a payment left the chain."""
    CANCELLED = "cancelled"
    """The payer asked us to stop; nothing is on chain yet."""
    CANCELLED_ON_CHAIN = "cancelled_on_chain"
    CANCELLATION_ORPHANED = "cancellation_orphaned"
    FUNDING_ORPHANED = "funding_orphaned"
    """The deposit that authorised the order left the chain."""
    EXPIRED = "expired"
    PAUSED = "paused"
    RESUMED = "resumed"


@dataclass(frozen=True, slots=True)
class State:
    """Status and the flag that holds an intent back."""

    status: Status
    paused: bool = False


class IllegalTransition(Exception):
    """This event cannot happen in this state."""

    def __init__(self, state: State, event: IntentEvent) -> None:
        super().__init__(f"{event} is not possible while {state.status}{' and paused' * state.paused}")
        self.state = state
        self.event = event


TERMINAL = frozenset({Status.COMPLETED, Status.CANCELLED, Status.EXPIRED, Status.FAILED})
"""States that only evidence from the chain can leave."""
STOPPABLE = frozenset(
    {
        Status.AWAITING_AUTHORISATION,
        Status.AWAITING_FUNDS,
        Status.AWAITING_APPROVAL,
        Status.ARMED,
        Status.DELAYED,
    }
)
"""States in which no payment exists: the intent can be paused, or stopped without the chain."""
PAUSABLE = STOPPABLE | {Status.DUE}
"""States in which what comes next can be held back."""
WAITING = frozenset({Status.AWAITING_FUNDS, Status.AWAITING_APPROVAL, Status.DELAYED})
"""Authorised intents that something holds up."""

_STOPS = {
    IntentEvent.CANCELLED: Status.CANCELLED,
    IntentEvent.CANCELLED_ON_CHAIN: Status.CANCELLED,
    IntentEvent.EXPIRED: Status.EXPIRED,
}
_AUTHORISED = {
    **_STOPS,
    IntentEvent.FUNDING_ORPHANED: Status.AWAITING_AUTHORISATION,
    IntentEvent.OCCURRENCE_MISSED: Status.ARMED,
    IntentEvent.SERIES_ENDED: Status.COMPLETED,
    IntentEvent.REOPENED: Status.DUE,
}
"""What can happen to an intent that is authorised, whatever it waits for."""


def _chain_facts(status: Status) -> dict[IntentEvent, Status]:
    """Facts about the order that do not change how an ended intent ended."""
    return {IntentEvent.CANCELLED_ON_CHAIN: status, IntentEvent.CANCELLATION_ORPHANED: status}


_NEXT: dict[Status, dict[IntentEvent, Status]] = {
    Status.DRAFT: {IntentEvent.SUBMITTED: Status.AWAITING_AUTHORISATION},
    Status.AWAITING_AUTHORISATION: {
        **_STOPS,
        IntentEvent.EDITED: Status.AWAITING_AUTHORISATION,
        IntentEvent.AUTHORISED: Status.ARMED,
        # the deposit of a series left the chain after some of it was paid
        IntentEvent.SERIES_ENDED: Status.COMPLETED,
        IntentEvent.REOPENED: Status.DUE,
    },
    Status.AWAITING_FUNDS: {
        **_AUTHORISED,
        IntentEvent.FUNDS_MISSING: Status.AWAITING_FUNDS,
        IntentEvent.APPROVAL_MISSING: Status.AWAITING_APPROVAL,
        IntentEvent.COVERED: Status.ARMED,
    },
    Status.AWAITING_APPROVAL: {
        **_AUTHORISED,
        IntentEvent.FUNDS_MISSING: Status.AWAITING_FUNDS,
        IntentEvent.APPROVAL_MISSING: Status.AWAITING_APPROVAL,
        IntentEvent.COVERED: Status.ARMED,
    },
    Status.ARMED: {
        **_AUTHORISED,
        IntentEvent.FUNDS_MISSING: Status.AWAITING_FUNDS,
        IntentEvent.APPROVAL_MISSING: Status.AWAITING_APPROVAL,
        IntentEvent.BECAME_DUE: Status.DUE,
    },
    Status.DELAYED: {
        **_AUTHORISED,
        IntentEvent.FUNDS_MISSING: Status.AWAITING_FUNDS,
        IntentEvent.APPROVAL_MISSING: Status.AWAITING_APPROVAL,
        IntentEvent.BECAME_DUE: Status.DUE,
    },
    Status.DUE: {
        IntentEvent.CONDITION_UNMET: Status.DELAYED,
        IntentEvent.OCCURRENCE_PAID: Status.ARMED,
        IntentEvent.OCCURRENCE_FAILED: Status.ARMED,
        IntentEvent.SERIES_ENDED: Status.COMPLETED,
        IntentEvent.ALL_PAID: Status.COMPLETED,
        IntentEvent.PAYMENT_FAILED: Status.FAILED,
        IntentEvent.PAYMENT_CANCELLED: Status.CANCELLED,
        IntentEvent.CANCELLED_ON_CHAIN: Status.CANCELLED,
        IntentEvent.CANCELLATION_ORPHANED: Status.DUE,
    },
    Status.COMPLETED: {**_chain_facts(Status.COMPLETED), IntentEvent.REOPENED: Status.DUE},
    Status.CANCELLED: {
        **_chain_facts(Status.CANCELLED),
        # a payment was in flight when the cancellation was seen: whichever the chain took first is the truth
        IntentEvent.OCCURRENCE_PAID: Status.CANCELLED,
        IntentEvent.OCCURRENCE_FAILED: Status.CANCELLED,
        IntentEvent.SERIES_ENDED: Status.CANCELLED,
        IntentEvent.ALL_PAID: Status.COMPLETED,
        IntentEvent.PAYMENT_FAILED: Status.CANCELLED,
        IntentEvent.PAYMENT_CANCELLED: Status.CANCELLED,
    },
    Status.EXPIRED: _chain_facts(Status.EXPIRED),
    Status.FAILED: {
        **_chain_facts(Status.FAILED),
        IntentEvent.ALL_PAID: Status.COMPLETED,
        IntentEvent.REOPENED: Status.DUE,
    },
}


def advance(state: State, event: IntentEvent) -> State:
    """Return the state after an event.

    Raises:
        IllegalTransition: the event cannot happen in this state.
    """
    if event in (IntentEvent.PAUSED, IntentEvent.RESUMED):
        pausing = event is IntentEvent.PAUSED
        if state.status not in PAUSABLE or state.paused is pausing:
            raise IllegalTransition(state, event)
        return State(state.status, pausing)
    following = _NEXT[state.status].get(event)
    if following is None or (state.paused and event is IntentEvent.BECAME_DUE):
        raise IllegalTransition(state, event)
    return State(following, state.paused and following not in TERMINAL)


def allows(state: State, event: IntentEvent) -> bool:
    """Return whether an event can happen in a state."""
    try:
        advance(state, event)
    except IllegalTransition:
        return False
    return True
