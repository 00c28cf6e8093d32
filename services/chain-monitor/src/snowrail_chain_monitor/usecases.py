"""Use cases of chain-monitor: follow a chain, remember traces, forget what is old."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import timedelta

import structlog

from snowrail_chain.config import ChainConfig
from snowrail_chain.cursor import (
    AncestorSearch,
    Forked,
    InconsistentBlocks,
    RangeSize,
    newest_final,
    require_linked,
)
from snowrail_chain.rpc import RpcError
from snowrail_chain_monitor import metrics
from snowrail_chain_monitor.balances import Balances
from snowrail_chain_monitor.clients import ChainReader, Head, HeadListener
from snowrail_chain_monitor.domain import (
    Block,
    GasPrice,
    Status,
    is_news,
    relevant_transactions,
    senders_among,
    split_logs,
)
from snowrail_chain_monitor.settings import Settings
from snowrail_chain_monitor.store import history, positions, transactions
from snowrail_chain_monitor.store.positions import Cursor, StoredBlock
from snowrail_chain_monitor.store.transactions import StoredTransaction
from snowrail_events import (
    GasPriceUpdatedV1,
    SettlementSubmittedV1,
    TransactionFinalV1,
    TransactionIncludedV1,
    TransactionOrphanedV1,
)
from snowrail_kit.clock import Clock
from snowrail_kit.database import Database
from snowrail_kit.delivery import Delivery
from snowrail_kit.telemetry import is_sampled
from snowrail_kit.unit_of_work import Transaction

log = structlog.get_logger("chain")

_HEAD_NOTED_EVERY_SECONDS = 2.0
_FACTS = {
    Status.INCLUDED: TransactionIncludedV1,
    Status.FINAL: TransactionFinalV1,
    Status.ORPHANED: TransactionOrphanedV1,
}


@dataclass
class Follower:
    """One chain that is followed, and what this process remembers of it between passes."""

    config: ChainConfig
    reader: ChainReader
    heads: HeadListener | None
    size: RangeSize
    node_is_up: bool = True
    nodes_disagree: bool = False
    executors: frozenset[str] = field(init=False)

    def __post_init__(self) -> None:
        self.executors = frozenset(self.config.executors)

    @property
    def label(self) -> str:
        """Label of the chain's metrics."""
        return str(self.config.chain_id)


@dataclass(frozen=True)
class Parts:
    """What chain-monitor is made of."""

    settings: Settings
    clock: Clock
    database: Database
    transaction: Callable[[], AbstractAsyncContextManager[Transaction]]
    followers: Mapping[int, Follower]
    readers: Mapping[int, ChainReader]
    balances: Balances


async def follow(parts: Parts, follower: Follower) -> bool:
    """Follow a chain one bounded step further. Returns whether there is more to do at once."""
    if follower.heads is not None:
        follower.heads.ensure_started()
    try:
        more = await _step(parts, follower)
    except RpcError as problem:
        follower.reader.suspect()
        follower.size.failed()
        metrics.NODE_UP.labels(follower.label).set(0)
        if follower.node_is_up:
            log.warning("no node answers", chain=follower.config.chain_id, error=str(problem))
        follower.node_is_up = False
        return False
    except InconsistentBlocks as problem:
        follower.size.failed()
        metrics.INCONSISTENT_ANSWERS.labels(follower.label).inc()
        log.info("inconsistent answers", chain=follower.config.chain_id, error=str(problem))
        return False
    except positions.CursorMoved:
        return True
    metrics.NODE_UP.labels(follower.label).set(1)
    if not follower.node_is_up:
        log.info("a node answers again", chain=follower.config.chain_id)
    follower.node_is_up = True
    return more


async def _step(parts: Parts, follower: Follower) -> bool:
    cursor = await positions.cursor(parts.database, follower.config.chain_id, parts.clock.now())
    head = await follower.reader.head(cursor.tip.number if cursor.tip else None)
    if await _has_left_the_chain(parts, follower, cursor, head):
        return await _roll_back(parts, follower, cursor)
    if cursor.frozen_reason is not None:
        if cursor.tip is None or head.hash_at_tip != cursor.tip.hash:
            return False
        await positions.thaw(parts.database, cursor.chain_id)
    more = False
    first = cursor.tip.number + 1 if cursor.tip else follower.config.start_block
    if head.number >= first:
        last = min(head.number, first + follower.size.blocks - 1)
        try:
            cursor = await _take_range(parts, follower, cursor, head, first, last)
        except Forked:
            return await _roll_back(parts, follower, cursor)
        follower.size.succeeded()
        more = last < head.number
    else:
        await _note_head(parts, cursor, head)
    _measure(parts, follower, cursor, head)
    return await _finalise(parts, follower, cursor) or more


async def _has_left_the_chain(parts: Parts, follower: Follower, cursor: Cursor, head: Head) -> bool:
    """Whether the stored tip is not on the node's chain. A node that is merely behind proves nothing."""
    if cursor.tip is None:
        return False
    if head.hash_at_tip is not None:
        return head.hash_at_tip != cursor.tip.hash
    stored = await positions.stored_hashes(parts.database, cursor.chain_id, [head.number])
    (actual,) = await follower.reader.hashes([head.number])
    return actual is not None and head.number in stored and stored[head.number] != actual


async def _take_range(
    parts: Parts, follower: Follower, cursor: Cursor, head: Head, first: int, last: int
) -> Cursor:
    """Fetch and store one range: blocks, transactions, facts and cursor in one transaction."""
    blocks = await follower.reader.blocks(first, last)
    require_linked(cursor.tip, [block.link for block in blocks])
    receipts = await follower.reader.receipts(senders_among(blocks, follower.executors))
    events = await follower.reader.events(blocks)
    found = relevant_transactions(blocks, events, receipts)
    final = newest_final(max(head.number, last), follower.config.confirmations)
    async with parts.transaction() as tx:
        await positions.lock_cursor(tx, cursor)
        depth = parts.settings.reorg_depth_blocks
        # twice the depth is kept, so that a larger depth can be set when a rollback was deeper
        await positions.insert_blocks(tx, cursor.chain_id, blocks, keep_above=last - 2 * depth - 1)
        new = await transactions.insert_transactions(
            tx,
            cursor.chain_id,
            [(item, Status.SEEN if item.block.number <= final else Status.INCLUDED) for item in found],
            cursor.last_version,
        )
        version = max([cursor.last_version, *(stored.version for stored in new)])
        told = [stored for stored in new if stored.status is Status.INCLUDED]
        await _tell(tx, follower, told)
        if last == head.number:
            await _tell_gas_price(parts, tx, cursor.chain_id, head, blocks[-1])
        await positions.advance(tx, cursor.chain_id, blocks[-1], head.number, version)
    _count(follower, told)
    return Cursor(
        chain_id=cursor.chain_id,
        tip=blocks[-1].link,
        tip_time=blocks[-1].time,
        final_number=cursor.final_number,
        head_number=head.number,
        last_version=version,
        checked_at=tx.now,
        frozen_reason=None,
        frozen_at=None,
    )


async def _finalise(parts: Parts, follower: Follower, cursor: Cursor) -> bool:
    """Tell as final what is deep enough, after asking every node for its block hashes again."""
    final = newest_final(cursor.tip.number if cursor.tip else -1, follower.config.confirmations)
    if final <= cursor.final_number:
        return False
    limit = parts.settings.final_blocks_per_pass
    blocks = await transactions.open_blocks(parts.database, cursor.chain_id, final, limit)
    agreed = await _agreed(follower, blocks)
    reached = agreed[-1][0] if len(agreed) == len(blocks) == limit else final
    if len(agreed) < len(blocks):
        reached = blocks[len(agreed)][0] - 1
    async with parts.transaction() as tx:
        await positions.lock_cursor(tx, cursor)
        stored = await transactions.finalise(
            tx, cursor.chain_id, [block_hash for _, block_hash in agreed], cursor.last_version
        )
        await _tell(tx, follower, stored)
        version = max([cursor.last_version, *(item.version for item in stored)])
        await positions.set_final(tx, cursor.chain_id, max(reached, cursor.final_number), version)
    _count(follower, stored)
    return len(agreed) == len(blocks) == limit


async def _agreed(follower: Follower, blocks: Sequence[tuple[int, str]]) -> list[tuple[int, str]]:
    """Return the lowest blocks that every node names, up to the first that one does not."""
    if not blocks:
        return []
    numbers = [number for number, _ in blocks]
    answers = [await follower.reader.hashes(numbers)]
    problem = "another block"
    try:
        answers += await follower.reader.hashes_elsewhere(numbers)
    except RpcError as failure:  # without every node's word nothing is final
        problem = str(failure)
        answers.append([None] * len(blocks))
    agreed: list[tuple[int, str]] = []
    for place, block in enumerate(blocks):
        if any(answer[place] != block[1] for answer in answers):
            break
        agreed.append(block)
    disagreement = len(agreed) < len(blocks)
    if disagreement and not follower.nodes_disagree:
        disputed = blocks[len(agreed)][0]
        log.warning("nodes do not agree", chain=follower.config.chain_id, block=disputed, problem=problem)
    follower.nodes_disagree = disagreement
    metrics.DISAGREEMENT.labels(follower.label).set(disagreement)
    return agreed


async def _roll_back(parts: Parts, follower: Follower, cursor: Cursor) -> bool:
    """Go back to the newest stored block that is still on the chain, or freeze the chain."""
    assert cursor.tip is not None, "only what was followed can be left"
    ancestor = await _common_ancestor(parts, follower, cursor.tip.number)
    depth = parts.settings.reorg_depth_blocks
    if ancestor is None or cursor.tip.number - ancestor.link.number > depth:
        async with parts.transaction() as tx:
            reason = f"the rollback is deeper than {depth} blocks"
            newly = await positions.freeze(tx, cursor.chain_id, reason)
        metrics.FROZEN.labels(follower.label).set(1)
        if newly:
            log.error("chain frozen", chain=cursor.chain_id, tip=cursor.tip.number, reason=reason)
        return False
    metrics.FROZEN.labels(follower.label).set(0)
    new_tip = ancestor
    if cursor.tip.number - ancestor.link.number > parts.settings.rollback_blocks:
        step = await positions.stored_block(
            parts.database, cursor.chain_id, cursor.tip.number - parts.settings.rollback_blocks
        )
        assert step is not None, "blocks between the ancestor and the tip are stored"
        new_tip = step
    async with parts.transaction() as tx:
        await positions.lock_cursor(tx, cursor)
        stored = await transactions.orphan_above(
            tx, cursor.chain_id, new_tip.link.number, cursor.last_version
        )
        told = [item for item in stored if item.was_told]
        await _tell(tx, follower, told)
        await positions.delete_blocks_above(tx, cursor.chain_id, new_tip.link.number)
        version = max([cursor.last_version, *(item.version for item in stored)])
        await positions.advance(tx, cursor.chain_id, new_tip, cursor.head_number, version)
        await positions.set_final(tx, cursor.chain_id, min(cursor.final_number, new_tip.link.number), version)
    _count(follower, told)
    metrics.ROLLED_BACK_BLOCKS.labels(follower.label).inc(cursor.tip.number - new_tip.link.number)
    log.warning(
        "rolled back", chain=cursor.chain_id, from_block=cursor.tip.number, to_block=new_tip.link.number
    )
    return True


async def _common_ancestor(parts: Parts, follower: Follower, tip_number: int) -> StoredBlock | None:
    chain_id = follower.config.chain_id
    lowest = await positions.lowest_stored(parts.database, chain_id)
    assert lowest is not None, "the tip is stored"
    search = AncestorSearch(lowest, tip_number)
    while (asked := search.question) is not None:
        stored = await positions.stored_hashes(parts.database, chain_id, [asked])
        (actual,) = await follower.reader.hashes([asked])
        search.answer(actual is not None and stored.get(asked) == actual)
    if search.ancestor is None:
        return None
    return await positions.stored_block(parts.database, chain_id, search.ancestor)


async def _tell(tx: Transaction, follower: Follower, stored: Sequence[StoredTransaction]) -> None:
    """Emit the facts about transactions, each in the trace of the payment that was submitted in it."""
    if not stored:
        return
    traces = await history.traces_of(tx, follower.config.chain_id, [item.transaction.hash for item in stored])
    for item in stored:
        for logs in split_logs(item.transaction.logs):
            fact = _FACTS[item.status](
                chain_id=follower.config.chain_id,
                tx_hash=item.transaction.hash,
                sender=item.transaction.sender,
                nonce=item.transaction.nonce,
                succeeded=item.transaction.succeeded,
                block_number=item.transaction.block.number,
                block_hash=item.transaction.block.hash,
                block_time=item.transaction.block_time,
                logs=logs,
            )
            tx.emit(fact, version=item.version, traceparent=traces.get(item.transaction.hash))


async def _tell_gas_price(parts: Parts, tx: Transaction, chain_id: int, head: Head, newest: Block) -> None:
    price = GasPrice(newest.link.number, head.gas_price, newest.base_fee, tx.now)
    known = await history.latest_gas_price(tx, chain_id)
    if not is_news(known, price, parts.settings.gas_price_every_seconds):
        return
    await history.insert_gas_price(tx, chain_id, price)
    tx.emit(
        GasPriceUpdatedV1(
            chain_id=chain_id,
            block_number=price.block_number,
            gas_price=price.gas_price,
            base_fee=price.base_fee,
            observed_at=price.observed_at,
        ),
        version=price.block_number,
    )


async def _note_head(parts: Parts, cursor: Cursor, head: Head) -> None:
    now = parts.clock.now()
    if (now - cursor.checked_at).total_seconds() >= _HEAD_NOTED_EVERY_SECONDS:
        await positions.note_head(parts.database, cursor.chain_id, head.number, now)


def _measure(parts: Parts, follower: Follower, cursor: Cursor, head: Head) -> None:
    metrics.FROZEN.labels(follower.label).set(0)
    behind = head.number - (cursor.tip.number if cursor.tip else follower.config.start_block - 1)
    metrics.BLOCKS_BEHIND.labels(follower.label).set(max(behind, 0))
    seconds = 0.0
    if behind > 0 and cursor.tip_time is not None:
        seconds = max((parts.clock.now() - cursor.tip_time).total_seconds(), 0)
    metrics.SECONDS_BEHIND.labels(follower.label).set(seconds)


def _count(follower: Follower, stored: Sequence[StoredTransaction]) -> None:
    for item in stored:
        metrics.FACTS.labels(follower.label, item.status.value).inc()


async def remember_traces(deliveries: Sequence[Delivery[SettlementSubmittedV1]], tx: Transaction) -> None:
    """Remember in which trace a transaction was submitted; it may carry payments of several."""
    traces: dict[str, tuple[int, str]] = {}
    for delivery in deliveries:
        traceparent = delivery.traceparent
        if traceparent is None:
            continue
        known = traces.get(delivery.event.tx_hash)
        if known is None or (is_sampled(traceparent) and not is_sampled(known[1])):
            traces[delivery.event.tx_hash] = (delivery.event.chain_id, traceparent)
    if traces:
        await history.remember_traces(
            tx,
            [chain_id for chain_id, _ in traces.values()],
            {tx_hash: traceparent for tx_hash, (_, traceparent) in traces.items()},
        )


async def forget_old(parts: Parts) -> None:
    """Forget traces and gas prices that are older than they are kept."""
    now = parts.clock.now()
    async with parts.transaction() as tx:
        await history.prune(
            tx,
            now - timedelta(days=parts.settings.trace_keep_days),
            now - timedelta(days=parts.settings.gas_price_keep_days),
        )


async def not_ready(parts: Parts) -> str | None:
    """Return why not all chains are followed, if so."""
    frozen = [
        f"chain {cursor.chain_id} is frozen: {cursor.frozen_reason}"
        for cursor in await positions.cursors(parts.database)
        if cursor.frozen_reason is not None and cursor.chain_id in parts.followers
    ]
    return "; ".join(frozen) or None
