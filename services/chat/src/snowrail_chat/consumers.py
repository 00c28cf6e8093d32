"""Subscribers of chat: each hands its batch to a use case."""

from snowrail_chat.parts import Parts
from snowrail_chat.usecases import facts, lines, preparation, projections, told
from snowrail_chat.usecases.batch import Posted
from snowrail_chat.usecases.preparation import Prepared
from snowrail_events import (
    AlertUpdatedV1,
    ChatMessagePostedV1,
    DeviceDecidedV1,
    GasPriceUpdatedV1,
    IntentCancelledV1,
    IntentCreatedV1,
    IntentRejectedV1,
    IntentUpdatedV1,
    NotificationPreferencesUpdatedV1,
    NotificationRejectedV1,
    PaymentBlockedV1,
    PaymentCancelledV1,
    PaymentFailedV1,
    PaymentSucceededV1,
    PaymentUpdatedV1,
    PriceUpdatedV1,
    UserRegisteredV1,
    UserRejectedV1,
    UserUpdatedV1,
)
from snowrail_kit.consumer import Consumers
from snowrail_kit.delivery import Delivery
from snowrail_kit.unit_of_work import Transaction

consumers: Consumers[Parts] = Consumers()

for fact in (
    IntentCreatedV1,
    IntentUpdatedV1,
    IntentCancelledV1,
    PaymentUpdatedV1,
    PaymentSucceededV1,
    PaymentFailedV1,
    PaymentBlockedV1,
    PaymentCancelledV1,
):
    consumers.on(fact)(facts.record)
consumers.on(IntentRejectedV1)(facts.record_rejected)
consumers.on(AlertUpdatedV1)(told.record_alerts)
consumers.on(NotificationPreferencesUpdatedV1)(told.record_preferences)
consumers.on(NotificationRejectedV1)(told.record_rejected)
consumers.on(DeviceDecidedV1)(told.record_devices)
consumers.on(UserRejectedV1)(told.record_rejected)


async def prepare_lines(deliveries: list[Delivery[ChatMessagePostedV1]], parts: Parts) -> Prepared:
    """Read the lines, and ask others for what they need."""
    return await preparation.prepare([_posted(delivery) for delivery in deliveries], parts)


@consumers.on(ChatMessagePostedV1, prepare=prepare_lines)
async def answer_lines(
    deliveries: list[Delivery[ChatMessagePostedV1]], tx: Transaction, parts: Parts, prepared: Prepared
) -> None:
    """Users typed lines."""
    await lines.answer([_posted(delivery) for delivery in deliveries], prepared, tx, parts)


@consumers.on(UserRegisteredV1)
async def record_new_people(deliveries: list[Delivery[UserRegisteredV1]], tx: Transaction, _: Parts) -> None:
    """Wallets became users."""
    await projections.record_people(deliveries, tx)


@consumers.on(UserUpdatedV1)
async def record_people(deliveries: list[Delivery[UserUpdatedV1]], tx: Transaction, parts: Parts) -> None:
    """Users changed, some because they said so here."""
    await projections.record_people(deliveries, tx)
    await told.answer_updated(deliveries, tx, parts)


@consumers.on(PriceUpdatedV1)
async def record_prices(deliveries: list[Delivery[PriceUpdatedV1]], tx: Transaction, _: Parts) -> None:
    """Prices changed."""
    await projections.record_prices(deliveries, tx)


@consumers.on(GasPriceUpdatedV1)
async def record_gas_prices(deliveries: list[Delivery[GasPriceUpdatedV1]], tx: Transaction, _: Parts) -> None:
    """Gas prices changed."""
    await projections.record_gas_prices(deliveries, tx)


def _posted(delivery: Delivery[ChatMessagePostedV1]) -> Posted:
    event = delivery.event
    return Posted(
        message_id=event.message_id,
        user_id=event.user_id,
        handle=event.handle,
        address=event.address,
        roles=frozenset(event.roles),
        text=event.text,
        posted_at=event.posted_at,
        cause=delivery,
        device_id=event.device_id,
        origin=event.origin,
    )
