"""What users want to be told, where, and when they want their peace."""

from collections.abc import Collection, Mapping
from datetime import time
from typing import Any
from uuid import UUID

from snowrail_events import (
    NotificationPreferencesUpdatedV1,
    NotificationSetPreferenceV1,
    NotificationSetQuietHoursV1,
)
from snowrail_events.parts import NotificationChannel, NotificationPreference
from snowrail_kit.delivery import Delivery
from snowrail_kit.unit_of_work import Transaction
from snowrail_notification.domain.attention import QuietHours, is_told
from snowrail_notification.domain.catalogue import CATALOGUE, Channel, Priority, Type
from snowrail_notification.parts import Parts
from snowrail_notification.store import attention as store
from snowrail_notification.store.attention import Audience
from snowrail_notification.usecases.rejecting import Rejected, reject


async def set_preference(
    tx: Transaction, user_id: UUID, type_: str | None, channel: str | None, enabled: bool
) -> None:
    """Store whether a user wants a type (none: every one) on a channel (none: on every one).

    Raises:
        Rejected: there is no such type or channel, or a critical type alone was to be switched off.
    """
    types, channels = _chosen(Type, type_, "type"), _chosen(Channel, channel, "channel")
    changeable = [item for item in types if CATALOGUE[item].priority is not Priority.CRITICAL]
    if not changeable and not enabled:
        raise Rejected("always_told", "What is critical is always told.")
    pairs = [(item.value, where.value) for item in changeable for where in channels]
    if pairs:
        await store.set_preferences(tx, user_id, pairs, enabled)


def _chosen(names: Any, wanted: str | None, what: str) -> list[Any]:
    if wanted is None:
        return list(names)
    try:
        return [names(wanted)]
    except ValueError as error:
        known = ", ".join(names)
        raise Rejected(f"unknown_{what}", f"There is no {what} {wanted}; there are: {known}.") from error


def quiet_hours(starts_at: str | None, ends_at: str | None) -> QuietHours | None:
    """Return quiet hours from two times of day, `HH:MM`; None when neither is given.

    Raises:
        Rejected: only one is given, or both are the same.
    """
    if starts_at is None and ends_at is None:
        return None
    if starts_at is None or ends_at is None:
        raise Rejected("bad_quiet_hours", "Quiet hours need a beginning and an end.")
    if starts_at == ends_at:
        raise Rejected("bad_quiet_hours", "Quiet hours cannot end when they begin.")
    return QuietHours(time.fromisoformat(starts_at), time.fromisoformat(ends_at))


async def preferences_of(
    tx: Transaction, parts: Parts, user_ids: Collection[UUID]
) -> dict[UUID, NotificationPreferencesUpdatedV1]:
    """Return all that users want, and the state of each channel."""
    audiences = await store.audiences(tx, user_ids)
    labels = await store.contact_labels(tx, user_ids)
    return {
        user_id: _event(tx, parts, user_id, audience, labels.get(user_id, {}))
        for user_id, audience in audiences.items()
    }


def _event(
    tx: Transaction, parts: Parts, user_id: UUID, audience: Audience, labels: Mapping[str, str]
) -> NotificationPreferencesUpdatedV1:
    return NotificationPreferencesUpdatedV1(
        user_id=user_id,
        preferences=tuple(
            NotificationPreference(
                type=type_.value,
                channel=channel.value,
                enabled=is_told(kind, channel, audience.preference(type_, channel)),
            )
            for type_, kind in CATALOGUE.items()
            for channel in Channel
        ),
        channels=tuple(
            NotificationChannel(
                channel=channel.value,
                configured=channel is Channel.IN_APP or channel in parts.outside,
                connected=channel is Channel.IN_APP or channel.value in labels,
                label=labels.get(channel.value, ""),
            )
            for channel in Channel
        ),
        quiet_starts_at=audience.quiet.starts_at.strftime("%H:%M") if audience.quiet else None,
        quiet_ends_at=audience.quiet.ends_at.strftime("%H:%M") if audience.quiet else None,
        time_zone=audience.time_zone,
        changed_at=tx.now,
    )


async def tell_change(
    tx: Transaction,
    parts: Parts,
    user_id: UUID,
    cause: Delivery[Any] | None = None,
    request_id: UUID | None = None,
) -> NotificationPreferencesUpdatedV1:
    """Say that a user's preferences changed."""
    known = (await preferences_of(tx, parts, [user_id]))[user_id]
    event = known.model_copy(update={"request_id": request_id})
    tx.emit(event, cause)
    return event


async def follow_preferences(
    deliveries: list[Delivery[NotificationSetPreferenceV1]], tx: Transaction, parts: Parts
) -> None:
    """Users chose what to be told."""
    for delivery in deliveries:
        event = delivery.event
        try:
            await set_preference(tx, event.user_id, event.type, event.channel, event.enabled)
        except Rejected as rejected:
            reject(tx, delivery, "set_preference", rejected)
        else:
            await tell_change(tx, parts, event.user_id, delivery, event.request_id)


async def follow_quiet_hours(
    deliveries: list[Delivery[NotificationSetQuietHoursV1]], tx: Transaction, parts: Parts
) -> None:
    """Users chose when not to be disturbed."""
    for delivery in deliveries:
        event = delivery.event
        try:
            quiet = quiet_hours(event.starts_at, event.ends_at)
        except Rejected as rejected:
            reject(tx, delivery, "set_quiet_hours", rejected)
        else:
            await store.set_quiet_hours(tx, event.user_id, quiet)
            await tell_change(tx, parts, event.user_id, delivery, event.request_id)
