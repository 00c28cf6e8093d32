"""What a nonce lane does next, decided from what is stored and what a node has answered. Pure.

With `snowrail_chain.lane` (states of a transaction, verdicts on answers, nonces, fees) and `item` (evidence)
this is everything that a lane decides; use cases only read, ask, and write down. The model in
`tests/faults/lane_model` walks these same functions through every order of events.
"""

from collections.abc import Collection
from dataclasses import dataclass
from enum import StrEnum

from snowrail_chain.lane import NonceVerdict, SendVerdict, TransactionEvent, TransactionState

_FIRST_SIGNER_PAUSE_SECONDS = 0.5
_MOST_DOUBLINGS = 16


class LaneState(StrEnum):
    """ACTIVE takes new items. PAUSED and FROZEN only look after what is on its way: the first because an
    operator said so, the second because the key was used elsewhere."""

    ACTIVE = "active"
    PAUSED = "paused"
    FROZEN = "frozen"


class Move(StrEnum):
    """What is to be done about a nonce.

    REST: nothing is due. HOLD: its bytes were not taken a moment ago, and nothing above them leaves before.
    CHECK: it is in a block; send it only if the node does not know it. SEND: send its newest bytes. REPLACE:
    sign the same effect with a higher fee.
    """

    REST = "rest"
    HOLD = "hold"
    CHECK = "check"
    SEND = "send"
    REPLACE = "replace"


class FactStatus(StrEnum):
    """What a fact says of a transaction's block."""

    INCLUDED = "included"
    FINAL = "final"
    ORPHANED = "orphaned"


@dataclass(frozen=True, slots=True)
class Timing:
    """How long a lane waits before it does something again, in seconds."""

    retry_seconds: float
    resend_after_seconds: float
    replace_after_seconds: float
    foreign_after_seconds: float


@dataclass(frozen=True, slots=True)
class Sending:
    """What the choice of a move rests on.

    Attributes:
        state: Of the newest transaction signed for the nonce.
        was_refused: Whether a node did not take it when it was last sent.
        quiet_seconds: Since it was last sent; nothing if it never was.
        age_seconds: Since it was signed.
        is_lowest: Whether it has the lowest nonce that is on its way.
        is_resending: Whether all that is not final goes again, as after a start.
        is_replaceable: Whether this chain's nodes take replacements.
        may_pay_more: Whether a higher fee is allowed for what the transaction does.
    """

    state: TransactionState
    was_refused: bool
    quiet_seconds: float | None
    age_seconds: float
    is_lowest: bool
    is_resending: bool
    is_replaceable: bool
    may_pay_more: bool


def next_move(sending: Sending, timing: Timing) -> Move:
    """Choose what to do about a nonce."""
    quiet = sending.quiet_seconds
    if sending.was_refused and quiet is not None and quiet < timing.retry_seconds:
        return Move.HOLD
    if _is_worth_more(sending, timing) and sending.may_pay_more:
        return Move.REPLACE
    is_fresh = quiet is not None and quiet < timing.resend_after_seconds
    if sending.state is TransactionState.BROADCAST and is_fresh and not sending.is_resending:
        return Move.REST
    if sending.state is TransactionState.INCLUDED:
        return Move.CHECK
    return Move.SEND


def is_at_its_limit(sending: Sending, timing: Timing) -> bool:
    """Whether a transaction should pay more and may not: it holds up all above it, and is sent as it is."""
    return _is_worth_more(sending, timing) and not sending.may_pay_more


def _is_worth_more(sending: Sending, timing: Timing) -> bool:
    is_late = sending.age_seconds >= timing.replace_after_seconds
    is_waiting = sending.state is TransactionState.BROADCAST
    return is_waiting and sending.is_replaceable and sending.is_lowest and is_late


def may_sign_more(
    state: LaneState, is_held_up: bool, reserved: int, in_flight: int, in_flight_limit: int
) -> bool:
    """Whether a pass may take another nonce.

    Args:
        state: Of the lane.
        is_held_up: Whether a transaction could not be handed over.
        reserved: Nonces taken whose transaction is not signed yet.
        in_flight: Nonces whose transaction is in no block.
        in_flight_limit: How many there may be.
    """
    return state is LaneState.ACTIVE and not is_held_up and not reserved and in_flight < in_flight_limit


def may_take_nonce(state: LaneState, is_nonce_used: bool, in_flight: int, in_flight_limit: int) -> bool:
    """Whether the next nonce may be taken, decided while the lane's row is locked.

    Args:
        state: Of the lane, by the locked row.
        is_nonce_used: Whether a fact stands of any transaction at this nonce.
        in_flight: Nonces taken, or signed for, whose transaction is in no block.
        in_flight_limit: How many there may be.
    """
    return state is LaneState.ACTIVE and not is_nonce_used and in_flight < in_flight_limit


def signer_pause_seconds(failures: int, longest_seconds: float) -> float:
    """How long to leave a signer alone that has given no signature so many times in a row.

    The key may be behind a service that is down, or that answers the more slowly the more it is asked.
    """
    return min(_FIRST_SIGNER_PAUSE_SECONDS * 2.0 ** min(failures - 1, _MOST_DOUBLINGS), longest_seconds)


def must_ask(verdict: SendVerdict, state: TransactionState) -> bool:
    """Whether an answer alone does not tell what became of sent bytes.

    A refusal of bytes that were never taken before is clear: this node does not have them.
    """
    if verdict is SendVerdict.REFUSED:
        return state is not TransactionState.SIGNED
    return verdict is SendVerdict.ASK


def after_refusal(was_asked: bool, node_knows: bool) -> TransactionEvent:
    """What a refusal means, after asking the node for the hash where that was needed."""
    return TransactionEvent.ACCEPTED if was_asked and node_knows else TransactionEvent.REFUSED


def after_doubt(verdict: NonceVerdict, is_taken_for_good: bool) -> TransactionEvent:
    """What an answer that told nothing means, after asking for every hash and the account's nonce.

    Args:
        verdict: What the node says of the nonce.
        is_taken_for_good: Whether another hash than ours is final at the nonce, by facts.
    """
    if verdict is NonceVerdict.OURS:
        return TransactionEvent.ACCEPTED
    if verdict is NonceVerdict.USED and is_taken_for_good:
        return TransactionEvent.NONCE_LOST
    return TransactionEvent.UNCLEAR


def must_freeze(verdict: NonceVerdict, event: TransactionEvent, doubt_seconds: float, timing: Timing) -> bool:
    """Whether a used nonce of which nobody knows our hash has been so for long enough to stop the lane."""
    return (
        verdict is NonceVerdict.USED
        and event is TransactionEvent.UNCLEAR
        and doubt_seconds >= timing.foreign_after_seconds
    )


def event_of_fact(is_own: bool, status: FactStatus, state: TransactionState) -> TransactionEvent | None:
    """What a fact about a transaction means for one that was signed for the same nonce.

    Args:
        is_own: Whether the fact is about this very transaction.
        status: What the fact says.
        state: Of the signed transaction.
    """
    if is_own:
        return _OWN[status]
    if status is FactStatus.FINAL:
        return TransactionEvent.NONCE_LOST
    if status is FactStatus.ORPHANED and state is TransactionState.DEAD:
        return TransactionEvent.NONCE_RETURNED
    return None


_OWN = {
    FactStatus.INCLUDED: TransactionEvent.INCLUDED,
    FactStatus.FINAL: TransactionEvent.FINAL,
    FactStatus.ORPHANED: TransactionEvent.ORPHANED,
}


def is_foreign(status: FactStatus, tx_hash: str, own_hashes: Collection[str]) -> bool:
    """Whether a fact shows that somebody else used a nonce of ours.

    Args:
        status: What the fact says.
        tx_hash: Its transaction.
        own_hashes: Every hash that was signed for the nonce.
    """
    return status is not FactStatus.ORPHANED and tx_hash not in own_hashes
