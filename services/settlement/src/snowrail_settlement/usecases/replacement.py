"""Replace a transaction that pays too little: the same nonce, callee, value and data, a higher fee."""

from dataclasses import replace

import structlog

from snowrail_chain.lane import OPEN_STATES, FeePolicy, Fees, raise_fees
from snowrail_chain.signer import SigningFailed, read_transaction
from snowrail_settlement import metrics
from snowrail_settlement.store import lanes
from snowrail_settlement.store.lanes import Lane, LaneTransaction
from snowrail_settlement.usecases.parts import LaneWorker, Parts
from snowrail_settlement.usecases.signing import ask_signer

log = structlog.get_logger("lane")


def why_no_higher_fee(previous: LaneTransaction, policy: FeePolicy) -> str | None:
    """Say what forbids a higher fee for what is signed; nothing if one is allowed."""
    if previous.cancels:
        return "its cancellation pays too little, and only an administrator may raise that"
    if _higher_fees(previous, 0, policy) is None:
        return (
            f"it pays too little, and a payer aboard allows no more than {previous.gas_ceiling} wei per gas"
        )
    return None


def _higher_fees(previous: LaneTransaction, base_fee: int, policy: FeePolicy) -> Fees | None:
    """What a replacement bids. Whether there is room for one does not depend on the base fee."""
    bid = Fees(previous.max_fee_per_gas, previous.max_priority_fee_per_gas)
    return raise_fees(bid, base_fee, previous.gas_ceiling, policy)


async def replace_transaction(
    parts: Parts, worker: LaneWorker, lane: Lane, previous: LaneTransaction
) -> str | None:
    """Sign and store a replacement; a later pass sends it. Returns what stands in the way."""
    limit = why_no_higher_fee(previous, parts.settings.fee_policy)
    if limit is not None:
        return limit
    network = await worker.node.network()
    fees = _higher_fees(previous, network.base_fee, parts.settings.fee_policy)
    assert fees is not None, "there is room for a higher fee at any base fee"
    raw = await lanes.raw_bytes(parts.database, lane.chain_id, previous.tx_hash)
    transaction = replace(
        read_transaction(raw),
        max_fee_per_gas=fees.max_fee_per_gas,
        max_priority_fee_per_gas=fees.max_priority_fee_per_gas,
    )
    try:
        signed = await ask_signer(parts, worker, transaction)
    except SigningFailed as problem:
        return f"the signer does not sign a replacement: {problem}"
    async with parts.transaction() as tx:
        await lanes.lock_lane(tx, lane.lane_id)
        place = (lane.chain_id, lane.signer, previous.nonce)
        if any(known.state not in OPEN_STATES for known in await lanes.lock_at_nonces(tx, [place])):
            return None  # a block holds one of them by now
        if (await lanes.newest_at(tx, lane, previous.nonce)).tx_hash != previous.tx_hash:
            return None  # an administrator has signed something else for it, which stands
        effect = await lanes.effect_at(tx, lane, previous.nonce)
        await lanes.insert_transaction(tx, lane, previous.nonce, effect, signed, fees)
    metrics.TRANSACTIONS.labels(worker.labels[0], "replacement").inc()
    log.info("replacement", nonce=previous.nonce, replaced=previous.tx_hash, tx_hash=signed.hash)
    return "a replacement is on its way"
