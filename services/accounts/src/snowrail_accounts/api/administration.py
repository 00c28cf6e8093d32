"""What administrators do: roles, KYC levels, limits, and the audit log of it."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Query
from fastapi import Path as PathParameter

from snowrail_accounts.api.models import (
    AuditEntryAnswer,
    AuditPage,
    AuditVerification,
    KycChange,
    LevelLimitsAnswer,
    LimitsAnswer,
    LimitsChange,
    OwnLimitsRemoval,
    RolesChange,
    UserAnswer,
)
from snowrail_accounts.api.sign_in import PartsOf
from snowrail_accounts.domain.people import MAX_KYC_LEVEL
from snowrail_accounts.store import people as store
from snowrail_accounts.usecases import people
from snowrail_kit import audit
from snowrail_kit.auth import Identity, require_role
from snowrail_kit.pagination import Cursor, Page, PageQuery
from snowrail_kit.problems import not_found

router = APIRouter(prefix="/admin", tags=["administration"])
Administrator = Annotated[Identity, Depends(require_role("admin"))]
KycLevel = Annotated[int, PathParameter(ge=0, le=MAX_KYC_LEVEL)]


@router.get("/users")
async def list_users(parts: PartsOf, _: Administrator, request: PageQuery) -> Page[UserAnswer]:
    """Return users, newest first."""
    accounts = await store.page(parts.database, request)
    shown = accounts[: request.limit]
    more = len(accounts) > request.limit
    return Page(
        items=[UserAnswer.of(account) for account in shown],
        next=Cursor(shown[-1].created_at, shown[-1].user_id).encode() if more else None,
    )


@router.get("/users/{user_id}")
async def read_user(user_id: UUID, parts: PartsOf, _: Administrator) -> UserAnswer:
    """Return a user."""
    account = await store.find(parts.database, user_id)
    if account is None:
        raise not_found("user")
    return UserAnswer.of(account)


@router.post("/users/{user_id}/roles")
async def change_roles(
    user_id: UUID, body: RolesChange, parts: PartsOf, identity: Administrator
) -> UserAnswer:
    """Grant and revoke roles. Repeating it changes nothing more."""
    return UserAnswer.of(
        await people.change_user_roles(parts, identity, user_id, body.grant, body.revoke, body.reason)
    )


@router.post("/users/{user_id}/kyc")
async def change_kyc_level(
    user_id: UUID, body: KycChange, parts: PartsOf, identity: Administrator
) -> UserAnswer:
    """Set a user's KYC level."""
    return UserAnswer.of(await people.change_kyc_level(parts, identity, user_id, body.kyc_level, body.reason))


@router.patch("/users/{user_id}/limits", status_code=204)
async def change_own_limits(
    user_id: UUID, body: LimitsChange, parts: PartsOf, identity: Administrator
) -> None:
    """Give a user limits of their own, which stand instead of those of the KYC level."""
    await people.change_own_limits(parts, identity, user_id, body.change, body.reason)


@router.post("/users/{user_id}/limits/removal", status_code=204)
async def remove_own_limits(
    user_id: UUID, body: OwnLimitsRemoval, parts: PartsOf, identity: Administrator
) -> None:
    """Have the limits of the KYC level apply to a user again."""
    await people.change_own_limits(parts, identity, user_id, None, body.reason)


@router.patch("/limits/{kyc_level}")
async def change_level_limits(
    kyc_level: KycLevel, body: LimitsChange, parts: PartsOf, identity: Administrator
) -> LevelLimitsAnswer:
    """Change the limits of a KYC level."""
    limits = await people.change_level_limits(parts, identity, kyc_level, body.change, body.reason)
    return LevelLimitsAnswer(**LimitsAnswer.of(limits).model_dump(), kyc_level=kyc_level)


@router.get("/audit")
async def read_audit_log(
    parts: PartsOf,
    _: Administrator,
    before: Annotated[int | None, Query(ge=1)] = None,
    subject: Annotated[str | None, Query(max_length=200)] = None,
    limit: Annotated[int, Query(ge=1, le=100)] = 50,
) -> AuditPage:
    """Return entries of the audit log, newest first."""
    rows = await audit.page(parts.database, before, subject, limit)
    return AuditPage(
        items=[AuditEntryAnswer.of(row) for row in rows],
        next=rows[-1]["position"] if len(rows) == limit else None,
    )


@router.get("/audit/verification")
async def verify_audit_log(parts: PartsOf, _: Administrator) -> AuditVerification:
    """Read the whole audit log and say whether any row was altered."""
    found = await audit.verify(parts.database)
    return AuditVerification(
        intact=found.broken_at is None,
        entries=found.entries,
        broken_at=found.broken_at,
        head=found.head.hex(),
    )
