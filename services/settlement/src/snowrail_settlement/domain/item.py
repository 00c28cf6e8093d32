"""One payment attempt on its way over the chain, and what evidence makes of it.

An item is decided by its own events of the escrow alone, by (order hash, occurrence), never by a receipt's
status, an answer of a node, or time.
"""

from dataclasses import dataclass
from enum import StrEnum

from snowrail_chain.lane import IllegalTransition
from snowrail_settlement.domain.refusals import Refusal, explain_refusal


class ItemState(StrEnum):
    """Where an item is.

    CREATED: nothing is signed. ASSIGNED: part of a signed transaction whose bytes are stored. SUBMITTED: that
    transaction was handed to the network. INCLUDED: its execution is in a block that is not final. EXECUTED:
    final. FAILED: proven to have had no effect. UNKNOWN: nobody can tell yet.
    """

    CREATED = "created"
    ASSIGNED = "assigned"
    SUBMITTED = "submitted"
    INCLUDED = "included"
    EXECUTED = "executed"
    FAILED = "failed"
    UNKNOWN = "unknown"


class ItemEvent(StrEnum):
    """What happens to an item.

    REFUSED: turned away before anything was signed. SEEN_EXECUTED and EXECUTED: its execution is in a block,
    and final. FAILED: final proof that its transaction had no effect for it. EVIDENCE_LOST: what was known of
    it left the chain; EVIDENCE_LOST_UNSENT the same where nothing of it was ever signed. CANNOT_TELL: no
    evidence for too long, or evidence that decides nothing.
    """

    ASSIGNED = "assigned"
    REFUSED = "refused"
    SUBMITTED = "submitted"
    SEEN_EXECUTED = "seen_executed"
    EXECUTED = "executed"
    FAILED = "failed"
    EVIDENCE_LOST = "evidence_lost"
    EVIDENCE_LOST_UNSENT = "evidence_lost_unsent"
    CANNOT_TELL = "cannot_tell"


_State = ItemState
_Event = ItemEvent

_OUTCOMES: dict[ItemEvent, ItemState] = {
    _Event.SEEN_EXECUTED: _State.INCLUDED,
    _Event.EXECUTED: _State.EXECUTED,
    _Event.FAILED: _State.FAILED,
}

_TRANSITIONS: dict[ItemState, dict[ItemEvent, ItemState]] = {
    _State.CREATED: {
        _Event.ASSIGNED: _State.ASSIGNED,
        _Event.REFUSED: _State.FAILED,
        _Event.EXECUTED: _State.EXECUTED,  # by a transaction of somebody else
    },
    _State.ASSIGNED: {
        **_OUTCOMES,
        _Event.SUBMITTED: _State.SUBMITTED,
        _Event.CANNOT_TELL: _State.UNKNOWN,
    },
    _State.SUBMITTED: {**_OUTCOMES, _Event.CANNOT_TELL: _State.UNKNOWN},
    _State.INCLUDED: {
        _Event.EXECUTED: _State.EXECUTED,
        _Event.EVIDENCE_LOST: _State.SUBMITTED,
    },
    _State.EXECUTED: {
        _Event.EVIDENCE_LOST: _State.SUBMITTED,
        _Event.EVIDENCE_LOST_UNSENT: _State.FAILED,  # whoever wants it paid has to ask again
    },
    _State.FAILED: {
        _Event.EVIDENCE_LOST: _State.SUBMITTED,
        _Event.EXECUTED: _State.EXECUTED,  # against all that was known: alarm
    },
    _State.UNKNOWN: {**_OUTCOMES},
}


def after_item_event(state: ItemState, event: ItemEvent) -> ItemState:
    """Return the state after an event.

    Raises:
        IllegalTransition: The event cannot happen in this state.
    """
    following = _TRANSITIONS[state].get(event)
    if following is None:
        raise IllegalTransition(state, event)
    return following


@dataclass(frozen=True, slots=True)
class Basis:
    """Where on chain an item's present state was read: a transaction in one particular block."""

    tx_hash: str
    block_hash: str


@dataclass(frozen=True, slots=True)
class Execution:
    """An `Executed` event of an item's order and occurrence, whoever sent the transaction.

    Attributes:
        log_index: With chain and transaction hash, the key under which the payment is credited once.
        is_final: Whether the block is final.
        amount: Atoms that the recipient got.
        fee: Atoms that the payer gave on top.
    """

    basis: Basis
    block_number: int
    log_index: int
    is_final: bool
    amount: int
    fee: int


@dataclass(frozen=True, slots=True)
class OwnTransaction:
    """What is known of the final transaction at an item's nonce.

    Attributes:
        is_ours: Whether it is one that the item is part of; otherwise somebody else used the nonce.
        succeeded: Status of its receipt; nothing of a reverted transaction had an effect.
        failure: Revert data of the item's own `ExecutionFailed`; nothing when there is no such event.
    """

    basis: Basis
    is_ours: bool
    succeeded: bool
    failure: bytes | None


@dataclass(frozen=True, slots=True)
class Evidence:
    """All that the chain as it stands says about an item.

    Attributes:
        execution: An execution of its order and occurrence, a final one before one that is not.
        own: The final transaction at its nonce.
    """

    execution: Execution | None
    own: OwnTransaction | None


@dataclass(frozen=True, slots=True)
class Step:
    """One event of an item, with what it rests on.

    Attributes:
        basis: Where on chain it was read; for lost evidence, what was lost; nothing where the chain is mute.
        refusal: Why it failed, or why nobody can tell.
        execution: The execution that was seen.
    """

    event: ItemEvent
    basis: Basis | None = None
    refusal: Refusal | None = None
    execution: Execution | None = None


NO_EVENT = Refusal("no_event", "the transaction is final without any event of this payment", False)
EXECUTED_ELSEWHERE = Refusal(
    "executed_elsewhere", "the chain says that this payment was already executed; its event is awaited", False
)
REVERTED = Refusal("transaction_reverted", "the whole transaction was reverted", True)
NONCE_TAKEN = Refusal("nonce_taken", "another transaction used the nonce, so that this one never can", True)


EXECUTION_LOST = Refusal("execution_orphaned", "the execution, which was not ours, left the chain", True)


def steps_by_evidence(
    state: ItemState, basis: Basis | None, was_sent: bool, evidence: Evidence
) -> list[Step]:
    """Return what has to happen to an item so that its state says what the evidence says.

    Args:
        state: Present state.
        basis: What the present state rests on; nothing while the chain has said nothing.
        was_sent: Whether the item is part of a signed transaction.
        evidence: What the chain says now.
    """
    steps: list[Step] = []
    wanted = _outcome(evidence, was_sent)
    if basis is not None and not _continues(state, basis, wanted):
        if was_sent:
            steps.append(Step(ItemEvent.EVIDENCE_LOST, basis))
        else:
            steps.append(Step(ItemEvent.EVIDENCE_LOST_UNSENT, basis, EXECUTION_LOST))
        state = after_item_event(state, steps[0].event)
    if wanted is not None and state is not _SETTLED[wanted.event]:
        steps.append(wanted)
    return steps


def _continues(state: ItemState, basis: Basis, wanted: Step | None) -> bool:
    """Whether what the state rests on still holds: the same block, saying the same or that it is final."""
    if wanted is None or wanted.basis != basis:
        return False
    return state is _SETTLED[wanted.event] or (
        state is ItemState.INCLUDED and wanted.event is ItemEvent.EXECUTED
    )


_SETTLED = {
    ItemEvent.SEEN_EXECUTED: ItemState.INCLUDED,
    ItemEvent.EXECUTED: ItemState.EXECUTED,
    ItemEvent.FAILED: ItemState.FAILED,
    ItemEvent.CANNOT_TELL: ItemState.UNKNOWN,
}


def _outcome(evidence: Evidence, was_sent: bool) -> Step | None:
    execution = evidence.execution
    if execution is not None and execution.is_final:
        return Step(ItemEvent.EXECUTED, execution.basis, execution=execution)
    ending = _ending(evidence.own) if evidence.own is not None else None
    if ending is not None and ending.event is ItemEvent.FAILED:
        return ending
    if execution is not None and was_sent:
        return Step(ItemEvent.SEEN_EXECUTED, execution.basis, execution=execution)
    return ending


def _ending(own: OwnTransaction) -> Step:
    """What the final transaction at the item's nonce says when there is no final execution."""
    if not own.is_ours:
        return Step(ItemEvent.FAILED, own.basis, NONCE_TAKEN)
    if not own.succeeded:
        return Step(ItemEvent.FAILED, own.basis, REVERTED)
    if own.failure is None:
        return Step(ItemEvent.CANNOT_TELL, refusal=NO_EVENT)
    refusal = explain_refusal(own.failure)
    if refusal.means_executed:
        return Step(ItemEvent.CANNOT_TELL, refusal=EXECUTED_ELSEWHERE)
    return Step(ItemEvent.FAILED, own.basis, refusal)
