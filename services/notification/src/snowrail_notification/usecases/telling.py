"""Telling users: rows of notifications and events of their feeds, in the same transaction."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from snowrail_events import Event, FeedEventV1
from snowrail_kit.delivery import Delivery
from snowrail_kit.ids import derived_id
from snowrail_kit.unit_of_work import Transaction
from snowrail_notification.domain.attention import due_at, is_told
from snowrail_notification.domain.catalogue import CATALOGUE, Channel, Type
from snowrail_notification.domain.wording import Message
from snowrail_notification.parts import Parts
from snowrail_notification.store import attention as attention_store
from snowrail_notification.store import deliveries as deliveries_store
from snowrail_notification.store import notifications as store
from snowrail_notification.store.attention import Audience
from snowrail_notification.store.deliveries import NewDelivery

Told = tuple[Delivery[Any], Message]


@dataclass(frozen=True, slots=True)
class Telling:
    """A notification with the id that makes it one and the same, and what led to it."""

    identifier: UUID
    message: Message
    cause: Delivery[Any] | None = None


def feed(
    tx: Transaction, cause: Delivery[Any] | None, user_id: UUID, name: str, data: dict[str, Any]
) -> None:
    """Put an event on a user's feed; what a message caused has the same id however often it is made."""
    event_id = derived_id("feed", cause.envelope.event_id, user_id, name) if cause else tx.ids.new()
    tx.emit(
        FeedEventV1(
            user_id=user_id,
            event_id=event_id,
            name=name,
            data=data,
            occurred_at=tx.now,
        ),
        cause=cause,
    )


def wire(event: Event) -> dict[str, Any]:
    """Return an event's fields as they travel, without what is absent."""
    return event.model_dump(mode="json", exclude_none=True, exclude={"user_id"})


async def tell(tx: Transaction, told: Sequence[Told], parts: Parts) -> None:
    """Store what messages led to and users want to know, once for ever, and send it where they want it."""
    await tell_all(
        tx,
        [
            Telling(
                derived_id("notification", delivery.envelope.event_id, message.user_id, message.type),
                message,
                delivery,
            )
            for delivery, message in told
        ],
        parts,
    )


async def tell_all(tx: Transaction, tellings: Sequence[Telling], parts: Parts) -> None:
    """Store notifications that users want somewhere, put them on their feeds, and have them delivered."""
    if not tellings:
        return
    people = await attention_store.audiences(tx, [telling.message.user_id for telling in tellings])
    wanted: dict[UUID, Telling] = {}
    in_app: set[UUID] = set()
    for telling in tellings:
        audience = people[telling.message.user_id]
        channels = {channel for channel in Channel if _is_wanted(telling.message.type, channel, audience)}
        if Channel.IN_APP in channels:
            in_app.add(telling.identifier)
        elif not any(contact.channel in channels & parts.outside.keys() for contact in audience.contacts):
            continue
        wanted[telling.identifier] = telling
    if not wanted:
        return
    messages = {identifier: telling.message for identifier, telling in wanted.items()}
    inserted = await store.insert(tx, messages, in_app)
    new_deliveries: list[NewDelivery] = []
    for identifier, telling in wanted.items():
        if identifier not in inserted:
            continue
        audience = people[telling.message.user_id]
        view = _view(tx, identifier, telling.message, audience)
        if identifier in in_app:
            feed(tx, telling.cause, telling.message.user_id, "notification", view)
        new_deliveries.extend(_deliveries(tx, identifier, telling.message, audience, view, parts))
    await deliveries_store.insert(tx, new_deliveries)


def _is_wanted(type_: Type, channel: Channel, audience: Audience) -> bool:
    return is_told(CATALOGUE[type_], channel, audience.preference(type_, channel))


def _deliveries(
    tx: Transaction,
    identifier: UUID,
    message: Message,
    audience: Audience,
    view: dict[str, Any],
    parts: Parts,
) -> list[NewDelivery]:
    kind = CATALOGUE[message.type]
    return [
        NewDelivery(
            derived_id("delivery", identifier, contact.contact_id),
            contact.contact_id,
            contact.channel.value,
            identifier,
            view,
            kind.priority.value,
            due_at(kind, tx.now, audience.time_zone, audience.quiet),
        )
        for contact in audience.contacts
        if contact.channel in parts.outside and _is_wanted(message.type, contact.channel, audience)
    ]


def _view(tx: Transaction, identifier: UUID, message: Message, audience: Audience) -> dict[str, Any]:
    kind = CATALOGUE[message.type]
    return {
        "id": str(identifier),
        "type": message.type.value,
        "title": message.title,
        "message": message.message,
        "icon": kind.icon,
        "priority": kind.priority.value,
        "time": tx.now.isoformat(),
        "data": message.data,
        "actions": [
            {"label": action.label, "command": action.command, "style": action.style}
            for action in message.actions
        ],
        "read": False,
        "dismissible": kind.dismissible,
        "quiet": due_at(kind, tx.now, audience.time_zone, audience.quiet) > tx.now,
    }
