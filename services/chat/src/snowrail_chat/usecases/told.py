"""What notification and accounts answer: alerts, preferences, devices."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar
from uuid import UUID

from snowrail_chat.cards.answers import refusal_card, with_remark
from snowrail_chat.cards.settings import settings_card
from snowrail_chat.cards.told import alert_card, device_card, preferences_card
from snowrail_chat.domain.cards import Card
from snowrail_chat.domain.quotes import Quotes
from snowrail_chat.domain.views import Alert
from snowrail_chat.parts import Parts
from snowrail_chat.store import messages, settings, told
from snowrail_chat.store.messages import Answered, Reply
from snowrail_chat.usecases import replies
from snowrail_events import (
    AlertUpdatedV1,
    DeviceDecidedV1,
    NotificationPreferencesUpdatedV1,
    NotificationRejectedV1,
    UserRejectedV1,
    UserUpdatedV1,
)
from snowrail_kit.delivery import Delivery
from snowrail_kit.ids import derived_id
from snowrail_kit.unit_of_work import Transaction

E = TypeVar(
    "E",
    bound=AlertUpdatedV1
    | NotificationPreferencesUpdatedV1
    | NotificationRejectedV1
    | DeviceDecidedV1
    | UserUpdatedV1
    | UserRejectedV1,
)
R = TypeVar("R", bound=NotificationRejectedV1 | UserRejectedV1)

_REFUSED = {
    "alert_create": "The alert was not set.",
    "alert_delete": "The alert was not forgotten.",
    "set_preference": "Nothing was changed.",
    "set_quiet_hours": "Your quiet hours were not changed.",
    "set_time_zone": "Your time zone was not set.",
}


async def record_alerts(deliveries: list[Delivery[AlertUpdatedV1]], tx: Transaction, parts: Parts) -> None:
    """Remember alerts, and answer the lines that asked for them."""
    newest: dict[UUID, AlertUpdatedV1] = {}
    for delivery in deliveries:
        held = newest.get(delivery.event.alert_id)
        if held is None or held.version < delivery.event.version:
            newest[delivery.event.alert_id] = delivery.event
    await told.save_alerts(tx, list(newest.values()))

    def card(card_id: UUID, event: AlertUpdatedV1, quotes: Quotes) -> Card:
        fields = Alert.__dataclass_fields__
        return alert_card(card_id, Alert(**{name: getattr(event, name) for name in fields}), quotes)

    await _answer(deliveries, tx, parts, card)


async def record_preferences(
    deliveries: list[Delivery[NotificationPreferencesUpdatedV1]], tx: Transaction, parts: Parts
) -> None:
    """Remember preferences, and answer the lines that changed them."""
    newest: dict[UUID, NotificationPreferencesUpdatedV1] = {}
    for delivery in sorted(deliveries, key=lambda delivery: delivery.event.changed_at):
        newest[delivery.event.user_id] = delivery.event
    await told.save_preferences(tx, list(newest.values()))

    def card(card_id: UUID, event: NotificationPreferencesUpdatedV1, quotes: Quotes) -> Card:
        return preferences_card(card_id, event.model_dump(mode="json"), quotes.zone.key)

    await _answer(deliveries, tx, parts, card)


async def answer_updated(deliveries: list[Delivery[UserUpdatedV1]], tx: Transaction, parts: Parts) -> None:
    """Answer the lines that changed the accounts of their users, once what they changed is known here."""
    asked = [delivery for delivery in deliveries if delivery.event.request_id is not None]
    if not asked:
        return
    held = await settings.load(tx, {delivery.event.user_id for delivery in asked})

    def card(card_id: UUID, event: UserUpdatedV1, _: Quotes) -> Card:
        usual = parts.settings.display_currency
        return settings_card(card_id, "Time zone set", held[event.user_id], usual, tx.now)

    await _answer(asked, tx, parts, card)


async def record_rejected(deliveries: list[Delivery[R]], tx: Transaction, parts: Parts) -> None:
    """Tell users why a request was refused."""

    def card(card_id: UUID, event: R, _: Quotes) -> Card:
        title = _REFUSED.get(event.command, "Nothing was changed.")
        return refusal_card(card_id, title, event.code, event.detail)

    await _answer(deliveries, tx, parts, card)


async def record_devices(deliveries: list[Delivery[DeviceDecidedV1]], tx: Transaction, parts: Parts) -> None:
    """Tell users what became of a device."""

    def card(card_id: UUID, event: DeviceDecidedV1, _: Quotes) -> Card:
        return device_card(card_id, event)

    await _answer(deliveries, tx, parts, card)


async def _answer(
    deliveries: Iterable[Delivery[E]],
    tx: Transaction,
    parts: Parts,
    card_of: Callable[[UUID, E, Quotes], Card],
) -> None:
    causes: Mapping[UUID, Delivery[Any]] = {
        delivery.event.request_id: delivery
        for delivery in deliveries
        if delivery.event.request_id is not None
    }
    if not causes:
        return
    answered = await messages.answer_requests(tx, Answered(requests=list(causes)))
    if not answered:
        return
    book = await replies.load_quotes(tx, parts, {request.user_id for request, _ in answered})
    sent: list[Reply] = []
    for request, _ in answered:
        event = causes[request.message_id].event
        card = card_of(derived_id("card", request.message_id), event, book.of(request.user_id))
        card = with_remark(card, request.remark) if request.remark else card
        sent.append(Reply(request.message_id, request.user_id, card))
    await replies.send(tx, sent, causes)
