"""Intents and payments: progress on the feed, and notifications when it matters."""

from collections.abc import Callable, Sequence
from typing import Any

from snowrail_events import (
    IntentCreatedV1,
    IntentUpdatedV1,
    PaymentBlockedV1,
    PaymentCancelledV1,
    PaymentFailedV1,
    PaymentSucceededV1,
    PaymentUpdatedV1,
)
from snowrail_kit.delivery import Delivery
from snowrail_kit.unit_of_work import Transaction
from snowrail_notification import store
from snowrail_notification.domain import wording
from snowrail_notification.domain.catalogue import Type
from snowrail_notification.domain.wording import Message
from snowrail_notification.parts import Parts
from snowrail_notification.usecases.telling import Told, feed, tell, wire

_STEP_NAMES = {"submitted": "tx:pending", "included": "tx:confirmed"}
_STEP_TYPES = {"submitted": Type.TRANSACTION_PENDING, "included": Type.TRANSACTION_CONFIRMED}


async def show_created(deliveries: list[Delivery[IntentCreatedV1]], tx: Transaction, _: Parts) -> None:
    """Put new intents on their users' feeds."""
    for delivery in deliveries:
        feed(tx, delivery, delivery.event.user_id, "intent:created", wire(delivery.event))


async def show_updated(deliveries: list[Delivery[IntentUpdatedV1]], tx: Transaction, parts: Parts) -> None:
    """Put changes of intents on the feeds; tell of funding, delays and refunds."""
    told: list[Told] = []
    for delivery in deliveries:
        event = delivery.event
        feed(tx, delivery, event.user_id, "intent:updated", wire(event))
        amount = wording.amount_text(parts.registry, event.token, event.amount)
        show = (wording.status_command(event.intent_id),)
        data = {"intent_id": str(event.intent_id), "status": event.status}
        if event.refunded:
            refund = wording.amount_text(parts.registry, event.token, event.refunded)
            text = f"{refund} went back to your wallet."
            told.append(
                (
                    delivery,
                    Message(event.user_id, Type.WITHDRAWAL_READY, "Deposit returned", text, data, show),
                )
            )
        elif event.status == "delayed":
            reason = (event.reason or "it waits").replace("_", " ")
            text = f"Your payment of {amount} waits: {reason}."
            told.append(
                (delivery, Message(event.user_id, Type.INTENT_DELAYED, "Payment delayed", text, data, show))
            )
        elif event.status == "armed":
            native = int(event.token.partition(":")[2], 16) == 0
            kind = Type.DEPOSIT_CONFIRMED if native else Type.INTENT_FUNDED
            title = "Deposit confirmed" if native else "Payment authorised"
            told.append(
                (delivery, Message(event.user_id, kind, title, f"{amount} is ready to pay.", data, show))
            )
    await tell(tx, told)


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
    await tell(tx, told)


async def show_succeeded(
    deliveries: list[Delivery[PaymentSucceededV1]], tx: Transaction, parts: Parts
) -> None:
    """Tell the payer that it was sent and the recipient that it arrived."""
    addresses = [address for item in deliveries for address in (item.event.payer, item.event.recipient)]
    people = await store.users_by_address(tx, addresses)
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
    await tell(tx, told)


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
    await tell(tx, told)


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
