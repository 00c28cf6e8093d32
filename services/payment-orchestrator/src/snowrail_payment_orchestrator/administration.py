"""HTTP routes for administrators: how chain and ledger compare, and resuming a halted asset."""

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Depends
from fastapi.responses import Response
from pydantic import BaseModel, ConfigDict, Field

from snowrail_kit.audit import Act, append
from snowrail_kit.auth import Identity, require_role
from snowrail_kit.idempotency import IdempotentOperation
from snowrail_kit.problems import Problem
from snowrail_kit.service import parts_of
from snowrail_kit.unit_of_work import Transaction
from snowrail_payment_orchestrator import reconciliation_store
from snowrail_payment_orchestrator.parts import Parts

router = APIRouter()
PartsOfService = Annotated[Parts, Depends(parts_of)]
Admin = Annotated[Identity, Depends(require_role("admin"))]


class AssetView(BaseModel):
    """The last comparison of a token at a final block; atoms as decimal strings, differences by name."""

    token: str
    block_number: int
    block_hash: str
    held: str
    fees: str
    unsolicited: str
    owed_on_chain: str
    owed_in_ledger: str
    executed_on_chain: str
    executed_in_ledger: str
    differences: dict[str, str]
    differs_since: datetime | None
    compared_at: datetime
    halted_reason: str | None
    halted_at: datetime | None


class ResumeAsset(BaseModel):
    """Why payments of an asset may start again."""

    model_config = ConfigDict(extra="forbid")

    token: str = Field(min_length=44, max_length=60)
    reason: str = Field(min_length=3, max_length=500)


class AssetResumed(BaseModel):
    """An asset whose payments start again."""

    token: str
    was_halted_for: str


@router.get("/ledger/reconciliation", summary="How chain and ledger compare")
async def list_comparisons(_: Admin, parts: PartsOfService) -> list[AssetView]:
    """Return the last comparison of every token, and which are halted."""
    halted = await reconciliation_store.halted(parts.database)
    return [
        AssetView(
            token=record.token,
            block_number=record.block_number,
            block_hash=record.block_hash,
            held=str(record.comparison.chain.held),
            fees=str(record.comparison.chain.fees),
            unsolicited=str(record.comparison.unsolicited),
            owed_on_chain=str(record.comparison.chain.owed),
            owed_in_ledger=str(record.comparison.ledger.owed),
            executed_on_chain=str(record.comparison.chain.executed),
            executed_in_ledger=str(record.comparison.ledger.executed),
            differences={name.value: str(atoms) for name, atoms in record.comparison.differences.items()},
            differs_since=record.differs_since,
            compared_at=record.compared_at,
            halted_reason=halted[record.token][0] if record.token in halted else None,
            halted_at=halted[record.token][1] if record.token in halted else None,
        )
        for record in await reconciliation_store.records(parts.database)
    ]


@router.post("/ledger/assets/resume", summary="Let payments start again", response_model=AssetResumed)
async def resume_asset(body: ResumeAsset, identity: Admin, operation: IdempotentOperation) -> Response:
    """Resume a halted asset. It is halted again when the next comparison differs."""

    async def work(tx: Transaction) -> AssetResumed:
        reason = await reconciliation_store.resume(tx, body.token)
        if reason is None:
            raise Problem(409, "asset_not_halted", "The asset is not halted: there is nothing to resume.")
        details = {"reason": body.reason, "was_halted_for": reason}
        await append(
            tx.connection, [Act(str(identity.user_id), "asset.resumed", body.token, details)], tx.now
        )
        return AssetResumed(token=body.token, was_halted_for=reason)

    return await operation.run(200, work)
