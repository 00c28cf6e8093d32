"""What operators do to the model of the nonce lane: pause, resume, raise a fee, cancel a nonce.

Each act is one step: it commits by itself, under the locks of the lane and of the nonce's transactions, as in
`snowrail_settlement.api` and `.usecases.operator`. Replacements by workers share the bidding.
"""

from collections.abc import Iterator

from snowrail_chain.lane import OPEN_STATES, Fees, raise_fees
from snowrail_settlement.domain.item import ItemEvent, ItemState, after_item_event
from snowrail_settlement.domain.lane import LaneState

from .lane_model_state import (
    BASE_FEE,
    CEILING,
    HIGHEST_FEE,
    POLICY,
    Guard,
    Signed,
    State,
    with_item,
)

_Step = tuple[str, State]


def operator_steps(state: State, guards: frozenset[Guard]) -> Iterator[_Step]:
    """Every act of an operator that is possible now, with what it makes of the state."""
    budget = state.budget
    may_pause = state.lane is LaneState.ACTIVE or Guard.PAUSE_HIDES_NO_FREEZE not in guards
    if budget.pauses and may_pause:
        yield (
            "an operator pauses the lane",
            state._replace(lane=LaneState.PAUSED, budget=budget.spend("pauses")),
        )
    if state.lane is LaneState.PAUSED:
        yield "an operator resumes the paused lane", _resumed(state)
    if state.lane is LaneState.FROZEN and budget.resumes:
        yield (
            "an operator resumes the frozen lane",
            _resumed(state._replace(budget=budget.spend("resumes"))),
        )
    for tx in _newest_open(state):
        signed = state.txs[tx]
        if budget.raises and not signed.cancels:
            spent = state._replace(budget=budget.spend("raises"))
            raised = bid_again(spent, tx, BASE_FEE, CEILING, signed.cargo)
            if raised is not spent:
                yield f"an operator raises the fee of nonce {signed.nonce}", raised
        if budget.cancellations:
            spent = state._replace(budget=budget.spend("cancellations"))
            yield f"an operator cancels nonce {signed.nonce}", _cancelled(spent, tx, guards)


def _resumed(state: State) -> State:
    return state._replace(lane=LaneState.ACTIVE, acknowledged=state.acknowledged | state.foreign)


def _newest_open(state: State) -> list[int]:
    """The newest stored transaction of each nonce of which no transaction is in a block or dead."""
    newest: dict[int, int] = {}
    for number, signed in enumerate(state.txs):
        before = newest.get(signed.nonce)
        if signed.is_stored and (before is None or state.txs[before].fee < signed.fee):
            newest[signed.nonce] = number
    closed = {signed.nonce for signed in state.txs if signed.is_stored and signed.state not in OPEN_STATES}
    return [newest[nonce] for nonce in sorted(newest) if nonce not in closed]


def _cancelled(state: State, tx: int, guards: frozenset[Guard]) -> State:
    nonce, cargo = state.txs[tx].nonce, ()
    if Guard.CANCELLATION_MOVES_NOTHING not in guards:
        cargo = tuple(item.payment for item in state.items if item.state is ItemState.CREATED)
    state = bid_again(state, tx, BASE_FEE, HIGHEST_FEE, cargo, cancels=True)
    if Guard.CANCELLATION_IS_AWAITED in guards:
        return state
    for number, item in enumerate(state.items):
        if item.nonce == nonce and item.state in (ItemState.ASSIGNED, ItemState.SUBMITTED):
            failed = item._replace(state=after_item_event(item.state, ItemEvent.FAILED))
            state = with_item(state, number, failed)
    return state


def bids_above(signed: Signed, base_fee: int, ceiling: int) -> int | None:
    """The fee of a transaction that replaces another one; nothing if there is no room for it."""
    fees = raise_fees(Fees(signed.fee, 0), base_fee, ceiling, POLICY)
    return None if fees is None else fees.max_fee_per_gas


def bid_again(
    state: State, tx: int, base_fee: int, ceiling: int, cargo: tuple[int, ...], *, cancels: bool = False
) -> State:
    """Sign and store a higher bid for the same nonce, unless a block has decided or none is allowed."""
    old = state.txs[tx]
    rivals = [other for other in state.txs if other.nonce == old.nonce]
    fee = bids_above(old, base_fee, ceiling)
    if fee is None or any(other.state not in OPEN_STATES or other.fee == fee for other in rivals):
        return state
    return state._replace(txs=(*state.txs, Signed(old.nonce, cargo, fee, cancels=cancels)))
