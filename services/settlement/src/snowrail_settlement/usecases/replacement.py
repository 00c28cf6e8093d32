"""Replace a transaction that pays too little: the same nonce, callee, value and data, a higher fee."""

from dataclasses import replace

import structlog

from snowrail_chain.lane import OPEN_STATES, Fees, raise_fees
from snowrail_chain.signer import SigningFailed, read_transaction
from snowrail_settlement import metrics
from snowrail_settlement.store import lanes
from snowrail_settlement.store.lanes import Lane, LaneTransaction
from snowrail_settlement.usecases.parts import LaneWorker, Parts

log = structlog.get_logger("lane")


async def replace_transaction(
    parts: Parts, worker: LaneWorker, lane: Lane, previous: LaneTransaction
) -> str | None:
    """Sign and store a replacement; a later pass sends it. Returns what stands in the way."""
    if previous.cancels:
        return "its cancellation pays too little, and only an administrator may raise that"
    network = await worker.node.network()
    fees = raise_fees(
        Fees(previous.max_fee_per_gas, previous.max_priority_fee_per_gas),
        network.base_fee,
        previous.gas_ceiling,
        parts.settings.fee_policy,
    )
    if fees is None:
        return (
            f"it pays too little, and a payer aboard allows no more than {previous.gas_ceiling} wei per gas"
        )
    raw = await lanes.raw_bytes(parts.database, lane.chain_id, previous.tx_hash)
    transaction = replace(
        read_transaction(raw),
        max_fee_per_gas=fees.max_fee_per_gas,
        max_priority_fee_per_gas=fees.max_priority_fee_per_gas,
    )
    try:
        signed = await worker.signer.sign_transaction(transaction)
    except SigningFailed as problem:
        return f"the signer does not sign a replacement: {problem}"
    async with parts.transaction() as tx:
        await lanes.lock_lane(tx, lane.lane_id)
        place = (lane.chain_id, lane.signer, previous.nonce)
        if any(known.state not in OPEN_STATES for known in await lanes.lock_at_nonces(tx, [place])):
            return None  # a block holds one of them by now
        effect = await lanes.effect_at(tx, lane, previous.nonce)
        await lanes.insert_transaction(tx, lane, previous.nonce, effect, signed, fees)
    metrics.TRANSACTIONS.labels(worker.labels[0], "replacement").inc()
    log.info("replacement", nonce=previous.nonce, replaced=previous.tx_hash, tx_hash=signed.hash)
    return "a replacement is on its way"
