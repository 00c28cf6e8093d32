"""Sign what a nonce was taken for, and store the bytes. Whatever goes wrong, the nonce stays taken for it.

A signer that gives no signature is asked again after pauses that grow. Only new signatures wait for it: its
lane goes on sending what is signed, and the other lanes have signers of their own.
"""

from datetime import timedelta

import structlog

from snowrail_chain.lane import bid_up_to
from snowrail_chain.signer import SignedTransaction, SigningFailed, SigningRefused, Transaction
from snowrail_settlement import metrics
from snowrail_settlement.domain.lane import signer_pause_seconds
from snowrail_settlement.store import lanes
from snowrail_settlement.store.lanes import Lane, ReservedNonce
from snowrail_settlement.usecases.parts import LaneWorker, Parts, SignerRest

log = structlog.get_logger("lane")


async def sign_reserved(parts: Parts, worker: LaneWorker, lane: Lane, reserved: ReservedNonce) -> str | None:
    """Sign a transaction for a nonce that is committed, and store it; a later pass sends it.

    Returns:
        Why it could not be signed. Later passes try again: the payments aboard have no other way.
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
        signed = await ask_signer(parts, worker, transaction)
    except SigningFailed as problem:
        trouble = f"nonce {reserved.nonce}: the signer does not sign: {problem}"
        if trouble not in lane.troubles:  # later passes come back to it
            log.error("not signed", chain=lane.chain_id, nonce=reserved.nonce, error=str(problem))
        return trouble
    async with parts.transaction() as tx:
        await lanes.lock_lane(tx, lane.lane_id)
        if not await lanes.end_reservation(tx, lane, reserved.nonce):
            return None  # another process has signed it; these bytes are stored nowhere and never leave
        await lanes.insert_transaction(tx, lane, reserved.nonce, reserved.effect, signed, fees)
    metrics.TRANSACTIONS.labels(worker.labels[0], "execution").inc()
    return None


async def ask_signer(parts: Parts, worker: LaneWorker, transaction: Transaction) -> SignedTransaction:
    """Sign, unless the signer gave no signature so recently that it is left alone for now.

    Raises:
        SigningFailed: What it said, now or when it was asked last.
    """
    rest = worker.signer_rest
    if rest is not None and parts.clock.now() < rest.until:
        raise SigningFailed(rest.problem)
    try:
        signed = await worker.signer.sign_transaction(transaction)
    except SigningFailed as problem:
        metrics.NOT_SIGNED.labels(*worker.labels, type(problem).__name__).inc()
        is_about_transaction = isinstance(problem, SigningRefused)
        if not is_about_transaction:
            _leave_alone(parts, worker, problem)
        raise
    if rest is not None:
        log.info("the signer signs again", signer=worker.signer.address, failures=rest.failures)
    worker.signer_rest = None
    metrics.SIGNER_PAUSE.labels(*worker.labels).set(0)
    return signed


def _leave_alone(parts: Parts, worker: LaneWorker, problem: SigningFailed) -> None:
    failures = worker.signer_rest.failures + 1 if worker.signer_rest else 1
    pause_seconds = signer_pause_seconds(failures, parts.settings.signer_pause_seconds)
    until = parts.clock.now() + timedelta(seconds=pause_seconds)
    worker.signer_rest = SignerRest(failures, until, str(problem))
    metrics.SIGNER_PAUSE.labels(*worker.labels).set(pause_seconds)
