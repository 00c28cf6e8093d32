"""Users change their own profile; administrators change roles, KYC levels and limits."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from uuid import UUID

from snowrail_accounts.domain.people import (
    Account,
    InvalidChange,
    LimitChange,
    Limits,
    change_roles,
    check_handle,
    check_time_zone,
)
from snowrail_accounts.parts import Parts
from snowrail_accounts.store import people as store
from snowrail_accounts.store.sign_in import take
from snowrail_accounts.usecases.announce import updated
from snowrail_events import UserRejectedV1, UserSetTimeZoneV1
from snowrail_kit import audit
from snowrail_kit.audit import Act
from snowrail_kit.auth import Identity
from snowrail_kit.delivery import Delivery
from snowrail_kit.problems import Problem, not_found
from snowrail_kit.unit_of_work import Transaction


def _refused(error: InvalidChange) -> Problem:
    return Problem(422, error.code, _sentence(error))


def _sentence(error: InvalidChange) -> str:
    return f"{error.detail[0].upper()}{error.detail[1:]}."


async def change_profile(
    parts: Parts, identity: Identity, handle: str | None, time_zone: str | None
) -> Account:
    """Change the caller's handle, time zone or both.

    Raises:
        Problem: 409 when the handle is or was somebody else's, 422 when it may not be used, 429 too often.
    """
    try:
        if handle is not None:
            check_handle(handle)
        if time_zone is not None:
            check_time_zone(time_zone)
    except InvalidChange as error:
        raise _refused(error) from error
    async with parts.transaction() as tx:
        account = await _locked(tx, identity.user_id)
        if handle is not None and handle != account.handle:
            await _claim(parts, tx, account, handle)
        changed = replace(account, handle=handle or account.handle, time_zone=time_zone or account.time_zone)
        return await _write(tx, account, changed)


async def _claim(parts: Parts, tx: Transaction, account: Account, handle: str) -> None:
    retry = await take(tx.connection, parts.settings.handle_limit, str(account.user_id), tx.now)
    if retry is not None:
        detail = f"Handles change rarely; try again in {retry} s."
        raise Problem(
            429, "rate_limited", detail, {"retry_after_seconds": retry}, {"Retry-After": str(retry)}
        )
    held = await store.count_handles(tx.connection, account.user_id, besides=handle)
    if held >= parts.settings.handles_per_user:
        raise Problem(409, "handles_exhausted", "You have had too many handles; go back to one of yours.")
    if not await store.claim_handle(tx.connection, handle, account.user_id, tx.now):
        raise Problem(409, "handle_taken", "This handle belongs, or belonged, to somebody else.")


async def change_user_roles(
    parts: Parts, identity: Identity, user_id: UUID, grant: Sequence[str], revoke: Sequence[str], reason: str
) -> Account:
    """Grant and revoke roles of a user.

    A token that was signed before still states the old roles until it expires.

    Raises:
        Problem: 403 when the caller is no administrator any more, 404 no such user, 422 not allowed.
    """
    async with parts.transaction() as tx:
        account = await _locked_by_administrator(tx, identity, user_id)
        try:
            roles = change_roles(account.roles, grant, revoke, is_own=user_id == identity.user_id)
        except InvalidChange as error:
            raise _refused(error) from error
        changed = await _write(tx, account, replace(account, roles=roles))
        details = {"granted": sorted(grant), "revoked": sorted(revoke), "roles": roles, "reason": reason}
        await _record(tx, identity, "roles.changed", str(user_id), details)
        return changed


async def change_kyc_level(
    parts: Parts, identity: Identity, user_id: UUID, kyc_level: int, reason: str
) -> Account:
    """Set a user's KYC level (0 to 3). Raises Problem: 403 no administrator, 404 no such user."""
    async with parts.transaction() as tx:
        account = await _locked_by_administrator(tx, identity, user_id)
        changed = await _write(tx, account, replace(account, kyc_level=kyc_level))
        details = {"from": account.kyc_level, "to": kyc_level, "reason": reason}
        await _record(tx, identity, "kyc_level.changed", str(user_id), details)
        return changed


async def change_level_limits(
    parts: Parts, identity: Identity, kyc_level: int, change: LimitChange, reason: str
) -> Limits:
    """Change the limits of a KYC level. Raises Problem: 403 no administrator, 422 out of order."""
    async with parts.transaction() as tx:
        await _check_administrator(tx, identity)
        limits = _changed(change, await store.level_limits(tx.connection, kyc_level))
        await store.write_level_limits(tx.connection, kyc_level, limits, tx.now)
        await _record(tx, identity, "limits.changed", f"kyc level {kyc_level}", _describe(limits, reason))
        return limits


async def change_own_limits(
    parts: Parts, identity: Identity, user_id: UUID, change: LimitChange | None, reason: str
) -> None:
    """Give a user limits of their own, or take them away (None).

    Raises:
        Problem: 403 no administrator, 404 no such user, 422 out of order.
    """
    async with parts.transaction() as tx:
        account = await _locked_by_administrator(tx, identity, user_id)
        limits = None
        if change is not None:
            standing = await store.own_limits(tx.connection, user_id)
            limits = _changed(change, standing or await store.level_limits(tx.connection, account.kyc_level))
        await store.write_own_limits(tx.connection, user_id, limits, tx.now)
        await _record(tx, identity, "limits.changed", str(user_id), _describe(limits, reason))


def _changed(change: LimitChange, limits: Limits) -> Limits:
    try:
        return change.applied_to(limits)
    except InvalidChange as error:
        raise _refused(error) from error


def _describe(limits: Limits | None, reason: str) -> Mapping[str, object]:
    if limits is None:
        return {"limits": "those of the KYC level", "reason": reason}
    return {
        "per_transaction": limits.per_transaction,
        "per_day": limits.per_day,
        "per_month": limits.per_month,
        "reason": reason,
    }


async def _locked(tx: Transaction, user_id: UUID) -> Account:
    account = await store.find_locked(tx.connection, user_id)
    if account is None:
        raise not_found("user")
    return account


async def _check_administrator(tx: Transaction, identity: Identity) -> None:
    """Check the caller's role where it is decided: a token may be ten minutes behind."""
    administrator = await store.find_locked(tx.connection, identity.user_id)
    if administrator is None or "admin" not in administrator.roles:
        raise Problem(403, "role_required", "This needs the role admin.")


async def _locked_by_administrator(tx: Transaction, identity: Identity, user_id: UUID) -> Account:
    # always in the order of ids, so that two administrators never wait for each other
    for locked_id in sorted({identity.user_id, user_id}):
        await store.find_locked(tx.connection, locked_id)
    await _check_administrator(tx, identity)
    return await _locked(tx, user_id)


async def follow_time_zones(deliveries: list[Delivery[UserSetTimeZoneV1]], tx: Transaction, _: Parts) -> None:
    """Users said in which time zone they live; each command is answered, also where it changes nothing."""
    for delivery in sorted(deliveries, key=lambda delivery: delivery.event.user_id):
        event = delivery.event
        try:
            check_time_zone(event.time_zone)
        except InvalidChange as error:
            _reject(tx, delivery, error.code, _sentence(error))
            continue
        account = await store.find_locked(tx.connection, event.user_id)
        if account is None:
            _reject(tx, delivery, "not_found", "There is no such user.")
            continue
        changed = await _store(tx, account, replace(account, time_zone=event.time_zone))
        tx.emit(updated(changed, event.request_id), delivery, version=changed.version)


def _reject(tx: Transaction, delivery: Delivery[UserSetTimeZoneV1], code: str, detail: str) -> None:
    event = delivery.event
    rejected = UserRejectedV1(
        user_id=event.user_id,
        request_id=event.request_id,
        command="set_time_zone",
        code=code,
        detail=detail,
        rejected_at=tx.now,
    )
    tx.emit(rejected, delivery)


async def _write(tx: Transaction, before: Account, after: Account) -> Account:
    """Write a user, and tell of it when something changed."""
    changed = await _store(tx, before, after)
    if changed != before:
        tx.emit(updated(changed), version=changed.version)
    return changed


async def _store(tx: Transaction, before: Account, after: Account) -> Account:
    """Write a user when something changed. Returns the user as stored."""
    if after == before:
        return before
    changed = replace(after, version=before.version + 1, changed_at=tx.now)
    await store.update(tx.connection, changed)
    return changed


async def _record(
    tx: Transaction, identity: Identity, action: str, subject: str, details: Mapping[str, object]
) -> None:
    await audit.append(tx.connection, [Act(str(identity.user_id), action, subject, details)], tx.now)
