"""Put due payments into a transaction: try them, take a nonce for them, sign, store, in this order.

Nonce, effect and the payments aboard are committed before anything is signed, bytes and hash before anything
is sent.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from uuid import UUID

from snowrail_chain.abi import Execution, execute_calldata, execute_many_calldata
from snowrail_chain.addresses import NATIVE_TOKEN
from snowrail_chain.lane import least_ceiling
from snowrail_chain.signer import Transaction, effect_digest
from snowrail_kit.unit_of_work import Transaction as UnitOfWork
from snowrail_settlement import metrics
from snowrail_settlement.clients import Network
from snowrail_settlement.domain.batch import (
    Candidate,
    Limits,
    Plan,
    affordable,
    first_that_fit,
    gas_limit_of,
    judge_simulation,
)
from snowrail_settlement.domain.item import ItemEvent, Step
from snowrail_settlement.domain.lane import LaneState, may_take_nonce
from snowrail_settlement.domain.refusals import Refusal
from snowrail_settlement.store import evidence, items, lanes
from snowrail_settlement.store.items import DueItem
from snowrail_settlement.store.lanes import Lane, ReservedNonce
from snowrail_settlement.usecases.facts import occurrence_key
from snowrail_settlement.usecases.parts import LaneWorker, Parts
from snowrail_settlement.usecases.signing import sign_reserved
from snowrail_settlement.usecases.telling import take_step

_NETWORK_FRESH_SECONDS = 1.0
_WITHOUT_CODE_SECONDS = 60.0
_REMEMBERED_PAYERS = 10_000


@dataclass(frozen=True, slots=True)
class Dispatched:
    """How a dispatch ended: whether there is more to do at once, and what kept it from going on."""

    more: bool
    trouble: str | None = None


async def dispatch(parts: Parts, worker: LaneWorker, lane: Lane) -> Dispatched:
    """Sign and store one transaction for the payments that are due, if there are any."""
    now = parts.clock.now()
    if worker.held_until is not None and now < worker.held_until:
        return Dispatched(False, worker.held_for)
    limit = parts.settings.transaction_items
    served = [known.signer.address for known in parts.workers.values() if known.chain == worker.chain]
    due = await items.due_items(parts.database, lane.chain_id, lane.signer, served, now, limit)
    if not due or _is_collecting(parts, due, now):
        return Dispatched(False)
    network = await _network(parts, worker, lane, now)
    if network is None:
        return Dispatched(False, "the node is behind what is known of the chain")
    candidates = [
        Candidate(
            item.item_id,
            item.attempt,
            Execution(item.order, item.occurrence, item.signature),
            item.gas_ceiling,
        )
        for item in due
    ]
    highest, policy = parts.settings.highest_fee_wei, parts.settings.fee_policy
    if least_ceiling(network.base_fee, policy) > highest:
        return Dispatched(False, f"gas costs {network.base_fee} wei, and the limit is {highest}")
    able, waiting = affordable(candidates, network.base_fee, policy)
    able = await _with_gas_for_contracts(worker, able, now)
    plan = await _try(parts, worker, able)
    if plan.hold is not None:
        worker.held_until = now + timedelta(seconds=parts.settings.wait_step_seconds)
        worker.held_for = f"no payment can succeed: {plan.hold}"
        return Dispatched(False, worker.held_for)
    aboard = first_that_fit(plan.aboard, _limits(parts))
    async with parts.transaction() as tx:
        locked = await lanes.lock_lane(tx, lane.lane_id)
        assert locked is not None, "lanes are never deleted"
        await _refuse(tx, plan.refused)
        until = tx.now + timedelta(seconds=parts.settings.wait_step_seconds)
        wait = [*waiting, *plan.waiting]
        await items.postpone(tx, [item_id for item_id, _ in wait], [code for _, code in wait], until)
        is_used = await evidence.is_nonce_used(tx, locked.chain_id, locked.signer, locked.next_nonce)
        in_flight = await lanes.count_in_flight(tx, locked.chain_id, locked.signer)
        if not may_take_nonce(locked.state, is_used, in_flight, parts.settings.in_flight_transactions):
            if locked.state is LaneState.ACTIVE and is_used:
                worker.reconciled_at = None
                return Dispatched(False, f"nonce {locked.next_nonce} was used elsewhere")
            return Dispatched(False)
        reserved = await _reserve(parts, worker, locked, tx, aboard)
    if reserved is None:
        return Dispatched(more=len(due) == limit)
    trouble = await sign_reserved(parts, worker, lane, reserved)
    return Dispatched(more=trouble is None, trouble=trouble)


def _is_collecting(parts: Parts, due: Sequence[DueItem], now: datetime) -> bool:
    """Whether others may still join the payments that are due."""
    oldest = min(item.created_at for item in due)
    age_seconds = (now - oldest).total_seconds()
    return len(due) < parts.settings.transaction_items and age_seconds < parts.settings.collect_seconds


async def _network(parts: Parts, worker: LaneWorker, lane: Lane, now: datetime) -> Network | None:
    """Return the latest block; nothing while the node has not seen what facts have already told."""
    observed = await evidence.observed_height(parts.database, lane.chain_id)
    known, known_at = worker.network, worker.network_at
    if known is not None and known_at is not None and known.height >= observed:
        fresh_seconds = min(_NETWORK_FRESH_SECONDS, worker.chain.block_time_seconds)
        if (now - known_at).total_seconds() < fresh_seconds:
            return known
    worker.network = await worker.node.network()
    worker.network_at = now
    return worker.network if worker.network.height >= observed else None


async def _with_gas_for_contracts(
    worker: LaneWorker, candidates: Sequence[Candidate], now: datetime
) -> list[Candidate]:
    """Mark payments whose payer is a contract: its check of the signature may use all the gas of an item.

    Planned too small, it would starve, and revert, the transaction of everybody aboard.
    """
    payers = {item.execution.order.payer for item in candidates if item.execution.order.token != NATIVE_TOKEN}
    unknown = sorted(payer for payer in payers if worker.without_code_until.get(payer, now) <= now)
    contracts: set[str] = set()
    if unknown:
        contracts = await worker.node.contracts_among(unknown)
        if len(worker.without_code_until) > _REMEMBERED_PAYERS:
            worker.without_code_until.clear()
        until = now + timedelta(seconds=_WITHOUT_CODE_SECONDS)
        worker.without_code_until.update({payer: until for payer in unknown if payer not in contracts})
    return [replace(item, payer_is_contract=item.execution.order.payer in contracts) for item in candidates]


async def _try(parts: Parts, worker: LaneWorker, candidates: Sequence[Candidate]) -> Plan:
    """Simulate each payment by itself. Its refusal proves that it has no effect, as nothing is signed yet."""
    if not parts.settings.simulate or not candidates:
        return Plan(list(candidates), [], [])
    reverts = await worker.node.simulate(
        worker.signer.address,
        worker.chain.escrow,
        [execute_calldata(candidate.execution) for candidate in candidates],
        parts.settings.simulate_gas,
    )
    return judge_simulation(candidates, reverts)


def _limits(parts: Parts) -> Limits:
    settings = parts.settings
    return Limits(settings.transaction_gas, settings.transaction_bytes, settings.item_gas)


async def _refuse(tx: UnitOfWork, refused: Sequence[tuple[UUID, Refusal]]) -> None:
    """Tell of payments that were turned away before anything was signed for them."""
    if not refused:
        return
    refusals = dict(refused)
    locked = await items.lock_items(tx, "item_id = ANY($1::uuid[]) AND state = 'created'", list(refusals))
    for item in locked:
        take_step(item, Step(ItemEvent.REFUSED, refusal=refusals[item.item_id]), tx)
        tx.wake(occurrence_key(*item.key))
    await items.save_items(tx, locked)


async def _reserve(
    parts: Parts, worker: LaneWorker, lane: Lane, tx: UnitOfWork, aboard: Sequence[Candidate]
) -> ReservedNonce | None:
    """Take the lane's next nonce for the payments that are still to be made, if there are any."""
    claimed = await items.claim_created(tx, [candidate.item_id for candidate in aboard])
    riders = [candidate for candidate in aboard if candidate.item_id in claimed]
    if not riders:
        return None
    transaction = Transaction(
        chain_id=lane.chain_id,
        nonce=lane.next_nonce,
        to=worker.chain.escrow,
        value=0,
        data=execute_many_calldata([rider.execution for rider in riders]),
        gas_limit=gas_limit_of(riders, _limits(parts)),
        max_fee_per_gas=0,
        max_priority_fee_per_gas=0,
    )
    effect = effect_digest(transaction)
    ceiling = min(parts.settings.highest_fee_wei, *(rider.gas_ceiling for rider in riders))
    await lanes.reserve_nonce(tx, lane, transaction, effect, ceiling, len(riders))
    count = await items.assign(tx, [rider.item_id for rider in riders], lane.signer, lane.next_nonce)
    assert count == len(riders), "every payment aboard was claimed"
    metrics.ITEMS_PER_TRANSACTION.observe(len(riders))
    return ReservedNonce(
        nonce=lane.next_nonce,
        to=worker.chain.escrow,
        value=0,
        data=transaction.data,
        gas_limit=transaction.gas_limit,
        effect=effect,
        gas_ceiling=ceiling,
    )
