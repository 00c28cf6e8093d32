"""Users, their devices, and what they have read."""

from datetime import timedelta
from typing import Any
from uuid import UUID

from snowrail_events import (
    DeviceDecidedV1,
    DeviceSignedInV1,
    NotificationMarkReadV1,
    PriceAnomalyDetectedV1,
    UserRegisteredV1,
    UserUpdatedV1,
)
from snowrail_kit.delivery import Delivery
from snowrail_kit.unit_of_work import Transaction
from snowrail_notification.domain.catalogue import Type
from snowrail_notification.domain.wording import Action, Message
from snowrail_notification.parts import Parts
from snowrail_notification.store import alerts as alerts_store
from snowrail_notification.store import contacts as contacts_store
from snowrail_notification.store import deliveries as deliveries_store
from snowrail_notification.store import notifications as store
from snowrail_notification.store import summaries as summaries_store
from snowrail_notification.usecases.preferences import preferences_of
from snowrail_notification.usecases.telling import Told, feed, tell

_UNCONFIRMED_KEPT = timedelta(days=7)
_MOVEMENTS_KEPT = timedelta(days=30)


async def learn_registered(
    deliveries: list[Delivery[UserRegisteredV1]], tx: Transaction, parts: Parts
) -> None:
    """Remember new users, and say what they are told until they choose."""
    await store.save_users(tx, [delivery.event for delivery in deliveries])
    known = await preferences_of(tx, parts, [delivery.event.user_id for delivery in deliveries])
    for delivery in deliveries:
        tx.emit(known[delivery.event.user_id], delivery)


async def learn_updated(deliveries: list[Delivery[UserUpdatedV1]], tx: Transaction, _: Parts) -> None:
    """Remember what changed of users."""
    await store.save_users(tx, [delivery.event for delivery in deliveries])


async def tell_of_devices(
    deliveries: list[Delivery[DeviceSignedInV1]], tx: Transaction, parts: Parts
) -> None:
    """Warn of sign-ins from devices that were never seen before."""
    told: list[Told] = [
        (
            delivery,
            Message(
                event.user_id,
                Type.SECURITY_ALERT,
                "New device signed in",
                f"{event.label} signed in to your account. Was this you?",
                {
                    "device_id": str(event.device_id),
                    "label": event.label,
                    "address": event.address,
                    "at": event.signed_in_at.isoformat(),
                },
                (
                    Action("It was me", f"/device approve {event.device_id}", "primary"),
                    Action("It was not me", f"/device deny {event.device_id}", "danger"),
                ),
            ),
        )
        for delivery in deliveries
        if (event := delivery.event).is_new
    ]
    await tell(tx, told, parts)


async def tell_of_decisions(
    deliveries: list[Delivery[DeviceDecidedV1]], tx: Transaction, parts: Parts
) -> None:
    """Tell what became of a new device: whoever decided was perhaps not the one who is reading."""
    told: list[Told] = [
        (
            delivery,
            Message(
                event.user_id,
                Type.SECURITY_ALERT,
                f"Device {event.decision}",
                f"{event.label or 'A device'} was approved."
                if event.decision == "approved"
                else f"{event.label or 'A device'} was signed out and may not come back by itself.",
                {"device_id": str(event.device_id), "sessions_ended": event.sessions_ended},
            ),
        )
        for delivery in deliveries
        if (event := delivery.event).decision != "refused"
    ]
    await tell(tx, told, parts)


async def tell_of_anomalies(
    deliveries: list[Delivery[PriceAnomalyDetectedV1]], tx: Transaction, parts: Parts
) -> None:
    """Tell administrators of prices that were not believed."""
    people = await store.administrators(tx)
    told: list[Told] = [
        (
            delivery,
            Message(
                user_id,
                Type.PRICE_ALERT,
                f"Price of {event.symbol} not believed",
                f"The provider said {event.price} {event.currency} ({event.code.replace('_', ' ')});"
                f" {event.last_price or 'no price'} stands.",
                {"symbol": event.symbol, "price": event.price, "code": event.code},
            ),
        )
        for delivery in deliveries
        for event in (delivery.event,)
        for user_id in people
    ]
    await tell(tx, told, parts)


async def mark_read(deliveries: list[Delivery[NotificationMarkReadV1]], tx: Transaction, _: Parts) -> None:
    """Mark notifications as read, and have every device of the user know."""
    named = [
        (delivery.event.user_id, identifier)
        for delivery in deliveries
        for identifier in delivery.event.notification_ids
    ]
    everything = [delivery.event.user_id for delivery in deliveries if not delivery.event.notification_ids]
    changed = await store.mark_read(tx, named, everything)
    unread = await store.unread_counts(tx, changed)
    causes = {delivery.event.user_id: delivery for delivery in deliveries}
    for user_id, identifiers in changed.items():
        _show_read(tx, causes[user_id], user_id, identifiers, unread.get(user_id, 0))


async def mark_read_by(tx: Transaction, user_id: UUID, identifiers: list[UUID]) -> int:
    """Mark a user's notifications (none named: all) as read; returns how many are left unread."""
    named = [(user_id, identifier) for identifier in identifiers]
    changed = await store.mark_read(tx, named, [] if identifiers else [user_id])
    unread = (await store.unread_counts(tx, [user_id])).get(user_id, 0)
    if changed:
        _show_read(tx, None, user_id, changed[user_id], unread)
    return unread


def _show_read(
    tx: Transaction, cause: Delivery[Any] | None, user_id: UUID, identifiers: list[UUID], unread: int
) -> None:
    data = {"ids": [str(item) for item in identifiers], "unread": unread}
    feed(tx, cause, user_id, "notification:read", data)


async def prune(parts: Parts) -> bool:
    """Delete what is older than the retention. Returns whether there may be more."""
    limit = parts.settings.prune_rows
    async with parts.transaction() as tx:
        before = tx.now - timedelta(days=parts.settings.retention_days)
        deleted = [
            await store.prune(tx, before, limit),
            await deliveries_store.prune(tx, before, limit),
            await contacts_store.prune(tx, tx.now - _UNCONFIRMED_KEPT, limit),
            await alerts_store.prune(tx, before, limit),
            await summaries_store.prune(tx, tx.now - _MOVEMENTS_KEPT, limit),
        ]
    return max(deleted) >= limit
