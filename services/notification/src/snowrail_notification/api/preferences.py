"""What a user is told, where, and when not."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends
from pydantic import BaseModel, ConfigDict, Field

from snowrail_events import NotificationPreferencesUpdatedV1
from snowrail_kit.auth import CurrentIdentity
from snowrail_kit.problems import Problem
from snowrail_kit.service import parts_of
from snowrail_notification.domain.attention import is_told
from snowrail_notification.domain.catalogue import CATALOGUE, Channel, Type
from snowrail_notification.parts import Parts
from snowrail_notification.store import attention as store
from snowrail_notification.usecases import preferences
from snowrail_notification.usecases.rejecting import Rejected

router = APIRouter()
PartsOfService = Annotated[Parts, Depends(parts_of)]
TimeOfDay = Annotated[str, Field(pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]$")]


class Preference(BaseModel):
    """Whether a type is told on a channel. Critical types always are."""

    model_config = ConfigDict(extra="forbid")

    type: Type
    channel: Channel = Channel.IN_APP
    enabled: bool


class QuietHoursRequest(BaseModel):
    """When not to disturb, by the user's own clock; both absent: never."""

    model_config = ConfigDict(extra="forbid")

    starts_at: TimeOfDay | None = None
    ends_at: TimeOfDay | None = None


class QuietHoursAnswer(BaseModel):
    """When the user is not disturbed, and in which time zone."""

    starts_at: str | None
    ends_at: str | None
    time_zone: str


@router.get("/preferences")
async def list_preferences(parts: PartsOfService, identity: CurrentIdentity) -> list[Preference]:
    """What the caller is told, per type and channel."""
    async with parts.transaction() as tx:
        audience = (await store.audiences(tx, [identity.user_id]))[identity.user_id]
    return [
        Preference(
            type=type_, channel=channel, enabled=is_told(kind, channel, audience.preference(type_, channel))
        )
        for type_, kind in CATALOGUE.items()
        for channel in Channel
    ]


@router.put("/preferences")
async def set_preference(body: Preference, parts: PartsOfService, identity: CurrentIdentity) -> Preference:
    """Choose whether the caller is told a type on a channel."""
    async with parts.transaction() as tx:
        await store.set_preferences(
            tx, identity.user_id, [(body.type.value, body.channel.value)], body.enabled
        )
        await preferences.tell_change(tx, parts, identity.user_id)
    told = is_told(CATALOGUE[body.type], body.channel, body.enabled)
    return Preference(type=body.type, channel=body.channel, enabled=told)


@router.get("/quiet-hours")
async def read_quiet_hours(parts: PartsOfService, identity: CurrentIdentity) -> QuietHoursAnswer:
    """When the caller is not disturbed."""
    async with parts.transaction() as tx:
        known = await preferences.preferences_of(tx, parts, [identity.user_id])
    return _quiet(known[identity.user_id])


@router.put("/quiet-hours")
async def set_quiet_hours(
    body: QuietHoursRequest, parts: PartsOfService, identity: CurrentIdentity
) -> QuietHoursAnswer:
    """Choose when not to be disturbed. What is critical disturbs nevertheless."""
    try:
        quiet = preferences.quiet_hours(body.starts_at, body.ends_at)
    except Rejected as rejected:
        raise Problem(422, rejected.code, rejected.detail) from rejected
    async with parts.transaction() as tx:
        await store.set_quiet_hours(tx, identity.user_id, quiet)
        return _quiet(await preferences.tell_change(tx, parts, identity.user_id))


@router.get("/internal/users/{user_id}/preferences")
async def read_preferences_of_user(user_id: UUID, parts: PartsOfService) -> NotificationPreferencesUpdatedV1:
    """All that a user wants, and the state of each channel. For other services only."""
    async with parts.transaction() as tx:
        return (await preferences.preferences_of(tx, parts, [user_id]))[user_id]


def _quiet(event: NotificationPreferencesUpdatedV1) -> QuietHoursAnswer:
    return QuietHoursAnswer(
        starts_at=event.quiet_starts_at, ends_at=event.quiet_ends_at, time_zone=event.time_zone
    )
