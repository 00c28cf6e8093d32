"""Follow a chain: fetch the next range, store it with its facts, and go back when the chain did."""

from dataclasses import replace

import structlog

from snowrail_chain.cursor import Forked, InconsistentBlocks, newest_final, require_linked
from snowrail_chain.rpc import RpcError
from snowrail_chain_monitor import metrics
from snowrail_chain_monitor.clients import Head
from snowrail_chain_monitor.domain import Status, relevant_transactions, senders_among
from snowrail_chain_monitor.store import positions, transactions
from snowrail_chain_monitor.store.positions import Cursor
from snowrail_chain_monitor.usecases.facts import count, tell, tell_gas_price
from snowrail_chain_monitor.usecases.finality import finalise
from snowrail_chain_monitor.usecases.parts import Follower, Parts
from snowrail_chain_monitor.usecases.rollback import roll_back

log = structlog.get_logger("chain")

_HEAD_NOTED_EVERY_SECONDS = 2.0


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
    metrics.CHECKED_AT.labels(follower.label).set(parts.clock.now().timestamp())
    if not follower.node_is_up:
        log.info("a node answers again", chain=follower.config.chain_id)
    follower.node_is_up = True
    return more


async def _step(parts: Parts, follower: Follower) -> bool:
    cursor = await positions.cursor(parts.database, follower.config.chain_id, parts.clock.now())
    head = await follower.reader.head(cursor.tip.number if cursor.tip else None)
    if await _has_left_the_chain(parts, follower, cursor, head):
        return await roll_back(parts, follower, cursor)
    if cursor.frozen_reason is not None:
        if cursor.tip is None or head.hash_at_tip != cursor.tip.hash:
            metrics.FROZEN.labels(follower.label).set(1)
            return False
        await positions.thaw(parts.database, cursor.chain_id)
    more = False
    first = cursor.tip.number + 1 if cursor.tip else follower.config.start_block
    if head.number >= first:
        last = min(head.number, first + follower.size.blocks - 1)
        try:
            cursor = await _take_range(parts, follower, cursor, head, first, last)
        except Forked:
            return await roll_back(parts, follower, cursor)
        follower.size.succeeded()
        more = last < head.number
    else:
        await _note_head(parts, cursor, head)
    _measure(parts, follower, cursor, head)
    return await finalise(parts, follower, cursor) or more


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
        await tell(tx, follower, told)
        if last == head.number:
            await tell_gas_price(parts, tx, cursor.chain_id, head, blocks[-1])
        await positions.advance(tx, cursor.chain_id, blocks[-1], head.number, version)
    count(follower, told)
    return replace(
        cursor,
        tip=blocks[-1].link,
        tip_time=blocks[-1].time,
        head_number=head.number,
        last_version=version,
        checked_at=tx.now,
        frozen_reason=None,
        frozen_at=None,
    )


async def _note_head(parts: Parts, cursor: Cursor, head: Head) -> None:
    now = parts.clock.now()
    if cursor.checked_at is None or (now - cursor.checked_at).total_seconds() >= _HEAD_NOTED_EVERY_SECONDS:
        await positions.note_head(parts.database, cursor.chain_id, head.number, now)


def _measure(parts: Parts, follower: Follower, cursor: Cursor, head: Head) -> None:
    metrics.FROZEN.labels(follower.label).set(0)
    behind = head.number - (cursor.tip.number if cursor.tip else follower.config.start_block - 1)
    metrics.BLOCKS_BEHIND.labels(follower.label).set(max(behind, 0))
    seconds = 0.0
    if behind > 0 and cursor.tip_time is not None:
        seconds = max((parts.clock.now() - cursor.tip_time).total_seconds(), 0)
    metrics.SECONDS_BEHIND.labels(follower.label).set(seconds)
