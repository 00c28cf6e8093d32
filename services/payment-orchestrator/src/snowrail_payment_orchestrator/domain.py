"""The state machine of a payment and the arithmetic of its journals. Pure: no clock, no IO."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

MAX_ATTEMPTS: Final = 3


class Status(StrEnum):
    """States of a payment."""

    REQUESTED = "requested"
    REVIEW = "review"
    APPROVED = "approved"
    BLOCKED = "blocked"
    EXECUTING = "executing"
    UNKNOWN = "unknown"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"


class Happening(StrEnum):
    """What can happen to a payment."""

    ASSESSED_ALLOW = "assessed_allow"
    ASSESSED_REVIEW = "assessed_review"
    ASSESSED_BLOCK = "assessed_block"
    REVIEW_APPROVED = "review_approved"
    REVIEW_DENIED = "review_denied"
    ROUTED = "routed"
    NO_ROUTE = "no_route"
    EXECUTED = "executed"
    FAILED_RETRYABLE = "failed_retryable"
    FAILED_FINAL = "failed_final"
    OUTCOME_UNKNOWN = "outcome_unknown"
    ORPHANED = "orphaned"
    CANCELLED_OFF_CHAIN = "cancelled_off_chain"
    CANCELLED_ON_CHAIN = "cancelled_on_chain"


FINISHED: Final = frozenset({Status.BLOCKED, Status.SUCCEEDED, Status.FAILED, Status.CANCELLED})
"""States in which a payment rests; only evidence from the chain takes it out of them."""

_TRANSITIONS: Final[dict[tuple[Status, Happening], Status]] = {
    (Status.REQUESTED, Happening.ASSESSED_ALLOW): Status.APPROVED,
    (Status.REQUESTED, Happening.ASSESSED_REVIEW): Status.REVIEW,
    (Status.REQUESTED, Happening.ASSESSED_BLOCK): Status.BLOCKED,
    (Status.REQUESTED, Happening.CANCELLED_OFF_CHAIN): Status.CANCELLED,
    (Status.REQUESTED, Happening.CANCELLED_ON_CHAIN): Status.CANCELLED,
    (Status.REVIEW, Happening.REVIEW_APPROVED): Status.APPROVED,
    (Status.REVIEW, Happening.REVIEW_DENIED): Status.BLOCKED,
    (Status.REVIEW, Happening.CANCELLED_OFF_CHAIN): Status.CANCELLED,
    (Status.REVIEW, Happening.CANCELLED_ON_CHAIN): Status.CANCELLED,
    (Status.APPROVED, Happening.ROUTED): Status.EXECUTING,
    (Status.APPROVED, Happening.NO_ROUTE): Status.FAILED,
    (Status.APPROVED, Happening.CANCELLED_OFF_CHAIN): Status.CANCELLED,
    (Status.APPROVED, Happening.CANCELLED_ON_CHAIN): Status.CANCELLED,
    # an attempt was final without effect, or cancelled in time; its block left the chain, and it was executed
    (Status.APPROVED, Happening.EXECUTED): Status.SUCCEEDED,
    (Status.FAILED, Happening.EXECUTED): Status.SUCCEEDED,
    (Status.CANCELLED, Happening.EXECUTED): Status.SUCCEEDED,
    (Status.FAILED, Happening.ORPHANED): Status.EXECUTING,
    (Status.EXECUTING, Happening.EXECUTED): Status.SUCCEEDED,
    (Status.EXECUTING, Happening.FAILED_RETRYABLE): Status.APPROVED,
    (Status.EXECUTING, Happening.FAILED_FINAL): Status.FAILED,
    (Status.EXECUTING, Happening.OUTCOME_UNKNOWN): Status.UNKNOWN,
    (Status.EXECUTING, Happening.ORPHANED): Status.EXECUTING,
    (Status.EXECUTING, Happening.CANCELLED_ON_CHAIN): Status.CANCELLED,
    (Status.UNKNOWN, Happening.EXECUTED): Status.SUCCEEDED,
    (Status.UNKNOWN, Happening.FAILED_RETRYABLE): Status.FAILED,
    (Status.UNKNOWN, Happening.FAILED_FINAL): Status.FAILED,
    (Status.UNKNOWN, Happening.ORPHANED): Status.UNKNOWN,
    (Status.UNKNOWN, Happening.CANCELLED_ON_CHAIN): Status.CANCELLED,
    (Status.SUCCEEDED, Happening.ORPHANED): Status.EXECUTING,
}


@dataclass(frozen=True, slots=True)
class IllegalTransition:
    """What happened cannot happen in this state; the payment stays as it is."""

    status: Status
    happening: Happening


def transition(status: Status, happening: Happening) -> Status | IllegalTransition:
    """Return the state after something happened, or `IllegalTransition`."""
    return _TRANSITIONS.get((status, happening)) or IllegalTransition(status, happening)


def failure(attempt: int, retryable: bool) -> Happening:
    """Return what a proven failure without effect means: another attempt, while there are any left."""
    return Happening.FAILED_RETRYABLE if retryable and attempt < MAX_ATTEMPTS else Happening.FAILED_FINAL


def retry_delay_seconds(attempt: int) -> float:
    """Return how long to wait after the failure of an attempt: 1 s, 4 s, 16 s."""
    return float(4 ** (attempt - 1))


@dataclass(frozen=True, slots=True)
class Posting:
    """One line of a journal: what an account gains (positive) or gives, in atoms of a token."""

    account: str
    token: str
    atoms: int


def wallet_account(address: str) -> str:
    """Return the account of a wallet."""
    return f"wallet:{address}"


def escrow_account(order_hash: str) -> str:
    """Return the account of an order's deposit in the escrow."""
    return f"escrow:{order_hash}"


PLATFORM_FEES: Final = "platform:fees"


def payment_postings(source: str, recipient: str, token: str, amount: int, fee: int) -> tuple[Posting, ...]:
    """Return the lines of an executed payment: the source gives amount and fee, others gain them."""
    lines = [Posting(source, token, -(amount + fee)), Posting(wallet_account(recipient), token, amount)]
    if fee:
        lines.append(Posting(PLATFORM_FEES, token, fee))
    return tuple(lines)


def transfer_postings(source: str, target: str, token: str, atoms: int) -> tuple[Posting, ...]:
    """Return the lines of a movement between two accounts: a deposit, or its return."""
    return (Posting(source, token, -atoms), Posting(target, token, atoms))


def reversed_postings(postings: tuple[Posting, ...]) -> tuple[Posting, ...]:
    """Return the compensating lines."""
    return tuple(Posting(line.account, line.token, -line.atoms) for line in postings)


def is_native(token: str) -> bool:
    """Whether a token is its chain's own coin: orders in it are paid from their deposit or not at all."""
    return int(token.partition(":")[2], 16) == 0
