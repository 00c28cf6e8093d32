"""What an administrator does about one nonce: raise its fee at once, or cancel it by a self-transfer.

Either way nothing is decided: the lane sends what was signed here, and only a final block decides which of a
nonce's transactions it was. Items of a cancelled nonce fail, retryable, when its cancellation is final.
"""

from dataclasses import dataclass, replace
from uuid import UUID

from snowrail_chain.lane import OPEN_STATES, Fees, raise_fees
from snowrail_chain.rpc import RpcError
from snowrail_chain.signer import SigningFailed, Transaction, effect_digest, read_transaction
from snowrail_kit.problems import Problem
from snowrail_kit.unit_of_work import Transaction as UnitOfWork
from snowrail_settlement import metrics
from snowrail_settlement.store import lanes
from snowrail_settlement.store.lanes import Lane, LaneTransaction
from snowrail_settlement.usecases.parts import LaneWorker, Parts

_TRANSFER_GAS = 21_000


@dataclass(frozen=True, slots=True)
class Replaced:
    """What was signed, and which transaction it is to take the place of."""

    tx_hash: str
    replaced_tx_hash: str
    max_fee_per_gas: int


async def raise_fee_now(parts: Parts, tx: UnitOfWork, lane: Lane, nonce: int) -> Replaced:
    """Sign the same effect again with a higher fee, however long it has waited.

    Args:
        lane: Locked.

    Raises:
        Problem: There is nothing to replace, no room below the ceilings aboard, or no signature.
    """
    newest = await _newest(tx, lane, nonce)
    if newest.cancels:
        raise Problem(409, "nonce_cancelled", "This nonce is being cancelled; cancel it again to pay more.")
    raw = await lanes.raw_bytes(parts.database, lane.chain_id, newest.tx_hash)
    return await _replace(parts, tx, lane, newest, read_transaction(raw), newest.gas_ceiling)


async def cancel_nonce(parts: Parts, tx: UnitOfWork, lane: Lane, nonce: int, approved_by: UUID) -> Replaced:
    """Sign a transfer of nothing from the signer to itself at a nonce, with a higher fee than what is there.

    Args:
        lane: Locked.
        approved_by: The administrator.

    Raises:
        Problem: There is nothing to cancel, no room below our own highest fee, or no signature.
    """
    newest = await _newest(tx, lane, nonce)
    transfer = Transaction(
        chain_id=lane.chain_id,
        nonce=nonce,
        to=lane.signer,
        value=0,
        data=b"",
        gas_limit=_TRANSFER_GAS,
        max_fee_per_gas=0,
        max_priority_fee_per_gas=0,
    )
    await lanes.approve_cancellation(tx, lane, nonce, effect_digest(transfer), approved_by)
    return await _replace(parts, tx, lane, newest, transfer, parts.settings.highest_fee_wei)


async def _newest(tx: UnitOfWork, lane: Lane, nonce: int) -> LaneTransaction:
    states = await lanes.lock_at_nonces(tx, [(lane.chain_id, lane.signer, nonce)])
    if not states:
        raise Problem(409, "nonce_not_signed", f"Nothing is signed for nonce {nonce} of this lane.")
    if any(known.state not in OPEN_STATES for known in states):
        raise Problem(409, "nonce_in_block", f"A block holds a transaction of nonce {nonce} already.")
    return await lanes.newest_at(tx, lane, nonce)


async def _replace(
    parts: Parts,
    tx: UnitOfWork,
    lane: Lane,
    previous: LaneTransaction,
    transaction: Transaction,
    ceiling: int,
) -> Replaced:
    worker = _worker(parts, lane)
    is_transfer = transaction.to == lane.signer
    try:
        network = await worker.node.network()
        fees = raise_fees(
            Fees(previous.max_fee_per_gas, previous.max_priority_fee_per_gas),
            network.base_fee,
            ceiling,
            parts.settings.fee_policy,
        )
        if fees is None:
            raise Problem(
                409, "no_room_for_a_higher_fee", f"No more than {ceiling} wei per gas may be paid for it."
            )
        priced = replace(
            transaction,
            max_fee_per_gas=fees.max_fee_per_gas,
            max_priority_fee_per_gas=fees.max_priority_fee_per_gas,
        )
        signed = await worker.signer.sign_transaction(priced, operator_self_transfer=is_transfer)
    except (RpcError, SigningFailed) as problem:
        if isinstance(problem, SigningFailed):
            metrics.NOT_SIGNED.labels(*worker.labels, type(problem).__name__).inc()
        raise Problem(503, "unavailable", f"Nothing was signed: {problem}") from problem
    await lanes.insert_transaction(
        tx, lane, previous.nonce, effect_digest(priced), signed, fees, cancels=is_transfer
    )
    kind = "cancellation" if is_transfer else "replacement"
    metrics.TRANSACTIONS.labels(worker.labels[0], kind).inc()
    return Replaced(signed.hash, previous.tx_hash, fees.max_fee_per_gas)


def _worker(parts: Parts, lane: Lane) -> LaneWorker:
    worker = parts.workers.get(lane.lane_id)
    if worker is None:
        raise Problem(409, "lane_not_served", "This installation does not have the key of this lane.")
    return worker
