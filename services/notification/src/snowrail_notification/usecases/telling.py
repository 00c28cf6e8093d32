"""Telling users: rows of notifications and events of their feeds, in the same transaction."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from snowrail_events import Event, FeedEventV1
from snowrail_kit.delivery import Delivery
from snowrail_kit.ids import derived_id
from snowrail_kit.unit_of_work import Transaction
from snowrail_notification import store
from snowrail_notification.domain.catalogue import CATALOGUE, is_told
from snowrail_notification.domain.wording import Message

Told = tuple[Delivery[Any], Message]


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


async def tell(tx: Transaction, told: Sequence[Told]) -> None:
    """Store notifications that users want, once for ever, and put them on their feeds."""
    if not told:
        return
    wanted = await store.preferences(tx, [message.user_id for _, message in told])
    messages: dict[UUID, Message] = {}
    causes: dict[UUID, Delivery[Any]] = {}
    for delivery, message in told:
        preference = wanted.get((message.user_id, message.type.value))
        if is_told(CATALOGUE[message.type], preference):
            identifier = derived_id("notification", delivery.envelope.event_id, message.user_id, message.type)
            messages[identifier] = message
            causes[identifier] = delivery
    if not messages:
        return
    inserted = await store.insert(tx, messages)
    for identifier, message in messages.items():
        if identifier in inserted:
            feed(tx, causes[identifier], message.user_id, "notification", _view(tx, identifier, message))


def _view(tx: Transaction, identifier: UUID, message: Message) -> dict[str, Any]:
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
    }
