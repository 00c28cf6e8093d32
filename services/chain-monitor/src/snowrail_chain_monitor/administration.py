"""HTTP routes for operators: go on after a look. Each act is a row of the audit log."""

from typing import Annotated

from fastapi import APIRouter, Depends
from fastapi.responses import Response
from pydantic import BaseModel, ConfigDict, Field

from snowrail_chain_monitor.store import positions
from snowrail_chain_monitor.usecases.parts import Parts
from snowrail_kit.audit import Act, append
from snowrail_kit.auth import Identity, require_role
from snowrail_kit.idempotency import IdempotentOperation
from snowrail_kit.problems import Problem, not_found
from snowrail_kit.service import parts_of
from snowrail_kit.unit_of_work import Transaction

router = APIRouter(prefix="/admin")
ServiceParts = Annotated[Parts, Depends(parts_of)]
Admin = Annotated[Identity, Depends(require_role("admin"))]


class ResumeChain(BaseModel):
    """Why a frozen chain is followed again, and how deep a rollback is accepted for that, in blocks."""

    model_config = ConfigDict(extra="forbid")

    reason: str = Field(min_length=3, max_length=500)
    accepted_depth: int = Field(ge=1, le=100_000_000)


class ChainResumed(BaseModel):
    """A chain whose rollback was accepted; it is followed again with the next pass."""

    chain_id: int
    tip: int | None
    was_frozen_for: str
    accepted_depth: int


@router.post("/chains/{chain_id}/resume", summary="Accept a deep rollback", response_model=ChainResumed)
async def resume_chain(
    chain_id: int, body: ResumeChain, identity: Admin, operation: IdempotentOperation, parts: ServiceParts
) -> Response:
    """Follow a frozen chain again, accepting one rollback of at most this many blocks.

    Everything above the newest common block is taken back as `transaction.orphaned` and read again. A
    rollback that turns out deeper freezes the chain anew.
    """
    if chain_id not in parts.followers:
        raise not_found("chain")

    async def work(tx: Transaction) -> ChainResumed:
        frozen = await positions.lock_frozen(tx, chain_id)
        if frozen is None:
            raise Problem(409, "chain_not_frozen", "The chain is not frozen: there is nothing to resume.")
        await positions.accept_rollback(tx, chain_id, body.accepted_depth)
        details = {
            "reason": body.reason,
            "accepted_depth": body.accepted_depth,
            "tip": frozen.tip_number,
            "was_frozen_for": frozen.reason,
        }
        await append(
            tx.connection, [Act(str(identity.user_id), "chain.resumed", str(chain_id), details)], tx.now
        )
        return ChainResumed(
            chain_id=chain_id,
            tip=frozen.tip_number,
            was_frozen_for=frozen.reason,
            accepted_depth=body.accepted_depth,
        )

    return await operation.run(200, work)
