"""Walk a model through every order of events within bounds, and look at each state.

Breadth first, so that a counterexample is a shortest one; the order is fixed, so that runs are alike.
"""

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from snowrail_chain.lane import IllegalTransition, TransactionState
from snowrail_settlement.domain.item import ItemState
from snowrail_settlement.domain.lane import FactStatus, LaneState

from .lane_model_state import CEILING, FOREIGN, HIGHEST_FEE, State

Steps = Callable[[State], Iterator[tuple[str, State]]]


@dataclass
class Exploration:
    """What a walk found.

    Attributes:
        states: How many states were reached.
        edges: How many steps there are between them.
        violation: What is wrong in the last state of `trace`; empty if nothing is.
        trace: The steps that lead there.
    """

    states: int = 0
    edges: int = 0
    violation: str = ""
    trace: list[str] = field(default_factory=list[str])

    def __str__(self) -> str:
        if not self.violation:
            return f"{self.states} states, {self.edges} steps, no violation"
        lines = [f"{number:>3}. {label}" for number, label in enumerate(self.trace, start=1)]
        return "\n".join([f"violated: {self.violation}", *lines])


def explore(first: State, steps: Steps, states_limit: int) -> Exploration:
    """Visit every state within the bounds that the first state's budget sets.

    Raises:
        AssertionError: There are more states than the limit.
    """
    found = Exploration(states=1)
    numbers: dict[State, int] = {first: 0}
    origins: list[tuple[int, str]] = [(-1, "")]
    before: list[list[int]] = [[]]
    ends = [0] if is_settled(first) else []
    waiting = deque([first])
    while waiting:
        state = waiting.popleft()
        number = numbers[state]
        try:
            reached = list(steps(state))
        except IllegalTransition as refused:
            found.violation, found.trace = f"a state machine refuses: {refused}", _trace(origins, number)
            found.states = len(origins)
            return found
        for label, following in reached:
            found.edges += 1
            known = numbers.get(following)
            if known is not None:
                before[known].append(number)
                continue
            known = numbers[following] = len(origins)
            origins.append((number, label))
            before.append([number])
            violation = broken_rule(following)
            if violation:
                found.states = len(origins)
                found.violation, found.trace = violation, _trace(origins, known)
                return found
            if is_settled(following):
                ends.append(known)
            waiting.append(following)
            assert len(origins) <= states_limit, f"more than {states_limit} states"
    found.states = len(origins)
    stuck = _cannot_reach(before, ends)
    if stuck is not None:
        found.violation = "payments are stuck for ever, and no alarm says so"
        found.trace = _trace(origins, stuck)
    return found


def _trace(origins: list[tuple[int, str]], number: int) -> list[str]:
    labels: list[str] = []
    while number:
        number, label = origins[number]
        labels.append(label)
    return labels[::-1]


def _cannot_reach(before: list[list[int]], ends: list[int]) -> int | None:
    """The first state from which no path leads to any of the ends."""
    reaching = [False] * len(before)
    waiting = list(ends)
    for number in ends:
        reaching[number] = True
    while waiting:
        for number in before[waiting.pop()]:
            if not reaching[number]:
                reaching[number] = True
                waiting.append(number)
    return next((number for number, reaches in enumerate(reaching) if not reaches), None)


def is_settled(state: State) -> bool:
    """Whether every payment's newest attempt has ended, or operators are told that the lane stopped."""
    newest = {item.payment: item.state for item in state.items}
    ended = all(item in (ItemState.EXECUTED, ItemState.FAILED) for item in newest.values())
    return (ended and not state.news) or state.lane is LaneState.FROZEN


def broken_rule(state: State) -> str:
    """The first rule that a state breaks; empty if it breaks none."""
    return next((words for words, holds in _RULES if not holds(state)), "")


def _is_paid_once(state: State) -> bool:
    paid = [payment for block in state.chain for payment in block.paid]
    return len(paid) == len(set(paid))


def _has_one_transfer(state: State) -> bool:
    """Whether one nonce at most can still pay, or has paid, each payment: without the escrow's help.

    What a rollback of final blocks makes possible again is the escrow's to refuse.
    """
    if state.was_rolled_back:
        return True
    live = {
        (payment, signed.nonce)
        for signed in state.txs
        for payment in signed.cargo
        if not _is_void(state, signed.nonce, payment)
    }
    return len(live) == len({payment for payment, _ in live})


def _is_void(state: State, nonce: int, payment: int) -> bool:
    """Whether the final block at a nonce has left a payment unpaid."""
    return nonce < state.final and payment not in state.chain[nonce].paid


def _has_one_effect(state: State) -> bool:
    """Whether each nonce was signed for one effect, and for transfers of nothing beside it."""
    effects = {(signed.nonce, signed.cargo) for signed in state.txs if signed.cargo or not signed.cancels}
    return len(effects) == len({nonce for nonce, _ in effects})


def _keeps_cancellations(state: State) -> bool:
    """Whether nothing but cancellations was signed for a nonce after its first one."""
    cancelled: set[int] = set()
    for signed in state.txs:
        if signed.cancels:
            cancelled.add(signed.nonce)
        elif signed.nonce in cancelled:
            return False
    return True


def _has_no_gap(state: State) -> bool:
    sent = {signed.nonce for signed in state.txs if signed.was_sent}
    sent |= {nonce for nonce, block in enumerate(state.chain) if block.tx == FOREIGN}
    return sent == set(range(len(sent)))


def _keeps_its_bytes(state: State) -> bool:
    return all(signed.is_stored for signed in state.txs if signed.was_sent)


def _keeps_the_limit(state: State) -> bool:
    flying = {signed.nonce for signed in state.txs if signed.state not in _ENDED}
    flying -= {signed.nonce for signed in state.txs if signed.state in _ENDED}
    orphaned = sum(signed.state is TransactionState.ORPHANED for signed in state.txs)
    return state.was_rolled_back or len(flying) - orphaned <= state.in_flight_limit


_ENDED = (TransactionState.INCLUDED, TransactionState.FINAL, TransactionState.DEAD)


def _keeps_the_ceiling(state: State) -> bool:
    return all(signed.fee <= (HIGHEST_FEE if signed.cancels else CEILING) for signed in state.txs)


def _tells_the_truth(state: State) -> bool:
    """Whether, once every fact has arrived, what is told as paid or failed is so on chain."""
    if state.news:
        return True
    paid = {payment for block in state.chain for payment in block.paid}
    newest = {item.payment: item.state for item in state.items}
    lies = {ItemState.EXECUTED: False, ItemState.INCLUDED: False, ItemState.FAILED: True}
    return all(lies.get(told) is not (payment in paid) for payment, told in newest.items())


def _alarms_of_foreign_use(state: State) -> bool:
    foreign = [fact for fact in state.known if fact.tx == FOREIGN and fact.status is not FactStatus.ORPHANED]
    return state.lane is LaneState.FROZEN or all(fact.nonce in state.acknowledged for fact in foreign)


def _freezes_for_foreign_use_alone(state: State) -> bool:
    was_used = any(fact.tx == FOREIGN for fact in (*state.known, *state.news))
    return state.lane is not LaneState.FROZEN or was_used


_RULES: tuple[tuple[str, Callable[[State], bool]], ...] = (
    ("a payment is paid twice", _is_paid_once),
    ("two transactions can both pay a payment", _has_one_transfer),
    ("two effects are signed for one nonce", _has_one_effect),
    ("what was cancelled is bid for again", _keeps_cancellations),
    ("a stopped lane takes a nonce", lambda state: not state.took_while_stopped),
    ("a nonce is left out", _has_no_gap),
    ("bytes were sent that are stored nowhere", _keeps_its_bytes),
    ("more are in flight than allowed", _keeps_the_limit),
    ("a fee is above a ceiling aboard", _keeps_the_ceiling),
    ("what is told is not so on chain", _tells_the_truth),
    ("the key was used elsewhere, and the lane goes on", _alarms_of_foreign_use),
    ("the lane is frozen although nobody else used the key", _freezes_for_foreign_use_alone),
)
