"""The review of a held payment, as a state machine."""

from dataclasses import dataclass
from enum import StrEnum


class ReviewState(StrEnum):
    """Where a review stands."""

    OPEN = "open"
    APPROVED = "approved"
    DENIED = "denied"
    WITHDRAWN = "withdrawn"
    """The payment was cancelled before anybody decided."""


class ReviewEvent(StrEnum):
    """What may happen to a review."""

    APPROVE = "approve"
    DENY = "deny"
    WITHDRAW = "withdraw"


@dataclass(frozen=True, slots=True)
class IllegalTransition:
    """It cannot happen in this state; the review stays as it is."""

    state: ReviewState
    event: ReviewEvent


_OUTCOMES = {
    ReviewEvent.APPROVE: ReviewState.APPROVED,
    ReviewEvent.DENY: ReviewState.DENIED,
    ReviewEvent.WITHDRAW: ReviewState.WITHDRAWN,
}


def transition(state: ReviewState, event: ReviewEvent) -> ReviewState | IllegalTransition:
    """Return the state after something happened: a review is decided once."""
    return _OUTCOMES[event] if state is ReviewState.OPEN else IllegalTransition(state, event)
