"""One pass of a nonce lane, the only place that broadcasts.

Strictly in nonce order: send what is signed, sign what a nonce is taken for, and only when nothing holds that
up, take another nonce. Bytes are stored before they leave, and whatever a pass learns is written down before
it goes on, so that it can be killed anywhere: a later pass sends the same bytes again.
"""

from datetime import datetime, timedelta

import structlog

from snowrail_chain.lane import reconcile_nonces
from snowrail_chain.rpc import RpcError
from snowrail_settlement import metrics
from snowrail_settlement.clients import Account
from snowrail_settlement.domain.lane import LaneState, may_sign_more
from snowrail_settlement.store import evidence, lanes
from snowrail_settlement.store.lanes import Lane, LaneTransaction
from snowrail_settlement.usecases.dispatch import dispatch
from snowrail_settlement.usecases.facts import frozen
from snowrail_settlement.usecases.parts import LaneWorker, Parts
from snowrail_settlement.usecases.sending import TRANSACTIONS_LIMIT, send_open
from snowrail_settlement.usecases.signing import sign_reserved

log = structlog.get_logger("lane")


async def run_lane(parts: Parts, worker: LaneWorker) -> bool:
    """Run one pass. Returns whether there is more to do at once."""
    try:
        more = await _pass(parts, worker)
    except RpcError as problem:
        worker.node.suspect()
        metrics.LANE_STUCK.labels(*worker.labels).set(1)
        if worker.node_is_up:
            log.warning("no node answers", chain=worker.chain.chain_id, error=str(problem))
            await _note(parts, worker, [f"no node answers: {problem}"])
        worker.node_is_up = False
        return False
    worker.node_is_up = True
    return more


async def _pass(parts: Parts, worker: LaneWorker) -> bool:
    lane = await lanes.find_lane(parts.database, worker.lane_id)
    if lane is None:
        return await _begin(parts, worker)
    now, account = parts.clock.now(), None
    if _must_reconcile(parts, worker, lane, now):
        account = await worker.node.account(lane.signer)
        await _reconcile(parts, lane, account)
        worker.reconciled_at = now
        lane = await lanes.find_lane(parts.database, worker.lane_id) or lane
    flying = await lanes.open_transactions(parts.database, lane.chain_id, lane.signer, TRANSACTIONS_LIMIT)
    reserved = await lanes.reserved_nonces(parts.database, lane.chain_id, lane.signer, TRANSACTIONS_LIMIT)
    obstacle = await send_open(parts, worker, lane, flying)
    if obstacle is None and reserved:  # a process ended, or a signer failed, between taking and signing
        obstacle = await sign_reserved(parts, worker, lane, reserved[0])
    more, troubles = obstacle is None and bool(reserved), [obstacle] if obstacle else []
    in_flight = len({transaction.nonce for transaction in flying})
    limit = parts.settings.in_flight_transactions
    if may_sign_more(lane.state, obstacle is not None, len(reserved), in_flight, limit):
        dispatched = await dispatch(parts, worker, lane)
        more = dispatched.more
        troubles += [dispatched.trouble] if dispatched.trouble else []
    metrics.LANE_IN_FLIGHT.labels(*worker.labels).set(in_flight)
    troubles += _long_lasting(parts, worker, lane, flying, account, now)
    metrics.LANE_FROZEN.labels(*worker.labels).set(lane.state is LaneState.FROZEN)
    metrics.LANE_STUCK.labels(*worker.labels).set(bool(troubles))
    if tuple(troubles) != lane.troubles:
        log.warning(
            "lane in trouble" if troubles else "lane out of trouble", signer=lane.signer, why=troubles
        )
    if account is not None or tuple(troubles) != lane.troubles:
        await _note(parts, worker, troubles, account)
    return more


def _must_reconcile(parts: Parts, worker: LaneWorker, lane: Lane, now: datetime) -> bool:
    """Whether to look at the account: from time to time, and before anything is signed after a resumption."""
    if worker.reconciled_at is None or worker.reconciled_at <= lane.changed_at:
        return True
    return _is_over(worker.reconciled_at, now, parts.settings.reconcile_every_seconds)


def _is_over(since: datetime | None, now: datetime, seconds: float) -> bool:
    return since is None or now - since >= timedelta(seconds=seconds)


async def _begin(parts: Parts, worker: LaneWorker) -> bool:
    """Make a lane that begins at its account's next nonce, unless somebody else is using the key just now."""
    account = await worker.node.account(worker.signer.address)
    worker.cannot_begin = account.pending_nonce != account.nonce
    metrics.LANE_STUCK.labels(*worker.labels).set(worker.cannot_begin)
    if worker.cannot_begin:
        log.warning("the key is in use elsewhere", chain=worker.chain.chain_id, signer=worker.signer.address)
        return False
    async with parts.transaction() as tx:
        await lanes.create_lane(
            tx, worker.lane_id, worker.chain.chain_id, worker.signer.address, account.nonce
        )
    log.info("lane begins", chain=worker.chain.chain_id, signer=worker.signer.address, nonce=account.nonce)
    return True


async def _reconcile(parts: Parts, lane: Lane, account: Account) -> None:
    """Compare the account's nonce with the lane's rows: a nonce used elsewhere freezes the lane."""
    if account.nonce <= lane.next_nonce:
        return
    async with parts.transaction() as tx:
        locked = await lanes.lock_lane(tx, lane.lane_id)
        assert locked is not None, "lanes are never deleted"
        acknowledged = await evidence.final_foreign_nonces(tx, lane.chain_id, lane.signer)
        view = reconcile_nonces(locked.next_nonce, account.nonce, acknowledged)
        if view.foreign_nonce is None:
            await lanes.set_next_nonce(tx, lane.lane_id, view.next_nonce)
        elif locked.state is not LaneState.FROZEN:
            reason = f"nonce {view.foreign_nonce} was used elsewhere"
            await lanes.set_state(tx, lane.lane_id, LaneState.FROZEN, reason)
            tx.record(frozen(lane.lane_id, reason))
            log.error("lane frozen", lane_id=str(lane.lane_id), reason=reason)


def _long_lasting(
    parts: Parts,
    worker: LaneWorker,
    lane: Lane,
    flying: list[LaneTransaction],
    account: Account | None,
    now: datetime,
) -> list[str]:
    """Troubles that are no obstacle to this pass."""
    troubles: list[str] = []
    stuck = [item for item in flying if _is_over(item.signed_at, now, parts.settings.stuck_after_seconds)]
    if stuck:
        troubles.append(f"nonce {stuck[0].nonce} has been in no block since {stuck[0].signed_at.isoformat()}")
    balance = account.balance if account is not None else lane.balance
    if balance is not None and balance < _needed_balance(parts, worker):
        troubles.append(f"the signer has only {balance} wei to pay for gas")
    if lane.state is not LaneState.ACTIVE:
        troubles.append(f"{lane.state}: {lane.reason}")
    return troubles


def _needed_balance(parts: Parts, worker: LaneWorker) -> int:
    """What full transactions, as many as may be in flight, cost at present; no less than the setting says."""
    base_fee = worker.network.base_fee if worker.network is not None else 0
    full = parts.settings.in_flight_transactions * parts.settings.transaction_gas * base_fee
    return max(parts.settings.low_balance_wei, full)


async def _note(
    parts: Parts, worker: LaneWorker, troubles: list[str], account: Account | None = None
) -> None:
    if account is not None:
        metrics.LANE_BALANCE.labels(*worker.labels).set(account.balance)
    async with parts.transaction() as tx:
        await lanes.note_troubles(
            tx,
            worker.lane_id,
            troubles,
            account.nonce if account else None,
            account.balance if account else None,
        )
