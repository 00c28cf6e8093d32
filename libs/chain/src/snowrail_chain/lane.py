"""The nonce lane of one signer: states of its transactions, verdicts on what nodes answer, fees, nonces.

Pure logic: whoever runs a lane keeps its rows in a table and speaks to the nodes. The rules it serves: nonces
are used strictly in order, a time-out never frees one, and only facts decide what became of a transaction.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from enum import StrEnum

from snowrail_chain.send import SendOutcome


class IllegalTransition(Exception):
    """The event cannot happen in this state."""

    def __init__(self, state: StrEnum, event: StrEnum) -> None:
        super().__init__(f"{event} cannot happen while {state}")
        self.state = state
        self.event = event


class TransactionState(StrEnum):
    """Where an on-chain transaction is.

    CREATED has no nonce; RESERVED has one; SIGNED has bytes and a hash that are stored; BROADCAST was taken
    by a node; AMBIGUOUS may have been; INCLUDED is in a block; FINAL is deep enough; ORPHANED was in a block
    that left the chain and is to be sent again; DEAD lost its nonce to another hash for good.
    """

    CREATED = "created"
    RESERVED = "reserved"
    SIGNED = "signed"
    BROADCAST = "broadcast"
    AMBIGUOUS = "ambiguous"
    INCLUDED = "included"
    FINAL = "final"
    ORPHANED = "orphaned"
    DEAD = "dead"


class TransactionEvent(StrEnum):
    """What happens to a transaction.

    ACCEPTED: a node has it. UNCLEAR: nobody can tell. REFUSED: a node says that it did not take it. INCLUDED,
    FINAL, ORPHANED: facts about its block. NONCE_LOST: another hash is final at its nonce. NONCE_RETURNED:
    that other hash left the chain.
    """

    RESERVE = "reserve"
    SIGN = "sign"
    ACCEPTED = "accepted"
    UNCLEAR = "unclear"
    REFUSED = "refused"
    INCLUDED = "included"
    FINAL = "final"
    ORPHANED = "orphaned"
    NONCE_LOST = "nonce_lost"
    NONCE_RETURNED = "nonce_returned"


_State = TransactionState
_Event = TransactionEvent

_FACTS: dict[TransactionEvent, TransactionState] = {
    _Event.INCLUDED: _State.INCLUDED,
    _Event.FINAL: _State.FINAL,
    _Event.ORPHANED: _State.ORPHANED,
    _Event.NONCE_LOST: _State.DEAD,
}
"""What facts make of every transaction whose bytes exist. The newest fact holds, whatever came before it."""

_TRANSITIONS: dict[TransactionState, dict[TransactionEvent, TransactionState]] = {
    _State.CREATED: {_Event.RESERVE: _State.RESERVED},
    _State.RESERVED: {_Event.SIGN: _State.SIGNED},
    _State.SIGNED: {
        **_FACTS,
        _Event.ACCEPTED: _State.BROADCAST,
        _Event.UNCLEAR: _State.AMBIGUOUS,
        _Event.REFUSED: _State.SIGNED,
    },
    _State.BROADCAST: {
        **_FACTS,
        _Event.ACCEPTED: _State.BROADCAST,
        _Event.UNCLEAR: _State.AMBIGUOUS,
        _Event.REFUSED: _State.AMBIGUOUS,  # one node took it before: it may still be on its way
    },
    _State.AMBIGUOUS: {
        **_FACTS,
        _Event.ACCEPTED: _State.BROADCAST,
        _Event.UNCLEAR: _State.AMBIGUOUS,
        _Event.REFUSED: _State.AMBIGUOUS,
    },
    _State.INCLUDED: {
        **_FACTS,
        # an answer to bytes that were sent before the fact arrived
        _Event.ACCEPTED: _State.INCLUDED,
        _Event.UNCLEAR: _State.INCLUDED,
        _Event.REFUSED: _State.INCLUDED,
    },
    _State.FINAL: {
        **_FACTS,
        _Event.ACCEPTED: _State.FINAL,
        _Event.UNCLEAR: _State.FINAL,
        _Event.REFUSED: _State.FINAL,
    },
    _State.ORPHANED: {
        **_FACTS,
        _Event.ACCEPTED: _State.BROADCAST,
        _Event.UNCLEAR: _State.AMBIGUOUS,
        _Event.REFUSED: _State.ORPHANED,
    },
    _State.DEAD: {
        **_FACTS,
        _Event.ACCEPTED: _State.DEAD,
        _Event.UNCLEAR: _State.DEAD,
        _Event.REFUSED: _State.DEAD,
        _Event.ORPHANED: _State.DEAD,
        _Event.NONCE_RETURNED: _State.AMBIGUOUS,
    },
}

OPEN_STATES = frozenset({_State.SIGNED, _State.BROADCAST, _State.AMBIGUOUS, _State.ORPHANED})
"""States of transactions that hold a place among those in flight: neither in a block nor dead."""


def after_transaction_event(state: TransactionState, event: TransactionEvent) -> TransactionState:
    """Return the state after an event.

    Raises:
        IllegalTransition: The event cannot happen in this state.
    """
    following = _TRANSITIONS[state].get(event)
    if following is None:
        raise IllegalTransition(state, event)
    return following


class SendVerdict(StrEnum):
    """What to make of a node's answer to a raw transaction.

    TAKEN: the node has it. ASK: only the hash and the account's nonce tell. REFUSED: this node did not take
    it; the bytes stay valid and are sent again later, and nothing above its nonce is sent before.
    """

    TAKEN = "taken"
    ASK = "ask"
    REFUSED = "refused"


_SEND_VERDICTS: dict[SendOutcome, SendVerdict] = {
    SendOutcome.ACCEPTED: SendVerdict.TAKEN,
    SendOutcome.ALREADY_KNOWN: SendVerdict.TAKEN,
    SendOutcome.NONCE_TOO_LOW: SendVerdict.ASK,
    SendOutcome.UNKNOWN: SendVerdict.ASK,
    SendOutcome.NONCE_TOO_HIGH: SendVerdict.REFUSED,
    SendOutcome.UNDERPRICED: SendVerdict.REFUSED,
    SendOutcome.INSUFFICIENT_FUNDS: SendVerdict.REFUSED,
}


def judge_send(outcome: SendOutcome) -> SendVerdict:
    """Say what a node's answer means for the lane."""
    return _SEND_VERDICTS[outcome]


class NonceVerdict(StrEnum):
    """What became of a nonce, as one node sees it.

    OURS: the node knows one of our hashes. FREE: nobody has used it. USED: the account is past it and the
    node knows none of our hashes, because another hash took it or because the node's index lags.
    """

    OURS = "ours"
    FREE = "free"
    USED = "used"


def judge_nonce(nonce: int, account_nonce: int, knows_own_hash: bool) -> NonceVerdict:
    """Say what became of a nonce.

    Args:
        nonce: Nonce of the transaction in question.
        account_nonce: Next nonce of the account in the node's latest block.
        knows_own_hash: Whether the node knows any of the hashes signed for the nonce.
    """
    if knows_own_hash:
        return NonceVerdict.OURS
    return NonceVerdict.USED if account_nonce > nonce else NonceVerdict.FREE


@dataclass(frozen=True, slots=True)
class NonceView:
    """Where a lane stands after looking at the account's nonce.

    Attributes:
        next_nonce: Nonce of the next transaction.
        foreign_nonce: Lowest nonce that somebody else has used and nobody has acknowledged, if any: the lane
            must stop.
    """

    next_nonce: int
    foreign_nonce: int | None


def reconcile_nonces(next_nonce: int, account_nonce: int, acknowledged: Collection[int]) -> NonceView:
    """Compare a lane's next nonce with the account's nonce in the latest block.

    A lower account nonce is normal: transactions are on their way, or the node lags. A higher one means that
    the key was used elsewhere.

    Args:
        next_nonce: Next nonce by the lane's own rows.
        account_nonce: Next nonce of the account in the latest block.
        acknowledged: Nonces used elsewhere that an operator has acknowledged.
    """
    for nonce in range(next_nonce, account_nonce):
        if nonce not in acknowledged:
            return NonceView(nonce, nonce)
    return NonceView(max(next_nonce, account_nonce), None)


@dataclass(frozen=True, slots=True)
class FeePolicy:
    """How a lane bids.

    Attributes:
        base_fee_percent: `max_fee_per_gas` aims at this share of the present base fee.
        least_base_fee_percent: Below this share of the present base fee a bid is not made at all: it would
            hold up the lane as soon as the base fee rises a little.
        priority_fee: Wei per gas for the block's producer.
        replacement_percent: A replacement bids this share of what it replaces.
    """

    base_fee_percent: int
    least_base_fee_percent: int
    priority_fee: int
    replacement_percent: int


@dataclass(frozen=True, slots=True)
class Fees:
    """Bid of a transaction, in wei per gas."""

    max_fee_per_gas: int
    max_priority_fee_per_gas: int


def least_ceiling(base_fee: int, policy: FeePolicy) -> int:
    """Lowest gas ceiling, in wei per gas, with which a payment can be sent at this base fee."""
    return base_fee * policy.least_base_fee_percent // 100 + policy.priority_fee


def bid_up_to(base_fee: int, ceiling: int, policy: FeePolicy) -> Fees:
    """Choose the bid of a transaction that never exceeds the smallest ceiling aboard.

    Payments go aboard only with `least_ceiling`; a transaction that has to be signed later, when the base fee
    has risen, bids its ceiling all the same: it has a nonce.

    Args:
        base_fee: Base fee of the latest block, in wei per gas.
        ceiling: Smallest ceiling aboard.
        policy: How the lane bids.
    """
    wanted = base_fee * policy.base_fee_percent // 100 + policy.priority_fee
    max_fee = min(wanted, ceiling)
    return Fees(max_fee, min(policy.priority_fee, max_fee))


def raise_fees(previous: Fees, base_fee: int, ceiling: int, policy: FeePolicy) -> Fees | None:
    """Choose the bid of a replacement, or nothing when the ceiling leaves no room for one.

    Args:
        previous: Bid to be replaced; nodes demand that both of its parts rise.
        base_fee: Base fee of the latest block, in wei per gas.
        ceiling: Smallest ceiling aboard.
        policy: How the lane bids.
    """
    least = _raised(previous.max_fee_per_gas, policy)
    wanted = base_fee * policy.base_fee_percent // 100 + policy.priority_fee
    max_fee = min(max(least, wanted), ceiling)
    priority = _raised(previous.max_priority_fee_per_gas, policy)
    if max_fee < least or max_fee < priority:
        return None
    return Fees(max_fee, priority)


def _raised(fee: int, policy: FeePolicy) -> int:
    return -(-fee * policy.replacement_percent // 100)


def count_that_fit(costs: Sequence[int], limit: int) -> int:
    """How many of the first costs fit under a limit together, in units of gas or bytes."""
    total = 0
    for count, cost in enumerate(costs):
        total += cost
        if total > limit:
            return count
    return len(costs)
