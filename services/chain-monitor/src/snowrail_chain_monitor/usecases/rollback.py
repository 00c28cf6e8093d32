"""Go back to the newest block that is still on the chain; wait for a person where that is too deep."""

import structlog

from snowrail_chain.cursor import AncestorSearch
from snowrail_chain.rpc import RpcError
from snowrail_chain_monitor import metrics
from snowrail_chain_monitor.domain import Block
from snowrail_chain_monitor.settings import MissingOpinion
from snowrail_chain_monitor.store import positions, transactions
from snowrail_chain_monitor.store.positions import Cursor, StoredBlock
from snowrail_chain_monitor.usecases.facts import count, tell
from snowrail_chain_monitor.usecases.parts import Follower, Parts
from snowrail_kit.audit import Act

log = structlog.get_logger("chain")


async def roll_back(parts: Parts, follower: Follower, cursor: Cursor) -> bool:
    """Go back to the newest stored block that is still on the chain, or freeze the chain.

    Returns:
        Whether there is more to do at once.
    """
    assert cursor.tip is not None, "only what was followed can be left"
    ancestor = await _common_ancestor(parts, follower, cursor.tip.number)
    fetched: Block | None = None
    if ancestor is None and cursor.accepted_depth is not None:
        fetched = await _ancestor_among_transactions(parts, follower, cursor)
        ancestor = StoredBlock(fetched.link, fetched.time) if fetched else None
    floor = ancestor.link.number if ancestor else follower.config.start_block - 1
    depth = cursor.tip.number - floor
    allowed = max(parts.settings.reorg_depth_blocks, cursor.accepted_depth or 0)
    if depth > allowed or (ancestor is None and cursor.accepted_depth is None):
        found = f"{depth} blocks" if ancestor else f"more than {parts.settings.reorg_depth_blocks} blocks"
        reason = f"the rollback is deeper than {allowed} blocks: {found} from block {cursor.tip.number}"
        await freeze(parts, follower, cursor, reason)
        return False
    if floor < cursor.final_number and await _is_contested(parts, follower, cursor):
        return False
    metrics.FROZEN.labels(follower.label).set(0)
    if ancestor is None or fetched is not None:
        await _start_over(parts, follower, cursor, fetched)
        return True
    new_tip = ancestor
    if depth > parts.settings.rollback_blocks:
        step = await positions.stored_block(
            parts.database, cursor.chain_id, cursor.tip.number - parts.settings.rollback_blocks
        )
        assert step is not None, "blocks between the ancestor and the tip are stored"
        new_tip = step
    await go_back_to(parts, follower, cursor, new_tip, completes=new_tip == ancestor)
    return True


async def freeze(parts: Parts, follower: Follower, cursor: Cursor, reason: str) -> None:
    """Follow a chain no further until somebody has looked: alarm."""
    async with parts.transaction() as tx:
        newly = await positions.freeze(tx, cursor.chain_id, reason)
        if newly:
            tx.record(Act("chain-monitor", "chain.frozen", str(cursor.chain_id), {"reason": reason}))
    metrics.FROZEN.labels(follower.label).set(1)
    if newly:
        log.error("chain frozen", chain=cursor.chain_id, tip=cursor.tip and cursor.tip.number, reason=reason)


async def go_back_to(
    parts: Parts, follower: Follower, cursor: Cursor, new_tip: StoredBlock, *, completes: bool
) -> None:
    """Take back everything above a stored block, and go on from there.

    Args:
        completes: whether this is all; what an operator had accepted is used up then.
    """
    assert cursor.tip is not None, "only what was followed can be left"
    async with parts.transaction() as tx:
        await positions.lock_cursor(tx, cursor)
        stored = await transactions.orphan_above(
            tx, cursor.chain_id, new_tip.link.number, cursor.last_version
        )
        told = [item for item in stored if item.was_told]
        await tell(tx, follower, told)
        await positions.delete_blocks_above(tx, cursor.chain_id, new_tip.link.number)
        version = max([cursor.last_version, *(item.version for item in stored)])
        await positions.advance(tx, cursor.chain_id, new_tip, cursor.head_number, version)
        await positions.set_final(tx, cursor.chain_id, min(cursor.final_number, new_tip.link.number), version)
        if completes:
            await positions.accept_rollback(tx, cursor.chain_id, None)
    _note(follower, cursor, new_tip.link.number)
    count(follower, told)


async def _start_over(parts: Parts, follower: Follower, cursor: Cursor, ancestor: Block | None) -> None:
    """Go back below everything stored: to a block of one of our transactions, or before the start."""
    number = ancestor.link.number if ancestor else follower.config.start_block - 1
    async with parts.transaction() as tx:
        await positions.lock_cursor(tx, cursor)
        stored = await transactions.orphan_above(tx, cursor.chain_id, number, cursor.last_version)
        told = [item for item in stored if item.was_told]
        await tell(tx, follower, told)
        await positions.delete_blocks_above(tx, cursor.chain_id, -1)
        version = max([cursor.last_version, *(item.version for item in stored)])
        if ancestor is None:
            await positions.forget_tip(tx, cursor.chain_id, version)
        else:
            await positions.insert_blocks(tx, cursor.chain_id, [ancestor], keep_above=-1)
            await positions.advance(tx, cursor.chain_id, ancestor, cursor.head_number, version)
        await positions.set_final(tx, cursor.chain_id, min(cursor.final_number, number), version)
        await positions.accept_rollback(tx, cursor.chain_id, None)
    _note(follower, cursor, number)
    count(follower, told)


def _note(follower: Follower, cursor: Cursor, number: int) -> None:
    assert cursor.tip is not None, "only what was followed can be left"
    metrics.ROLLED_BACK_BLOCKS.labels(follower.label).inc(cursor.tip.number - number)
    log.warning("rolled back", chain=cursor.chain_id, from_block=cursor.tip.number, to_block=number)


async def _is_contested(parts: Parts, follower: Follower, cursor: Cursor) -> bool:
    """Whether nobody else says that the newest final block has left the chain.

    One node's word is not enough to take back what two had agreed on: neither against another that still has
    the block, nor, unless that is allowed, while no other answers.
    """
    number = cursor.final_number
    stored = await positions.stored_hashes(parts.database, cursor.chain_id, [number])
    _, *others = await follower.reader.opinions([number], number, number)
    heard = [opinion for opinion in others if not isinstance(opinion, RpcError)]
    keeps = any(opinion.hashes[number] == stored.get(number, "") for opinion in heard)
    silent = bool(others) and not heard and parts.settings.missing_opinion is MissingOpinion.HOLD
    metrics.DISAGREEMENT.labels(follower.label).set(keeps)
    if not keeps and not silent:
        return False
    problem = f"one node has left final block {number}, " + (
        "another still has it" if keeps else "no other answers"
    )
    if cursor.held_reason != problem:
        log.error("a rollback is held", chain=cursor.chain_id, block=number, problem=problem)
    metrics.FINALITY_HELD.labels(follower.label).set(1)
    await positions.note_finality(
        parts.database, cursor.chain_id, (number, problem), len(heard) + 1, parts.clock.now()
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


async def _ancestor_among_transactions(parts: Parts, follower: Follower, cursor: Cursor) -> Block | None:
    """Return the newest block with a transaction of ours that is still on the chain, by bisection.

    Their block hashes are kept for good, other blocks' only for a while.
    """
    assert cursor.tip is not None, "only what was followed can be left"
    on_chain: int | None = None
    low, high = -1, cursor.tip.number
    while low < high:
        middle = (low + high + 1) // 2
        newest = await transactions.newest_block(parts.database, cursor.chain_id, middle)
        if newest is None:
            low = middle
            continue
        number, block_hash = newest
        (actual,) = await follower.reader.hashes([number])
        if actual == block_hash:
            on_chain, low = number, middle
        else:
            high = number - 1
    if on_chain is None:
        return None
    (block,) = await follower.reader.blocks(on_chain, on_chain)
    return block
