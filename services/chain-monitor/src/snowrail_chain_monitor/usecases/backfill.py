"""Read a stretch of the chain again, fast, and tell what was never told. Nothing is told twice."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import dataclass

from snowrail_chain.cursor import InconsistentBlocks, require_linked
from snowrail_chain.rpc import RpcError
from snowrail_chain_monitor.domain import (
    Block,
    ChainTransaction,
    Status,
    relevant_transactions,
    senders_among,
)
from snowrail_chain_monitor.second_opinion import Ruling, Window, log_evidence, weigh
from snowrail_chain_monitor.settings import MissingOpinion
from snowrail_chain_monitor.store import positions, transactions
from snowrail_chain_monitor.usecases.facts import count, tell
from snowrail_chain_monitor.usecases.parts import Follower, Parts

_ATTEMPTS = 5
_PAUSE_SECONDS = 0.5


class CannotBackfill(Exception):
    """Why a stretch cannot be read again."""


@dataclass(frozen=True, slots=True)
class Stretch:
    """Consecutive blocks that were fetched and that the nodes agree on, with what concerns us in them."""

    blocks: list[Block]
    found: list[ChainTransaction]


@dataclass(slots=True)
class Progress:
    """How far a backfill is."""

    next_block: int
    blocks: int = 0
    logs: int = 0
    told: int = 0


async def backfill(
    parts: Parts,
    follower: Follower,
    first: int,
    last: int,
    *,
    range_blocks: int,
    fetches: int,
    report: Callable[[Progress], None] = lambda _: None,
) -> Progress:
    """Tell as final every transaction between two heights that was never told in the block it is in.

    Blocks are fetched ahead, several ranges at a time, and stored in order. Each range is held to the same
    second opinion as the follower's.

    Args:
        first, last: Heights, both included; `last` must be final already.
        range_blocks: Blocks of one range.
        fetches: Ranges fetched at once.
        report: Called after each range.

    Raises:
        CannotBackfill: The chain is not followed that far, is frozen, or the nodes do not agree.
        RpcError: The nodes do not answer.
    """
    chain_id = follower.config.chain_id
    cursor = await positions.cursor(parts.database, chain_id, parts.clock.now())
    if cursor.frozen_reason is not None:
        raise CannotBackfill(f"chain {chain_id} is frozen: {cursor.frozen_reason}")
    if first < 0 or last < first or last > cursor.final_number:
        raise CannotBackfill(
            f"blocks {first} to {last} of chain {chain_id}: everything up to {cursor.final_number} is final"
        )
    progress = Progress(first)
    before: Block | None = None
    async with aclosing(_stretches(parts, follower, first, last, range_blocks, fetches)) as stretches:
        async for stretch in stretches:
            require_linked(before.link if before else None, [block.link for block in stretch.blocks])
            await _require_ours(parts, chain_id, stretch)
            progress.told += await _store(parts, follower, stretch)
            before = stretch.blocks[-1]
            progress.next_block = before.link.number + 1
            progress.blocks += len(stretch.blocks)
            progress.logs += sum(len(transaction.logs) for transaction in stretch.found)
            report(progress)
    return progress


async def _stretches(
    parts: Parts, follower: Follower, first: int, last: int, range_blocks: int, fetches: int
) -> AsyncGenerator[Stretch]:
    """Fetch ranges ahead, and give them in order."""
    starts = iter(range(first, last + 1, range_blocks))
    under_way: list[asyncio.Task[Stretch]] = []

    def fetch_more() -> None:
        start = next(starts, None)
        if start is not None:
            end = min(last, start + range_blocks - 1)
            under_way.append(asyncio.create_task(_fetch(parts, follower, start, end)))

    try:
        for _ in range(fetches):
            fetch_more()
        while under_way:
            stretch = await under_way[0]
            under_way.pop(0)
            fetch_more()
            yield stretch
    finally:
        for task in under_way:
            task.cancel()
        await asyncio.gather(*under_way, return_exceptions=True)


async def _fetch(parts: Parts, follower: Follower, first: int, last: int) -> Stretch:
    """Fetch a range, again when answers did not fit together or a node failed."""
    for attempt in range(1, _ATTEMPTS + 1):
        try:
            return await _fetch_once(parts, follower, first, last)
        except (RpcError, InconsistentBlocks):
            if attempt == _ATTEMPTS:
                raise
            follower.reader.suspect()
            await asyncio.sleep(_PAUSE_SECONDS * attempt)
    raise AssertionError("the last attempt returns or raises")


async def _fetch_once(parts: Parts, follower: Follower, first: int, last: int) -> Stretch:
    blocks = await follower.reader.blocks(first, last)
    require_linked(None, [block.link for block in blocks])
    receipts, events = await asyncio.gather(
        follower.reader.receipts(senders_among(blocks, follower.executors)), follower.reader.events(blocks)
    )
    found = relevant_transactions(blocks, events, receipts)
    if follower.reader.endpoints > 1:
        await _require_second_opinion(parts, follower, blocks, found)
    return Stretch(blocks, found)


async def _require_second_opinion(
    parts: Parts, follower: Follower, blocks: list[Block], found: list[ChainTransaction]
) -> None:
    hashes = {transaction.block.number: transaction.block.hash for transaction in found}
    last = blocks[-1].link
    hashes[last.number] = last.hash
    logs = [(item.block.hash, item.hash, entry) for item in found for entry in item.logs]
    numbers = {block_hash: number for number, block_hash in hashes.items()}
    window = Window(blocks[0].link.number, last.number, hashes, log_evidence(numbers, logs))
    own, *elsewhere = await follower.reader.opinions(sorted(hashes), window.first, window.last)
    assert not isinstance(own, RpcError), "the node in use answers, or its error is raised"
    others = [None if isinstance(opinion, RpcError) else opinion for opinion in elsewhere]
    go_on = parts.settings.missing_opinion is MissingOpinion.PROCEED
    verdict = weigh(window, own, others, go_on_without=go_on)
    if verdict.ruling is not Ruling.AGREED:
        raise InconsistentBlocks(f"blocks {window.first} to {window.last}: {verdict.problem}")


async def _require_ours(parts: Parts, chain_id: int, stretch: Stretch) -> None:
    """Check a range against the block hashes that are stored, where they still are."""
    numbers = [block.link.number for block in stretch.blocks]
    stored = await positions.stored_hashes(parts.database, chain_id, numbers)
    for block in stretch.blocks:
        if stored.get(block.link.number, block.link.hash) != block.link.hash:
            raise CannotBackfill(f"block {block.link.number} is another one than was followed")


async def _store(parts: Parts, follower: Follower, stretch: Stretch) -> int:
    """Store what was not known, tell it as final, and return how many transactions that were."""
    if not stretch.found:
        return 0
    chain_id = follower.config.chain_id
    async with parts.transaction() as tx:
        final_number, last_version = await positions.lock_final(tx, chain_id)
        if final_number < stretch.blocks[-1].link.number:
            raise CannotBackfill(f"chain {chain_id} was rolled back to block {final_number} meanwhile")
        new = await transactions.insert_transactions(
            tx, chain_id, [(transaction, Status.FINAL) for transaction in stretch.found], last_version
        )
        await tell(tx, follower, new)
        version = max([last_version, *(item.version for item in new)])
        await positions.set_final(tx, chain_id, final_number, version)
    count(follower, new)
    return len(new)
