"""The caller's profile, limits, devices and sessions; looking up others."""

from uuid import UUID

from fastapi import APIRouter

from snowrail_accounts.api.models import (
    DeviceAnswer,
    LevelLimitsAnswer,
    LimitsAnswer,
    ProfileChange,
    PublicUserAnswer,
    SessionAnswer,
    UserAnswer,
    UserLimitsAnswer,
)
from snowrail_accounts.api.sign_in import PartsOf
from snowrail_accounts.parts import Parts
from snowrail_accounts.store import people as store
from snowrail_accounts.store import sessions as session_store
from snowrail_accounts.usecases import devices, people, sessions
from snowrail_kit.auth import CurrentIdentity
from snowrail_kit.problems import not_found

router = APIRouter(tags=["people"])


@router.get("/user/profile")
async def read_profile(parts: PartsOf, identity: CurrentIdentity) -> UserAnswer:
    """Return the caller."""
    account = await store.find(parts.database, identity.user_id)
    if account is None:
        raise not_found("user")
    return UserAnswer.of(account)


@router.patch("/user/profile")
async def change_profile(body: ProfileChange, parts: PartsOf, identity: CurrentIdentity) -> UserAnswer:
    """Change the caller's handle or time zone. A handle never passes to somebody else."""
    return UserAnswer.of(await people.change_profile(parts, identity, body.handle, body.time_zone))


@router.get("/user/limits")
async def read_limits(parts: PartsOf, identity: CurrentIdentity) -> UserLimitsAnswer:
    """Return the limits that hold for the caller."""
    return await _limits_of_user(parts, identity.user_id)


@router.get("/internal/users/{user_id}/limits")
async def read_limits_of_user(user_id: UUID, parts: PartsOf) -> UserLimitsAnswer:
    """Return the limits that hold for a user. For other services only."""
    return await _limits_of_user(parts, user_id)


@router.get("/limits")
async def read_all_limits(parts: PartsOf, _: CurrentIdentity) -> list[LevelLimitsAnswer]:
    """Return the limits of every KYC level."""
    levels = await store.all_level_limits(parts.database)
    return [
        LevelLimitsAnswer(**LimitsAnswer.of(limits).model_dump(), kyc_level=level)
        for level, limits in levels.items()
    ]


@router.get("/user/devices")
async def read_devices(parts: PartsOf, identity: CurrentIdentity) -> list[DeviceAnswer]:
    """Return the caller's devices, last seen first."""
    return [
        DeviceAnswer.of(device, is_current=device.device_id == identity.device_id)
        for device in await session_store.devices(parts.database, identity.user_id)
    ]


@router.post("/user/devices/{device_id}/approve", status_code=204)
async def approve_device(device_id: UUID, parts: PartsOf, identity: CurrentIdentity) -> None:
    """Say, from another device, that a new one is the caller's own."""
    await devices.approve_device(parts, identity, device_id)


@router.delete("/user/devices/{device_id}", status_code=204)
async def remove_device(device_id: UUID, parts: PartsOf, identity: CurrentIdentity) -> None:
    """Remove a device and end its sessions: what to do when a new one is not the caller's own."""
    await devices.remove_device(parts, identity, device_id)


@router.get("/user/sessions")
async def read_sessions(parts: PartsOf, identity: CurrentIdentity) -> list[SessionAnswer]:
    """Return the caller's live sessions, last used first."""
    return [
        SessionAnswer.of(session, is_current=session.session_id == identity.session_id)
        for session in await session_store.sessions(parts.database, identity.user_id, parts.clock.now())
    ]


@router.delete("/user/sessions/{session_id}", status_code=204)
async def end_session(session_id: UUID, parts: PartsOf, identity: CurrentIdentity) -> None:
    """End one of the caller's sessions: at once, also where it is connected."""
    await sessions.end_session(parts, identity, session_id)


@router.get("/users/{handle}")
async def look_up(handle: str, parts: PartsOf) -> PublicUserAnswer:
    """Return the address that goes by a handle now."""
    account = await store.find_by_handle(parts.database, handle.removeprefix("@").lower())
    if account is None:
        raise not_found("user")
    return PublicUserAnswer(handle=account.handle, address=account.address)


async def _limits_of_user(parts: Parts, user_id: UUID) -> UserLimitsAnswer:
    found = await store.effective_limits(parts.database, user_id)
    if found is None:
        raise not_found("user")
    kyc_level, limits, is_own = found
    return UserLimitsAnswer(**LimitsAnswer.of(limits).model_dump(), kyc_level=kyc_level, is_own=is_own)
