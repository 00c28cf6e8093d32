"""What other services say about users and payments."""

from snowrail_events import (
    DeviceSignedInV1,
    PaymentCancelledV1,
    PaymentSucceededV1,
    UserRegisteredV1,
    UserUpdatedV1,
)
from snowrail_fraud.domain.review import ReviewEvent, ReviewState, transition
from snowrail_fraud.parts import Parts
from snowrail_fraud.store import knowledge, reviews
from snowrail_fraud.store.knowledge import Success, UserState
from snowrail_kit.delivery import Delivery
from snowrail_kit.unit_of_work import Transaction


async def learn_users(deliveries: list[Delivery[UserRegisteredV1]], tx: Transaction, _: Parts) -> None:
    """Know users, and since when they are users."""
    states = [
        UserState(
            delivery.event.user_id,
            delivery.event.roles,
            delivery.envelope.version,
            delivery.event.changed_at,
        )
        for delivery in deliveries
    ]
    await knowledge.project_users(tx.connection, states)


async def learn_user_changes(deliveries: list[Delivery[UserUpdatedV1]], tx: Transaction, _: Parts) -> None:
    """Know users' roles; an older state that arrives late changes nothing."""
    states = [
        UserState(delivery.event.user_id, delivery.event.roles, delivery.envelope.version, None)
        for delivery in deliveries
    ]
    await knowledge.project_users(tx.connection, states)


async def learn_devices(deliveries: list[Delivery[DeviceSignedInV1]], tx: Transaction, _: Parts) -> None:
    """Know when users signed in on new devices."""
    seen = [
        (delivery.event.user_id, delivery.event.signed_in_at)
        for delivery in deliveries
        if delivery.event.is_new
    ]
    await knowledge.note_new_devices(tx.connection, seen)


async def learn_payments(deliveries: list[Delivery[PaymentSucceededV1]], tx: Transaction, _: Parts) -> None:
    """Add final payments to their payers' histories."""
    successes = [
        Success(
            payment_id=delivery.event.payment_id,
            payer=delivery.event.payer,
            recipient=delivery.event.recipient,
            token=delivery.event.token,
            amount=delivery.event.amount,
            succeeded_at=delivery.event.succeeded_at,
        )
        for delivery in deliveries
    ]
    await knowledge.learn(tx.connection, successes)


async def withdraw_reviews(deliveries: list[Delivery[PaymentCancelledV1]], tx: Transaction, _: Parts) -> None:
    """Take payments that were cancelled out of the review queue."""
    locked = await reviews.lock(tx.connection, [delivery.event.payment_id for delivery in deliveries])
    waiting = [
        review.payment_id
        for review in locked
        if transition(review.state, ReviewEvent.WITHDRAW) is ReviewState.WITHDRAWN
    ]
    if waiting:
        await reviews.close(
            tx.connection, waiting, ReviewState.WITHDRAWN, None, "The payment was cancelled.", tx.now
        )
