"""What a new state of an intent means to its payer, compared with the one before."""

from dataclasses import dataclass
from enum import StrEnum

_READY = frozenset({"armed", "due", "delayed", "completed"})
"""States of an intent that is authorised and covered."""
_WAITING_REASONS = frozenset({"payment_in_review", "outcome_unknown", "payment_reopened"})
"""Why a payment that is under way waits."""
_RETURNABLE_REASONS = frozenset({"deposit_to_return", "superseded_order_funded"})
_ENDED = frozenset({"expired", "failed"})


class News(StrEnum):
    """What a payer is told about an intent."""

    READY = "ready"
    DELAYED = "delayed"
    FUNDS_MISSING = "funds_missing"
    RETURNABLE = "returnable"
    RETURNED = "returned"


_SHORT_WAIT = "earlier_payments"
"""It goes on by itself once the same wallet's payments in flight are final: no reason to call anybody."""


@dataclass(frozen=True, slots=True)
class IntentState:
    """An intent at a version. `reason` says why it waits or ended."""

    version: int
    status: str
    reason: str | None


UNSEEN = IntentState(0, "draft", None)
"""Before anything was heard of an intent."""


def news(before: IntentState, after: IntentState, returns_deposit: bool, was_refunded: bool) -> list[News]:
    """Return what is news in a state, each once: a state that is told again, or late, is none.

    Args:
        returns_deposit: the payer's wallet is offered a transaction that takes a native deposit back.
        was_refunded: a deposit came back with this state.
    """
    if after.version <= before.version:
        return []
    found: list[News] = []
    if after.status in _READY and before.status not in _READY:
        found.append(News.READY)
    changed = (after.status, after.reason) != (before.status, before.reason)
    if (
        changed
        and after.reason != _SHORT_WAIT
        and (after.status in ("delayed", "awaiting_approval") or after.reason in _WAITING_REASONS)
    ):
        found.append(News.DELAYED)
    if after.status == "awaiting_funds" and before.status != "awaiting_funds":
        found.append(News.FUNDS_MISSING)
    if was_refunded:
        found.append(News.RETURNED)
    elif changed and (after.reason in _RETURNABLE_REASONS or (after.status in _ENDED and returns_deposit)):
        found.append(News.RETURNABLE)
    return found
