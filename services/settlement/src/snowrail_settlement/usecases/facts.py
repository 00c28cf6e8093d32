"""What facts about transactions make of lanes and items. A batch costs a fixed number of statements."""

from collections.abc import Collection, Sequence
from typing import Any
from uuid import UUID

import structlog

from snowrail_chain.lane import after_transaction_event
from snowrail_kit.audit import Act
from snowrail_kit.delivery import Delivery
from snowrail_kit.unit_of_work import Transaction
from snowrail_settlement.domain.item import ItemState, steps_by_evidence
from snowrail_settlement.domain.lane import FactStatus, event_of_fact, is_foreign
from snowrail_settlement.store import evidence, items, lanes
from snowrail_settlement.store.evidence import Fact, Observed
from snowrail_settlement.store.items import Item
from snowrail_settlement.store.lanes import AtNonce
from snowrail_settlement.usecases.telling import take_steps

log = structlog.get_logger("facts")


async def apply_facts(deliveries: Sequence[Delivery[Any]], tx: Transaction, status: FactStatus) -> None:
    """Apply facts of one kind about transactions of executors and of the escrow."""
    facts: list[Fact] = [delivery.event for delivery in deliveries]
    if status is not FactStatus.ORPHANED:
        await evidence.insert_logs(tx, facts)
    newest: dict[tuple[int, str], Observed] = {}
    for delivery in deliveries:
        observed = Observed(delivery.event, status, delivery.envelope.version)
        key = (observed.fact.chain_id, observed.fact.tx_hash)
        if key not in newest or newest[key].version <= observed.version:
            newest[key] = observed
    applied = await evidence.observe(tx, [newest[key] for key in sorted(newest)])
    if not applied:
        return
    await _apply_to_lanes(tx, applied)
    await _apply_to_items(tx, applied)


async def _apply_to_lanes(tx: Transaction, applied: Sequence[Observed]) -> None:
    places = [(item.fact.chain_id, item.fact.sender, item.fact.nonce) for item in applied]
    # a statement does not see what was stored while it waited for a lock: the first waits for whoever is
    # replacing or cancelling there, the second finds what they have stored
    await lanes.lock_at_nonces(tx, places)
    at_nonces = await lanes.lock_at_nonces(tx, places)
    by_nonce: dict[tuple[int, str, int], list[AtNonce]] = {}
    for known in at_nonces:
        by_nonce.setdefault((known.chain_id, known.signer, known.nonce), []).append(known)
    states = {(known.chain_id, known.tx_hash): known.state for known in at_nonces}
    foreign: list[tuple[int, str, str, int]] = []
    for item in applied:
        fact = item.fact
        signed = by_nonce.get((fact.chain_id, fact.sender, fact.nonce), [])
        if is_foreign(item.status, fact.tx_hash, {known.tx_hash for known in signed}):
            foreign.append((fact.chain_id, fact.tx_hash, fact.sender, fact.nonce))
        for known in signed:
            place = (known.chain_id, known.tx_hash)
            event = event_of_fact(known.tx_hash == fact.tx_hash, item.status, states[place])
            if event is not None:
                states[place] = after_transaction_event(states[place], event)
    await lanes.save_states(
        tx,
        [
            (known, states[known.chain_id, known.tx_hash])
            for known in at_nonces
            if states[known.chain_id, known.tx_hash] is not known.state
        ],
    )
    if foreign:
        for lane_id, nonce, tx_hash in await lanes.freeze_for_foreign(tx, foreign):
            tx.record(frozen(lane_id, f"{tx_hash} used nonce {nonce}"))
            log.error("lane frozen: foreign transaction", lane_id=str(lane_id), nonce=nonce, tx_hash=tx_hash)


def frozen(lane_id: UUID, reason: str) -> Act:
    """Return that we froze a lane, for the audit log."""
    return Act("settlement", "lane.frozen", str(lane_id), {"reason": reason})


_AFFECTED = """
item_id IN (
    SELECT item_id FROM item AS carried
    JOIN unnest($1::bigint[], $2::text[], $3::bigint[]) AS place (chain_id, signer, nonce)
    USING (chain_id, signer, nonce)
    UNION
    SELECT item_id FROM item AS named
    JOIN unnest($4::bigint[], $5::text[], $6::bigint[]) AS execution (chain_id, order_hash, occurrence)
    USING (chain_id, order_hash, occurrence)
)
"""


async def _apply_to_items(tx: Transaction, applied: Sequence[Observed]) -> None:
    facts = [item.fact for item in applied]
    executions = [
        (fact.chain_id, log_of.order_hash, log_of.occurrence or 0)
        for fact in facts
        for log_of in fact.logs
        if log_of.name == evidence.EXECUTED
    ]
    affected = await items.lock_items(
        tx,
        _AFFECTED,
        [fact.chain_id for fact in facts],
        [fact.sender for fact in facts],
        [fact.nonce for fact in facts],
        [chain_id for chain_id, _, _ in executions],
        [order_hash for _, order_hash, _ in executions],
        [occurrence for _, _, occurrence in executions],
    )
    hashes = {(fact.chain_id, fact.sender, fact.nonce): fact.tx_hash for fact in facts}
    await settle(tx, affected, hashes)


async def settle(
    tx: Transaction, locked: Sequence[Item], hashes: dict[tuple[int, str, int], str]
) -> Collection[UUID]:
    """Bring locked items to what the chain says about them, and tell it.

    Args:
        locked: Items whose rows this transaction holds.
        hashes: Transaction at a nonce (chain, signer, nonce), where the caller knows it.

    Returns:
        Items that changed.
    """
    if not locked:
        return ()
    known = await evidence.evidence_about(tx, [item.item_id for item in locked])
    changed: dict[UUID, Item] = {}
    for item in locked:
        found = known[item.item_id]
        if not found.holds_occurrence:
            continue
        steps = steps_by_evidence(item.state, item.basis, item.was_sent, found.evidence)
        if not steps:
            continue
        tx_hash = found.evidence.own.basis.tx_hash if found.evidence.own else None
        if item.signer is not None and item.nonce is not None:
            tx_hash = tx_hash or hashes.get((item.chain_id, item.signer, item.nonce))
        take_steps(item, steps, tx, tx_hash)
        changed[item.item_id] = item
        if item.state is ItemState.FAILED:
            tx.wake(occurrence_key(item.chain_id, item.order_hash, item.occurrence))
    await items.save_items(tx, list(changed.values()))
    return changed.keys()


def occurrence_key(chain_id: int, order_hash: str, occurrence: int) -> str:
    """Key under which commands wait for an earlier attempt to end."""
    return f"{chain_id}:{order_hash}:{occurrence}"
