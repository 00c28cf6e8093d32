"""What chain and node do to the model of the nonce lane: blocks, reverts, evictions, foreign use."""

from collections.abc import Iterator

from snowrail_settlement.domain.lane import FactStatus

from .lane_model_state import FOREIGN, Block, Guard, State, orphaned, told

_Step = tuple[str, State]


def chain_steps(state: State, guards: frozenset[Guard]) -> Iterator[_Step]:
    """Everything that blocks and the node can do next, with what it makes of the state."""
    budget, height = state.budget, len(state.chain)
    for tx in sorted(state.pool):
        if state.txs[tx].nonce == height:
            yield f"a block takes transaction {tx}", _mined(state, guards, tx)
            if budget.reverts:
                spent = state._replace(budget=budget.spend("reverts"))
                yield f"a block takes transaction {tx}, reverted", _mined(spent, guards, tx, succeeded=False)
        if budget.evictions:
            rest = state._replace(pool=state.pool - {tx}, budget=budget.spend("evictions"))
            yield f"the node drops transaction {tx} in silence", rest
    if budget.foreign:
        spent = state._replace(budget=budget.spend("foreign"))
        yield "somebody else uses the key", _mined(spent, guards, FOREIGN)
    if state.final < height:
        deeper = state._replace(final=state.final + 1)
        yield f"nonce {state.final} is final", told(deeper, state.final, FactStatus.FINAL)
    if height > state.final and budget.reorgs:
        yield "the newest block leaves the chain", orphaned(state, budget.spend("reorgs"))
    if height and height == state.final and budget.rollbacks:
        lost = orphaned(state, budget.spend("rollbacks"))
        yield "a final block leaves the chain", lost._replace(was_rolled_back=True)


def _mined(state: State, guards: frozenset[Guard], tx: int, *, succeeded: bool = True) -> State:
    paid: tuple[int, ...] = ()
    if tx != FOREIGN and succeeded:
        before = {payment for block in state.chain for payment in block.paid}
        is_once = Guard.ESCROW_ONCE in guards
        paid = tuple(item for item in state.txs[tx].cargo if not (is_once and item in before))
    nonce = len(state.chain)
    pool = frozenset(other for other in state.pool if state.txs[other].nonce != nonce)
    chain = (*state.chain, Block(tx, state.blocks, succeeded, paid))
    return told(state._replace(chain=chain, pool=pool, blocks=state.blocks + 1), nonce, FactStatus.INCLUDED)
