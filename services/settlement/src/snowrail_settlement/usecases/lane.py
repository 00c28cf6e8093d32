"""One pass of a nonce lane, the only place that broadcasts.

Strictly in nonce order: send what is signed, and only when nothing holds it up, sign more. Bytes are stored
before they leave, and whatever a pass learns is written down before it goes on, so that it can be killed
anywhere: a later pass sends the same bytes again.
"""

from datetime import datetime, timedelta
from itertools import groupby

import structlog

from snowrail_chain.lane import (
    NonceVerdict,
    SendVerdict,
    TransactionEvent,
    TransactionState,
    after_transaction_event,
    judge_nonce,
    judge_send,
    reconcile_nonces,
)
from snowrail_chain.rpc import RpcError
from snowrail_chain.send import SendOutcome
from snowrail_settlement import metrics
from snowrail_settlement.clients import Account
from snowrail_settlement.domain.item import ItemEvent, ItemState, Step
from snowrail_settlement.store import evidence, items, lanes
from snowrail_settlement.store.lanes import Lane, LaneState, LaneTransaction
from snowrail_settlement.usecases.dispatch import dispatch
from snowrail_settlement.usecases.facts import settle
from snowrail_settlement.usecases.parts import LaneWorker, Parts
from snowrail_settlement.usecases.replacement import replace_transaction
from snowrail_settlement.usecases.telling import take_step

log = structlog.get_logger("lane")

_TRANSACTIONS_LIMIT = 500
_MAX_ANSWER_CHARACTERS = 500


async def run_lane(parts: Parts, worker: LaneWorker) -> bool:
    """Run one pass. Returns whether there is more to do at once."""
    try:
        more = await _pass(parts, worker)
    except RpcError as problem:
        worker.node.suspect()
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
    flying = await lanes.open_transactions(parts.database, lane.chain_id, lane.signer, _TRANSACTIONS_LIMIT)
    obstacle = await _send_open(parts, worker, lane, flying)
    more, troubles = False, [obstacle] if obstacle else []
    in_flight = len({transaction.nonce for transaction in flying})
    has_room = in_flight < parts.settings.in_flight_transactions
    if obstacle is None and lane.state is LaneState.ACTIVE and has_room:
        dispatched = await dispatch(parts, worker, lane)
        more = dispatched.more
        troubles += [dispatched.trouble] if dispatched.trouble else []
    metrics.LANE_IN_FLIGHT.labels(*worker.labels).set(in_flight)
    troubles += _long_lasting(parts, worker, lane, flying, account, now)
    metrics.LANE_FROZEN.labels(*worker.labels).set(lane.state is LaneState.FROZEN)
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
            log.error("lane frozen", lane_id=str(lane.lane_id), reason=reason)


async def _send_open(
    parts: Parts, worker: LaneWorker, lane: Lane, flying: list[LaneTransaction]
) -> str | None:
    """Send what is signed and due, in nonce order, up to the first that is held up. Returns by what."""
    transactions = flying
    if worker.is_resending:
        transactions = await lanes.unfinished_transactions(
            parts.database, lane.chain_id, lane.signer, _TRANSACTIONS_LIMIT
        )
    lowest = transactions[0].nonce if transactions else None
    for nonce, group in groupby(transactions, key=_nonce):
        variants = list(group)
        obstacle = await _send_variants(parts, worker, lane, variants, is_lowest=nonce == lowest)
        if obstacle is not None:
            return f"nonce {nonce}: {obstacle}"
    worker.is_resending = False
    return None


def _nonce(transaction: LaneTransaction) -> int:
    return transaction.nonce


async def _send_variants(
    parts: Parts, worker: LaneWorker, lane: Lane, variants: list[LaneTransaction], is_lowest: bool
) -> str | None:
    """Send the newest of the transactions signed for one nonce, if it is due. Returns what holds it up."""
    newest, now, settings = variants[-1], parts.clock.now(), parts.settings
    is_waiting = newest.last_answer != "" and not _is_over(newest.sent_at, now, settings.retry_seconds)
    if is_waiting:
        return newest.last_answer
    if newest.state is TransactionState.BROADCAST:
        if is_lowest and _may_be_replaced(parts, worker, newest, now):
            return await replace_transaction(parts, worker, lane, newest)
        if not worker.is_resending and not _is_over(newest.sent_at, now, settings.resend_after_seconds):
            return None
    if newest.state is TransactionState.INCLUDED and await worker.node.knows_any([newest.tx_hash]):
        return None
    return await _send(parts, worker, lane, variants)


def _may_be_replaced(parts: Parts, worker: LaneWorker, newest: LaneTransaction, now: datetime) -> bool:
    return worker.chain.chain_id in parts.settings.replacement_chains and _is_over(
        newest.signed_at, now, parts.settings.replace_after_seconds
    )


async def _send(parts: Parts, worker: LaneWorker, lane: Lane, variants: list[LaneTransaction]) -> str | None:
    newest = variants[-1]
    raw = await lanes.raw_bytes(parts.database, lane.chain_id, newest.tx_hash)
    result = await worker.node.send(raw)
    metrics.SEND_ANSWERS.labels(worker.labels[0], result.outcome.value).inc()
    verdict, answer = judge_send(result.outcome), f"{result.outcome}: {result.message}"
    event = TransactionEvent.ACCEPTED
    if verdict is SendVerdict.REFUSED:
        was_taken = newest.state is not TransactionState.SIGNED
        if not was_taken or not await worker.node.knows_any([newest.tx_hash]):
            event = TransactionEvent.REFUSED
    elif verdict is SendVerdict.ASK:
        event, answer = await _ask(parts, worker, lane, newest.nonce, answer)
    if event is TransactionEvent.ACCEPTED:
        worker.doubtful_since.pop(newest.nonce, None)
        answer = ""
    answer = answer[:_MAX_ANSWER_CHARACTERS]
    await _record(parts, lane, newest, event, answer)
    if event is TransactionEvent.ACCEPTED:
        return None
    log.warning("not taken", chain=lane.chain_id, nonce=newest.nonce, tx_hash=newest.tx_hash, answer=answer)
    if result.outcome is SendOutcome.NONCE_TOO_HIGH:
        worker.is_resending = True  # the node has forgotten what came before
    if result.outcome is SendOutcome.UNDERPRICED:
        if len(variants) > 1 and await worker.node.knows_any([item.tx_hash for item in variants]):
            return None  # the node keeps what was to be replaced
        if worker.chain.chain_id in parts.settings.replacement_chains:
            return await replace_transaction(parts, worker, lane, newest)
    return answer


async def _ask(
    parts: Parts, worker: LaneWorker, lane: Lane, nonce: int, answer: str
) -> tuple[TransactionEvent, str]:
    """After an answer that tells nothing, find out what became of a nonce."""
    hashes = await lanes.hashes_at(parts.database, lane.chain_id, lane.signer, nonce)
    try:
        known = await worker.node.knows_any(hashes)
        account = await worker.node.account(lane.signer)
    except RpcError as problem:
        return TransactionEvent.UNCLEAR, f"{answer}; then {problem}"
    verdict = judge_nonce(nonce, account.nonce, known)
    if verdict is NonceVerdict.OURS:
        return TransactionEvent.ACCEPTED, ""
    if verdict is NonceVerdict.FREE:
        return TransactionEvent.UNCLEAR, answer
    taker = await evidence.final_at(parts.database, lane.chain_id, lane.signer, nonce)
    if taker is not None and taker not in hashes:
        return TransactionEvent.NONCE_LOST, f"{taker} has the nonce"
    now = parts.clock.now()
    since = worker.doubtful_since.setdefault(nonce, now)
    if lane.state is not LaneState.FROZEN and _is_over(since, now, parts.settings.foreign_after_seconds):
        reason = f"nonce {nonce} is used, and no node knows a hash of ours"
        async with parts.transaction() as tx:
            await lanes.lock_lane(tx, lane.lane_id)
            await lanes.set_state(tx, lane.lane_id, LaneState.FROZEN, reason)
        log.error("lane frozen", lane_id=str(lane.lane_id), reason=reason)
    return TransactionEvent.UNCLEAR, f"{answer}; the nonce is used, and the node knows no hash of ours"


async def _record(
    parts: Parts, lane: Lane, sent: LaneTransaction, event: TransactionEvent, answer: str
) -> None:
    """Write down what became of sent bytes, and tell what that means for the payments aboard."""
    async with parts.transaction() as tx:
        states = await lanes.lock_states(tx, lane.chain_id, [sent.tx_hash])
        state = after_transaction_event(states[sent.tx_hash], event)
        await lanes.save_sent(tx, lane.chain_id, sent.tx_hash, state, answer)
        if event is TransactionEvent.REFUSED:
            return
        aboard = await items.lock_items(
            tx, "chain_id = $1 AND signer = $2 AND nonce = $3", lane.chain_id, lane.signer, sent.nonce
        )
        if event is TransactionEvent.NONCE_LOST:
            await settle(tx, aboard, {})
            return
        assigned = [item for item in aboard if item.state is ItemState.ASSIGNED]
        for item in assigned:
            take_step(item, Step(ItemEvent.SUBMITTED), tx, sent.tx_hash)
        await items.save_items(tx, assigned)


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
    metrics.LANE_STUCK.labels(*worker.labels).set(bool(troubles))
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
