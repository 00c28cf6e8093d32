"""Hand signed bytes over to the network, in nonce order, and write down what became of them."""

from datetime import datetime
from itertools import groupby

import structlog

from snowrail_chain.lane import (
    NonceVerdict,
    SendVerdict,
    TransactionEvent,
    after_transaction_event,
    judge_nonce,
    judge_send,
)
from snowrail_chain.rpc import RpcError
from snowrail_chain.send import SendOutcome
from snowrail_settlement import metrics
from snowrail_settlement.domain.item import ItemEvent, ItemState, Step
from snowrail_settlement.domain.lane import (
    LaneState,
    Move,
    Sending,
    after_doubt,
    after_refusal,
    is_at_its_limit,
    must_ask,
    must_freeze,
    next_move,
)
from snowrail_settlement.store import evidence, items, lanes
from snowrail_settlement.store.lanes import Lane, LaneTransaction
from snowrail_settlement.usecases.facts import frozen, settle
from snowrail_settlement.usecases.parts import LaneWorker, Parts
from snowrail_settlement.usecases.replacement import replace_transaction, why_no_higher_fee
from snowrail_settlement.usecases.telling import take_step

log = structlog.get_logger("lane")

TRANSACTIONS_LIMIT = 500
_MAX_ANSWER_CHARACTERS = 500


async def send_open(
    parts: Parts, worker: LaneWorker, lane: Lane, flying: list[LaneTransaction]
) -> str | None:
    """Send what is signed and due, in nonce order, up to the first that is held up. Returns by what."""
    transactions = flying
    if worker.is_resending:
        transactions = await lanes.unfinished_transactions(
            parts.database, lane.chain_id, lane.signer, TRANSACTIONS_LIMIT
        )
    lowest = transactions[0].nonce if transactions else None
    for nonce, group in groupby(transactions, key=_nonce):
        obstacle = await _move(parts, worker, lane, list(group), is_lowest=nonce == lowest)
        if obstacle is not None:
            return f"nonce {nonce}: {obstacle}"
    worker.is_resending = False
    return None


def _nonce(transaction: LaneTransaction) -> int:
    return transaction.nonce


def _seconds(since: datetime, now: datetime) -> float:
    return (now - since).total_seconds()


async def _move(
    parts: Parts, worker: LaneWorker, lane: Lane, variants: list[LaneTransaction], is_lowest: bool
) -> str | None:
    """Do what is due about one nonce, of which these transactions are signed. Returns what holds it up."""
    newest, now = variants[-1], parts.clock.now()
    limit = why_no_higher_fee(newest, parts.settings.fee_policy)
    sending = Sending(
        state=newest.state,
        was_refused=newest.last_answer != "",
        quiet_seconds=None if newest.sent_at is None else _seconds(newest.sent_at, now),
        age_seconds=_seconds(newest.signed_at, now),
        is_lowest=is_lowest,
        is_resending=worker.is_resending,
        is_replaceable=worker.chain.chain_id in parts.settings.replacement_chains,
        may_pay_more=limit is None,
    )
    move = next_move(sending, parts.settings.timing)
    trouble = limit if is_at_its_limit(sending, parts.settings.timing) else None
    if move is Move.REST:
        return trouble
    if move is Move.HOLD:
        return newest.last_answer
    if move is Move.REPLACE:
        return await replace_transaction(parts, worker, lane, newest)
    if move is Move.CHECK and await worker.node.knows_any([newest.tx_hash]):
        return None
    return await _send(parts, worker, lane, variants) or trouble


async def _send(parts: Parts, worker: LaneWorker, lane: Lane, variants: list[LaneTransaction]) -> str | None:
    newest = variants[-1]
    raw = await lanes.raw_bytes(parts.database, lane.chain_id, newest.tx_hash)
    result = await worker.node.send(raw)
    metrics.SEND_ANSWERS.labels(worker.labels[0], result.outcome.value).inc()
    verdict, answer = judge_send(result.outcome), f"{result.outcome}: {result.message}"
    if verdict is SendVerdict.TAKEN:
        event = TransactionEvent.ACCEPTED
    elif verdict is SendVerdict.REFUSED:
        was_asked = must_ask(verdict, newest.state)
        node_knows = was_asked and await worker.node.knows_any([newest.tx_hash])
        event = after_refusal(was_asked, node_knows)
    else:
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
    taker = await evidence.final_at(parts.database, lane.chain_id, lane.signer, nonce)
    event = after_doubt(verdict, taker is not None and taker not in hashes)
    if event is TransactionEvent.NONCE_LOST:
        return event, f"{taker} has the nonce"
    if verdict is not NonceVerdict.USED:
        return event, answer
    doubt_seconds = _seconds(worker.doubtful_since.setdefault(nonce, parts.clock.now()), parts.clock.now())
    if lane.state is not LaneState.FROZEN and must_freeze(
        verdict, event, doubt_seconds, parts.settings.timing
    ):
        reason = f"nonce {nonce} is used, and no node knows a hash of ours"
        async with parts.transaction() as tx:
            await lanes.lock_lane(tx, lane.lane_id)
            await lanes.set_state(tx, lane.lane_id, LaneState.FROZEN, reason)
            tx.record(frozen(lane.lane_id, reason))
        log.error("lane frozen", lane_id=str(lane.lane_id), reason=reason)
    return event, f"{answer}; the nonce is used, and the node knows no hash of ours"


async def _record(
    parts: Parts, lane: Lane, sent: LaneTransaction, event: TransactionEvent, answer: str
) -> None:
    """Write down what became of sent bytes, and tell what that means for the payments aboard."""
    async with parts.transaction() as tx:
        states = await lanes.lock_states(tx, lane.chain_id, [sent.tx_hash])
        state = after_transaction_event(states[sent.tx_hash], event)
        await lanes.save_sent(tx, lane.chain_id, sent.tx_hash, state, answer)
        if event is TransactionEvent.REFUSED or (sent.cancels and event is not TransactionEvent.NONCE_LOST):
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
