"""Sign what a nonce was taken for, and store the bytes. Whatever goes wrong, the nonce stays taken for it."""

import structlog

from snowrail_chain.lane import bid_up_to
from snowrail_chain.signer import SigningFailed, Transaction
from snowrail_settlement import metrics
from snowrail_settlement.store import lanes
from snowrail_settlement.store.lanes import Lane, ReservedNonce
from snowrail_settlement.usecases.parts import LaneWorker, Parts

log = structlog.get_logger("lane")


async def sign_reserved(parts: Parts, worker: LaneWorker, lane: Lane, reserved: ReservedNonce) -> str | None:
    """Sign a transaction for a nonce that is committed, and store it; a later pass sends it.

    Returns:
        Why it could not be signed. It is tried again by every pass: the payments aboard have no other way.
    """
    network = worker.network or await worker.node.network()
    fees = bid_up_to(network.base_fee, reserved.gas_ceiling, parts.settings.fee_policy)
    transaction = Transaction(
        chain_id=lane.chain_id,
        nonce=reserved.nonce,
        to=reserved.to,
        value=reserved.value,
        data=reserved.data,
        gas_limit=reserved.gas_limit,
        max_fee_per_gas=fees.max_fee_per_gas,
        max_priority_fee_per_gas=fees.max_priority_fee_per_gas,
    )
    try:
        signed = await worker.signer.sign_transaction(transaction)
    except SigningFailed as problem:
        metrics.NOT_SIGNED.labels(*worker.labels, type(problem).__name__).inc()
        trouble = f"nonce {reserved.nonce}: the signer does not sign: {problem}"
        if trouble not in lane.troubles:  # it is tried again by every pass
            log.error("not signed", chain=lane.chain_id, nonce=reserved.nonce, error=str(problem))
        return trouble
    async with parts.transaction() as tx:
        await lanes.lock_lane(tx, lane.lane_id)
        if not await lanes.end_reservation(tx, lane, reserved.nonce):
            return None  # another process has signed it; these bytes are stored nowhere and never leave
        await lanes.insert_transaction(tx, lane, reserved.nonce, reserved.effect, signed, fees)
    metrics.TRANSACTIONS.labels(worker.labels[0], "execution").inc()
    return None
