"""Decide what is final: deep enough, and the same by the word of every node that is configured."""

import structlog

from snowrail_chain.cursor import newest_final
from snowrail_chain.rpc import RpcError
from snowrail_chain_monitor import metrics
from snowrail_chain_monitor.second_opinion import Opinion, Ruling, Verdict, Window, log_evidence, weigh
from snowrail_chain_monitor.settings import MissingOpinion
from snowrail_chain_monitor.store import positions, transactions
from snowrail_chain_monitor.store.positions import Cursor
from snowrail_chain_monitor.usecases.facts import count, tell
from snowrail_chain_monitor.usecases.parts import Follower, Parts
from snowrail_chain_monitor.usecases.rollback import freeze, go_back_to

log = structlog.get_logger("finality")


async def finalise(parts: Parts, follower: Follower, cursor: Cursor) -> bool:
    """Tell as final what is deep enough and undisputed. Returns whether there is more to do at once."""
    final = newest_final(cursor.tip.number if cursor.tip else -1, follower.config.confirmations)
    first = max(cursor.final_number + 1, follower.config.start_block)
    if final < first:
        return False
    last = min(final, first + parts.settings.final_blocks_per_pass - 1)
    window = await _window(parts, cursor.chain_id, first, last)
    own, *elsewhere = await follower.reader.opinions(sorted(window.hashes), first, last)
    assert not isinstance(own, RpcError), "the node in use answers, or its error is raised"
    others = [None if isinstance(opinion, RpcError) else opinion for opinion in elsewhere]
    verdict = weigh(window, own, others, go_on_without=_goes_on_without(parts, follower))
    await _note(parts, follower, cursor, verdict, [own, *others])
    if verdict.ruling is Ruling.MISREAD:
        return await _read_again(parts, follower, cursor, verdict)
    if verdict.agreed_to >= first:
        async with parts.transaction() as tx:
            await positions.lock_cursor(tx, cursor)
            stored = await transactions.finalise(
                tx, cursor.chain_id, first, verdict.agreed_to, cursor.last_version
            )
            await tell(tx, follower, stored)
            version = max([cursor.last_version, *(item.version for item in stored)])
            await positions.set_final(tx, cursor.chain_id, verdict.agreed_to, version)
        count(follower, stored)
    return verdict.ruling is Ruling.AGREED and last < final


async def _window(parts: Parts, chain_id: int, first: int, last: int) -> Window:
    hashes, logs = await transactions.open_logs(parts.database, chain_id, first, last)
    hashes |= await positions.stored_hashes(parts.database, chain_id, [last])
    numbers = {block_hash: number for number, block_hash in hashes.items()}
    return Window(first, last, hashes, log_evidence(numbers, logs))


def _goes_on_without(parts: Parts, follower: Follower) -> bool:
    """Whether other nodes have been missing for so long that one's word is enough, where that is allowed."""
    if parts.settings.missing_opinion is MissingOpinion.HOLD or follower.lacking_since is None:
        return False
    missing_seconds = (parts.clock.now() - follower.lacking_since).total_seconds()
    return missing_seconds >= parts.settings.missing_opinion_after_seconds


async def _note(
    parts: Parts, follower: Follower, cursor: Cursor, verdict: Verdict, opinions: list[Opinion | None]
) -> None:
    """Alarm on disagreement and on missing nodes, and remember for /status why finality is held."""
    answering = sum(1 for opinion in opinions if opinion is not None and not opinion.is_behind)
    now = parts.clock.now()
    if answering == len(opinions):
        follower.lacking_since = None
    elif follower.lacking_since is None:
        follower.lacking_since = now
    metrics.ENDPOINTS_MISSING.labels(follower.label).set(len(opinions) - answering)
    metrics.DISAGREEMENT.labels(follower.label).set(verdict.ruling in (Ruling.DISPUTED, Ruling.MISREAD))
    held = (verdict.agreed_to, verdict.problem) if verdict.problem else None
    only_behind = verdict.ruling is Ruling.LACKING and None not in opinions
    if only_behind and follower.lacking_since is not None:
        waited = (now - follower.lacking_since).total_seconds()
        held = held if waited >= parts.settings.missing_opinion_after_seconds else None
    metrics.FINALITY_HELD.labels(follower.label).set(held is not None)
    if (held and held[1], answering) == (cursor.held_reason, cursor.endpoints_answering):
        return
    await positions.note_finality(parts.database, cursor.chain_id, held, answering, now)
    if held and cursor.held_reason != held[1]:
        log.error("finality is held", chain=cursor.chain_id, block=held[0] + 1, problem=held[1])
    elif held is None and cursor.held_reason is not None:
        log.info("finality goes on", chain=cursor.chain_id)
    if None in opinions and answering != cursor.endpoints_answering:
        log.warning("nodes are missing", chain=cursor.chain_id, answering=answering, nodes=len(opinions))


async def _read_again(parts: Parts, follower: Follower, cursor: Cursor, verdict: Verdict) -> bool:
    """Take back what was stored otherwise than the nodes have it, none of it final, and read it again."""
    block = await positions.stored_block(parts.database, cursor.chain_id, verdict.agreed_to)
    if block is None:
        await freeze(parts, follower, cursor, f"{verdict.problem}, and nothing below it is stored")
        return False
    await go_back_to(parts, follower, cursor, block, completes=True)
    return True
