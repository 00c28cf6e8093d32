"""HTTP routes of settlement, for administrators: how the lanes are, and stopping them."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Path
from fastapi.responses import Response
from pydantic import BaseModel, ConfigDict, Field

from snowrail_kit.audit import Act, append
from snowrail_kit.auth import Identity, require_role
from snowrail_kit.idempotency import IdempotentOperation
from snowrail_kit.problems import Problem, not_found
from snowrail_kit.service import parts_of
from snowrail_kit.unit_of_work import Transaction
from snowrail_settlement.domain.lane import LaneState
from snowrail_settlement.store import items, lanes
from snowrail_settlement.store.lanes import Lane, LaneTransaction
from snowrail_settlement.usecases.operator import Replaced, cancel_nonce, raise_fee_now
from snowrail_settlement.usecases.parts import Parts

router = APIRouter()
ServiceParts = Annotated[Parts, Depends(parts_of)]
Admin = Annotated[Identity, Depends(require_role("admin"))]
Nonce = Annotated[int, Path(ge=0, le=2**63 - 1)]

_SHOWN_TRANSACTIONS = 100
_ACTIONS = {LaneState.PAUSED: "lane.paused", LaneState.ACTIVE: "lane.resumed"}


class TransactionView(BaseModel):
    """A transaction that is not final; fees in wei per gas. `cancels`: an administrator's self-transfer."""

    nonce: int
    tx_hash: str
    state: str
    items: int
    max_fee_per_gas: str
    signed_at: datetime
    sent_at: datetime | None
    last_answer: str
    cancels: bool


class LaneView(BaseModel):
    """A nonce lane.

    `state` is `active`, `paused` (by an administrator) or `frozen` (the key was used elsewhere). `troubles`
    says what keeps it from going on. `in_flight` counts nonces that are in no block. `is_served` is whether
    this installation still has the key. `balance` is in wei.
    """

    lane_id: UUID
    chain_id: int
    signer: str
    state: str
    reason: str
    first_nonce: int
    next_nonce: int
    account_nonce: int | None
    balance: str | None
    in_flight: int
    waiting_items: int
    troubles: list[str]
    transactions: list[TransactionView]
    is_served: bool
    changed_at: datetime


class LaneList(BaseModel):
    """All lanes, and signers whose lane cannot begin because their key is in use elsewhere."""

    lanes: list[LaneView]
    cannot_begin: list[str]


class LaneAct(BaseModel):
    """Why a lane is paused or resumed, for the audit log."""

    model_config = ConfigDict(extra="forbid")

    reason: str = Field(min_length=3, max_length=500)


class LaneChanged(BaseModel):
    """A lane after an administrator's act."""

    lane_id: UUID
    state: str
    reason: str
    acknowledged_foreign_transactions: int


class NonceChanged(BaseModel):
    """What an administrator had signed for a nonce; the fee in wei per gas."""

    lane_id: UUID
    nonce: int
    tx_hash: str
    replaced_tx_hash: str
    max_fee_per_gas: str


@router.get("/lanes", summary="How the nonce lanes are")
async def list_lanes(_: Admin, parts: ServiceParts) -> LaneList:
    """Return every lane with what is on its way and what is in its way."""
    found = [await _view(parts, lane) for lane in await lanes.all_lanes(parts.database)]
    late = [worker for worker in parts.workers.values() if worker.cannot_begin]
    return LaneList(
        lanes=found, cannot_begin=[f"{worker.chain.chain_id}:{worker.signer.address}" for worker in late]
    )


@router.post("/lanes/{lane_id}/pause", summary="Sign nothing new", response_model=LaneChanged)
async def pause_lane(
    lane_id: UUID, body: LaneAct, identity: Admin, operation: IdempotentOperation
) -> Response:
    """Have a lane sign nothing new. What is signed goes on: it cannot be called back."""

    async def work(tx: Transaction) -> LaneChanged:
        lane = await _lock(tx, lane_id)
        if lane.state is LaneState.FROZEN:
            raise Problem(409, "lane_frozen", f"The lane is frozen already: {lane.reason}.")
        return await _change(tx, lane, LaneState.PAUSED, body.reason, identity, acknowledged=0)

    return await operation.run(200, work)


@router.post("/lanes/{lane_id}/resume", summary="Sign again", response_model=LaneChanged)
async def resume_lane(
    lane_id: UUID, body: LaneAct, identity: Admin, operation: IdempotentOperation
) -> Response:
    """Let a paused or frozen lane sign again.

    Resuming a frozen lane acknowledges the foreign transactions seen so far. The lane freezes again unless
    each of them is final, and at the next one.
    """

    async def work(tx: Transaction) -> LaneChanged:
        lane = await _lock(tx, lane_id)
        acknowledged = await lanes.acknowledge_foreign(tx, lane)
        return await _change(tx, lane, LaneState.ACTIVE, "", identity, acknowledged, note=body.reason)

    return await operation.run(200, work)


@router.post(
    "/lanes/{lane_id}/nonces/{nonce}/replace", summary="Pay more at once", response_model=NonceChanged
)
async def replace_nonce(
    lane_id: UUID,
    nonce: Nonce,
    body: LaneAct,
    identity: Admin,
    parts: ServiceParts,
    operation: IdempotentOperation,
) -> Response:
    """Sign the same transaction with a higher fee, below every ceiling aboard, for a nonce in no block."""

    async def work(tx: Transaction) -> NonceChanged:
        lane = await _lock(tx, lane_id)
        replaced = await raise_fee_now(parts, tx, lane, nonce)
        return await _nonce_changed(tx, lane, nonce, replaced, "lane.nonce_replaced", body.reason, identity)

    return await operation.run(200, work)


@router.post(
    "/lanes/{lane_id}/nonces/{nonce}/cancel",
    summary="Free a nonce that is stuck",
    response_model=NonceChanged,
)
async def cancel_lane_nonce(
    lane_id: UUID,
    nonce: Nonce,
    body: LaneAct,
    identity: Admin,
    parts: ServiceParts,
    operation: IdempotentOperation,
) -> Response:
    """Sign a transfer of nothing from the signer to itself at a nonce that is in no block.

    Whichever of the nonce's transactions a block takes decides. Its payments fail, retryable, once the
    self-transfer is final, and not before.
    """

    async def work(tx: Transaction) -> NonceChanged:
        lane = await _lock(tx, lane_id)
        replaced = await cancel_nonce(parts, tx, lane, nonce, identity.user_id)
        return await _nonce_changed(tx, lane, nonce, replaced, "lane.nonce_cancelled", body.reason, identity)

    return await operation.run(200, work)


async def _nonce_changed(
    tx: Transaction, lane: Lane, nonce: int, replaced: Replaced, action: str, reason: str, identity: Identity
) -> NonceChanged:
    details = {
        "nonce": nonce,
        "reason": reason,
        "tx_hash": replaced.tx_hash,
        "replaced": replaced.replaced_tx_hash,
    }
    await append(tx.connection, [Act(str(identity.user_id), action, str(lane.lane_id), details)], tx.now)
    return NonceChanged(
        lane_id=lane.lane_id,
        nonce=nonce,
        tx_hash=replaced.tx_hash,
        replaced_tx_hash=replaced.replaced_tx_hash,
        max_fee_per_gas=str(replaced.max_fee_per_gas),
    )


async def _lock(tx: Transaction, lane_id: UUID) -> Lane:
    lane = await lanes.lock_lane(tx, lane_id)
    if lane is None:
        raise not_found("lane")
    return lane


async def _change(
    tx: Transaction,
    lane: Lane,
    state: LaneState,
    reason: str,
    identity: Identity,
    acknowledged: int,
    note: str = "",
) -> LaneChanged:
    await lanes.set_state(tx, lane.lane_id, state, reason)
    details = {
        "from": lane.state,
        "to": state,
        "reason": note or reason,
        "was": lane.reason,
        "acknowledged": acknowledged,
    }
    act = Act(str(identity.user_id), _ACTIONS[state], str(lane.lane_id), details)
    await append(tx.connection, [act], tx.now)
    return LaneChanged(
        lane_id=lane.lane_id, state=state, reason=reason, acknowledged_foreign_transactions=acknowledged
    )


async def _view(parts: Parts, lane: Lane) -> LaneView:
    unfinished = await lanes.unfinished_transactions(
        parts.database, lane.chain_id, lane.signer, _SHOWN_TRANSACTIONS
    )
    flying = await lanes.count_in_flight(parts.database, lane.chain_id, lane.signer)
    return LaneView(
        lane_id=lane.lane_id,
        chain_id=lane.chain_id,
        signer=lane.signer,
        state=lane.state,
        reason=lane.reason,
        first_nonce=lane.first_nonce,
        next_nonce=lane.next_nonce,
        account_nonce=lane.account_nonce,
        balance=None if lane.balance is None else str(lane.balance),
        in_flight=flying,
        waiting_items=await items.waiting_count(parts.database, lane.chain_id),
        troubles=list(lane.troubles),
        transactions=[_transaction_view(transaction) for transaction in unfinished],
        is_served=lane.lane_id in parts.workers,
        changed_at=lane.changed_at,
    )


def _transaction_view(transaction: LaneTransaction) -> TransactionView:
    return TransactionView(
        nonce=transaction.nonce,
        tx_hash=transaction.tx_hash,
        state=transaction.state,
        items=transaction.item_count,
        max_fee_per_gas=str(transaction.max_fee_per_gas),
        signed_at=transaction.signed_at,
        sent_at=transaction.sent_at,
        last_answer=transaction.last_answer,
        cancels=transaction.cancels,
    )
