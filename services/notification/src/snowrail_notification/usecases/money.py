"""Intents and payments: progress on the feed, and notifications when it matters."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from snowrail_events import (
    IntentCreatedV1,
    IntentLowBalanceV1,
    IntentUpdatedV1,
    PaymentBlockedV1,
    PaymentCancelledV1,
    PaymentFailedV1,
    PaymentSucceededV1,
    PaymentUpdatedV1,
)
from snowrail_kit.delivery import Delivery
from snowrail_kit.unit_of_work import Transaction
from snowrail_notification.domain import wording
from snowrail_notification.domain.catalogue import Type
from snowrail_notification.domain.intents import UNSEEN, IntentState, News, news
from snowrail_notification.domain.wording import Message
from snowrail_notification.parts import Parts
from snowrail_notification.store import notifications as store
from snowrail_notification.store import summaries
from snowrail_notification.store.notifications import KnownUser
from snowrail_notification.store.summaries import Movement
from snowrail_notification.usecases.telling import Told, feed, tell, wire

_STEP_NAMES = {"submitted": "tx:pending", "included": "tx:confirmed"}
_STEP_TYPES = {"submitted": Type.TRANSACTION_PENDING, "included": Type.TRANSACTION_CONFIRMED}


async def show_created(deliveries: list[Delivery[IntentCreatedV1]], tx: Transaction, _: Parts) -> None:
    """Put new intents on their users' feeds."""
    for delivery in deliveries:
        feed(tx, delivery, delivery.event.user_id, "intent:created", wire(delivery.event))
    await _follow(deliveries, tx)


async def show_updated(deliveries: list[Delivery[IntentUpdatedV1]], tx: Transaction, parts: Parts) -> None:
    """Put changes of intents on the feeds; tell of funding, delays, missing money and deposits."""
    for delivery in deliveries:
        feed(tx, delivery, delivery.event.user_id, "intent:updated", wire(delivery.event))
    told: list[Told] = []
    for delivery, before in await _follow(deliveries, tx):
        event: IntentUpdatedV1 = delivery.event
        returns_deposit = event.next_step is not None and wording.is_native(event.token)
        told.extend(
            (delivery, wording.intent_message(parts.registry, event, item))
            for item in news(before, _state(event), returns_deposit, bool(event.refunded))
            if not (item is News.FUNDS_MISSING and _warned_in_time(event))
            and not (item is News.READY and _goes_at_once(before, event))
        )
    await tell(tx, told, parts)


def _goes_at_once(before: IntentState, event: IntentUpdatedV1) -> bool:
    """Whether the payer has just signed what is paid now: the payment itself is the news."""
    waited = before.status not in ("draft", "awaiting_authorisation")
    return event.status == "due" and not waited and not wording.is_native(event.token)


def _warned_in_time(event: IntentUpdatedV1) -> bool:
    """Whether the money is missing ahead of time: `intent.low_balance` says so when the day comes near."""
    return event.next_run_at is not None and event.changed_at < event.next_run_at


async def warn_of_low_balance(
    deliveries: list[Delivery[IntentLowBalanceV1]], tx: Transaction, parts: Parts
) -> None:
    """Tell payers of payments that fall due soon and are not covered."""
    messages = [(item, wording.low_balance_message(parts.registry, item.event)) for item in deliveries]
    await tell(tx, messages, parts)


def _state(event: IntentCreatedV1 | IntentUpdatedV1) -> IntentState:
    return IntentState(event.version, event.status, event.reason)


async def _follow(
    deliveries: Sequence[Delivery[Any]], tx: Transaction
) -> list[tuple[Delivery[Any], IntentState]]:
    """Return deliveries by version, each with the state its intent had before, and remember the newest."""
    known = await store.intent_states(tx, {delivery.event.intent_id for delivery in deliveries})
    followed: list[tuple[Delivery[Any], IntentState]] = []
    for delivery in sorted(deliveries, key=lambda delivery: delivery.event.version):
        before = known.get(delivery.event.intent_id, UNSEEN)
        followed.append((delivery, before))
        if before.version < delivery.event.version:
            known[delivery.event.intent_id] = _state(delivery.event)
    await store.save_intent_states(tx, known)
    return followed


async def show_payment_progress(
    deliveries: list[Delivery[PaymentUpdatedV1]], tx: Transaction, parts: Parts
) -> None:
    """Put pending and confirmed transactions on the feeds."""
    told: list[Told] = []
    for delivery in deliveries:
        event = delivery.event
        name = _STEP_NAMES.get(event.step)
        if name is None:
            continue
        feed(tx, delivery, event.user_id, name, wire(event))
        amount = wording.amount_text(parts.registry, event.token, event.amount)
        state = "on its way" if event.step == "submitted" else "in a block"
        told.append(
            (
                delivery,
                Message(
                    event.user_id,
                    _STEP_TYPES[event.step],
                    f"Transaction {state}",
                    f"Your payment of {amount} is {state}.",
                    {"intent_id": str(event.intent_id), "tx_hash": event.tx_hash},
                    (wording.status_command(event.intent_id),),
                ),
            )
        )
    await tell(tx, told, parts)


async def show_succeeded(
    deliveries: list[Delivery[PaymentSucceededV1]], tx: Transaction, parts: Parts
) -> None:
    """Tell the payer that it was sent and the recipient that it arrived."""
    addresses = [address for item in deliveries for address in (item.event.payer, item.event.recipient)]
    people = await store.users_by_address(tx, addresses)
    await summaries.record(tx, _movements(deliveries, people))
    told: list[Told] = []
    for delivery in deliveries:
        event = delivery.event
        feed(tx, delivery, event.user_id, "intent:executed", wire(event))
        amount = wording.amount_text(parts.registry, event.token, event.amount)
        recipient, payer = people.get(event.recipient), people.get(event.payer)
        to = wording.party(event.recipient, recipient.handle if recipient else None)
        data = {
            "payment_id": str(event.payment_id),
            "intent_id": str(event.intent_id),
            "payer": event.payer,
            "recipient": event.recipient,
            "token": event.token,
            "amount": str(event.amount),
            "tx_hash": event.tx_hash,
        }
        feed(tx, delivery, event.user_id, "payment_processed", {**data, "direction": "sent"})
        show = (wording.status_command(event.intent_id),)
        sent = f"{amount} reached {to}."
        told.append((delivery, Message(event.user_id, Type.PAYMENT_SENT, "Payment sent", sent, data, show)))
        told.append(
            (delivery, Message(event.user_id, Type.INTENT_EXECUTED, "Payment final", sent, data, show))
        )
        if recipient is not None:
            feed(tx, delivery, recipient.user_id, "payment_processed", {**data, "direction": "received"})
            by = wording.party(event.payer, payer.handle if payer else None)
            text = f"{amount} arrived from {by}."
            told.append(
                (delivery, Message(recipient.user_id, Type.PAYMENT_RECEIVED, "Payment received", text, data))
            )
    await tell(tx, told, parts)


def _movements(
    deliveries: Sequence[Delivery[PaymentSucceededV1]], people: Mapping[str, KnownUser]
) -> list[Movement]:
    movements: list[Movement] = []
    for event in (delivery.event for delivery in deliveries):
        moved = (event.token, event.amount, event.succeeded_at)
        movements.append(Movement(event.payment_id, event.user_id, True, *moved))
        recipient = people.get(event.recipient)
        if recipient is not None:
            movements.append(Movement(event.payment_id, recipient.user_id, False, *moved))
    return movements


async def _tell_of_end(
    deliveries: Sequence[Delivery[Any]],
    tx: Transaction,
    parts: Parts,
    name: str,
    title: str,
    reason: Callable[[Any], str],
) -> None:
    told: list[Told] = []
    for delivery in deliveries:
        event = delivery.event
        feed(tx, delivery, event.user_id, name, wire(event))
        amount = wording.amount_text(parts.registry, event.token, event.amount)
        text = f"Your payment of {amount} did not go through: {reason(event)}. Nothing was moved."
        data = {"payment_id": str(event.payment_id), "intent_id": str(event.intent_id)}
        show = (wording.status_command(event.intent_id),)
        told.append((delivery, Message(event.user_id, Type.TRANSACTION_FAILED, title, text, data, show)))
    await tell(tx, told, parts)


async def show_failed(deliveries: list[Delivery[PaymentFailedV1]], tx: Transaction, parts: Parts) -> None:
    """Tell the payer that nothing was moved, and why."""

    def reason(event: PaymentFailedV1) -> str:
        return wording.failure_text(event.code)

    await _tell_of_end(deliveries, tx, parts, "tx:failed", "Payment failed", reason)


async def show_blocked(deliveries: list[Delivery[PaymentBlockedV1]], tx: Transaction, parts: Parts) -> None:
    """Tell the payer that the payment was stopped before anything moved."""

    def reason(event: PaymentBlockedV1) -> str:
        return ", ".join(item.replace("_", " ") for item in event.reasons) or "it looks unsafe"

    await _tell_of_end(deliveries, tx, parts, "fraud_detected", "Payment blocked", reason)


async def show_cancelled(deliveries: list[Delivery[PaymentCancelledV1]], tx: Transaction, _: Parts) -> None:
    """Put the end of a cancelled payment on the payer's feed."""
    for delivery in deliveries:
        feed(tx, delivery, delivery.event.user_id, "tx:failed", {**wire(delivery.event), "code": "cancelled"})
