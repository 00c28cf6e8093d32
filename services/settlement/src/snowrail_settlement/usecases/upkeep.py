"""What time does to items: doubt, expiry, waiting in vain. Time never decides about what was signed.

Statements that lock items ask for their state twice: a row that a statement had to wait for is judged again,
as it is by then, by the outermost condition alone.
"""

from collections import Counter
from collections.abc import Iterable
from datetime import timedelta

from snowrail_kit.unit_of_work import Transaction
from snowrail_settlement import metrics
from snowrail_settlement.domain.command import expired
from snowrail_settlement.domain.item import ItemEvent, ItemState, Step
from snowrail_settlement.domain.refusals import Refusal
from snowrail_settlement.store import items
from snowrail_settlement.store.items import Item
from snowrail_settlement.usecases.facts import occurrence_key, settle
from snowrail_settlement.usecases.parts import Parts
from snowrail_settlement.usecases.telling import take_step

_LIMIT = 500
_AWAITS_EVIDENCE = "executed_elsewhere"
NO_EVIDENCE = Refusal("no_evidence", "the transaction was signed, and no block is known to hold it", False)


async def keep_up(parts: Parts) -> bool:
    """Run one bounded round over all chains. Returns whether there may be more to do."""
    async with parts.transaction() as tx:
        rounds = (
            await _doubt(tx, parts.settings.unknown_after_seconds),
            await _expire(tx),
            await _give_up(tx, parts.settings.wait_limit_seconds),
        )
    async with parts.transaction() as tx:
        await _look_again(tx, [chain.chain_id for chain in parts.chains.chains])
    for chain in parts.chains.chains:
        waiting = await items.waiting_count(parts.database, chain.chain_id)
        metrics.LANE_WAITING.labels(str(chain.chain_id)).set(waiting)
    return _LIMIT in rounds


async def _doubt(tx: Transaction, after_seconds: float) -> int:
    """Tell of items that were signed long ago and of which the chain has said nothing."""
    silent = await items.lock_items(
        tx,
        "state IN ('assigned', 'submitted') AND item_id IN ("
        " SELECT item_id FROM item WHERE state IN ('assigned', 'submitted') AND sent_at < $1"
        # what is not signed yet is in nobody's hands, and there is no doubt about it, unless it never will be
        # signed because somebody else's transaction has the nonce for good
        " AND NOT EXISTS (SELECT 1 FROM lane_unsigned AS reserved WHERE reserved.chain_id = item.chain_id"
        " AND reserved.signer = item.signer AND reserved.nonce = item.nonce"
        " AND NOT EXISTS (SELECT 1 FROM observation AS seen WHERE seen.chain_id = item.chain_id"
        " AND seen.sender = item.signer AND seen.nonce = item.nonce AND seen.status = 'final'))"
        " ORDER BY sent_at LIMIT $2)",
        tx.now - timedelta(seconds=after_seconds),
        _LIMIT,
    )
    settled = await settle(tx, silent, {})
    unsettled = [item for item in silent if item.item_id not in settled]
    hashes = await items.newest_hashes(tx, [item.item_id for item in unsettled])
    doubtful = [item for item in unsettled if item.item_id in hashes]
    for item in doubtful:
        take_step(item, Step(ItemEvent.CANNOT_TELL, refusal=NO_EVIDENCE), tx, hashes[item.item_id])
    await items.save_items(tx, doubtful)
    return len(silent)


async def _expire(tx: Transaction) -> int:
    """Fail items whose order's window has closed before anything was signed for them."""
    late = await items.lock_items(
        tx,
        "state = 'created' AND waits_for <> $2 AND item_id IN (SELECT item_id FROM item"
        " WHERE state = 'created' AND waits_for <> $2 AND valid_until < $1 ORDER BY sequence LIMIT $3)",
        int(tx.now.timestamp()),
        _AWAITS_EVIDENCE,
        _LIMIT,
    )
    settled = await settle(tx, late, {})
    unpaid = [item for item in late if item.item_id not in settled]
    limits = await items.valid_until(tx, [item.item_id for item in unpaid])
    for item in unpaid:
        _refuse(item, expired(limits[item.item_id]), tx)
    await items.save_items(tx, unpaid)
    return len(late)


async def _give_up(tx: Transaction, after_seconds: float) -> int:
    """Fail attempts that have waited, unsigned, for long enough; another attempt may follow."""
    waiting = await items.lock_items(
        tx,
        "state = 'created' AND waits_for <> $2 AND item_id IN (SELECT item_id FROM item"
        " WHERE state = 'created' AND waits_for <> $2 AND waits_since < $1 ORDER BY waits_since LIMIT $3)",
        tx.now - timedelta(seconds=after_seconds),
        _AWAITS_EVIDENCE,
        _LIMIT,
    )
    settled = await settle(tx, waiting, {})
    unpaid = [item for item in waiting if item.item_id not in settled]
    codes = await items.what_they_wait_for(tx, [item.item_id for item in unpaid])
    for item in unpaid:
        detail = f"it waited {after_seconds:g} s; nothing was signed"
        _refuse(item, Refusal(codes[item.item_id], detail, True), tx)
    await items.save_items(tx, unpaid)
    return len(waiting)


def _refuse(item: Item, refusal: Refusal, tx: Transaction) -> None:
    take_step(item, Step(ItemEvent.REFUSED, refusal=refusal), tx)
    tx.wake(occurrence_key(*item.key))


async def _look_again(tx: Transaction, chain_ids: Iterable[int]) -> None:
    """Look for evidence about items that need it: it may have arrived beside them."""
    doubtful = await items.lock_items(
        tx,
        "item_id IN (SELECT item_id FROM item WHERE state = 'unknown'"
        " OR (state = 'created' AND waits_for = $1) ORDER BY changed_at DESC LIMIT $2)",
        _AWAITS_EVIDENCE,
        _LIMIT,
    )
    await settle(tx, doubtful, {})
    waiting = Counter(item.chain_id for item in doubtful if item.state is ItemState.CREATED)
    for chain_id in chain_ids:
        metrics.AWAITING_EVIDENCE.labels(str(chain_id)).set(waiting[chain_id])
