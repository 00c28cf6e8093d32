"""What intents and payments come to: projections, cards in place, and answers that lines wait for."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar, get_args
from uuid import UUID

from snowrail_chat.cards.answers import refusal_card, with_remark
from snowrail_chat.cards.payment import essence, payment_card
from snowrail_chat.domain.cards import Action, Card, Style
from snowrail_chat.domain.commands import parse, render
from snowrail_chat.domain.errors import CommandError
from snowrail_chat.domain.progress import UNAUTHORISED
from snowrail_chat.domain.registry import ACKNOWLEDGE, ACKNOWLEDGEMENTS
from snowrail_chat.domain.values import short_id
from snowrail_chat.domain.views import PaymentView
from snowrail_chat.metrics import ANSWER_SECONDS
from snowrail_chat.parts import Parts
from snowrail_chat.store import facts, messages, views
from snowrail_chat.store.messages import Answered, Reply, Request
from snowrail_chat.usecases import replies, runs
from snowrail_events import (
    Event,
    IntentCancelledV1,
    IntentCreatedV1,
    IntentRejectedV1,
    IntentUpdatedV1,
    PaymentBlockedV1,
    PaymentCancelledV1,
    PaymentFailedV1,
    PaymentSucceededV1,
    PaymentUpdatedV1,
)
from snowrail_kit.delivery import Delivery
from snowrail_kit.ids import derived_id
from snowrail_kit.unit_of_work import Transaction

PaymentEvent = PaymentUpdatedV1 | PaymentSucceededV1 | PaymentFailedV1 | PaymentBlockedV1 | PaymentCancelledV1
D = TypeVar("D", bound=Delivery[Any])

_COMMANDS = {
    "create": "pay",
    "authorise": "confirm",
    "cancel": "cancel",
    "pause": "recurring pause",
    "resume": "recurring resume",
}
_REFUSED = {
    "create": "The payment was not prepared.",
    "authorise": "The signature was not accepted.",
    "cancel": "The payment was not cancelled.",
    "pause": "The payment is not held back.",
    "resume": "The payment does not go on.",
}
_PAY_ANYWAY = {"duplicate_payment": "Pay again", "lookalike_address": "Pay this address"}


@dataclass
class _Shown:
    """What a batch shows: each card once, however many events of the batch changed it.

    Attributes:
        causes: by intent, the last event that changed its card.
        answered: which requests that answers.
    """

    causes: dict[UUID, Delivery[Any]] = field(default_factory=dict[UUID, Delivery[Any]])
    answered: list[Answered] = field(default_factory=list[Answered])

    def add(self, causes: Mapping[UUID, Delivery[Any]], answered: Answered | None = None) -> None:
        """Add what a kind of events shows."""
        self.causes.update(causes)
        if answered is not None:
            self.answered.append(answered)


async def record(deliveries: list[Delivery[Any]], tx: Transaction, parts: Parts) -> None:
    """Show how intents and their payments go on. The deliveries carry any of their events."""
    shown = _Shown()
    await _record_created(_of(deliveries, IntentCreatedV1), tx, shown)
    await _record_updated(_of(deliveries, IntentUpdatedV1), tx, shown)
    await _record_payments(_of(deliveries, *get_args(PaymentEvent)), tx, shown)
    await _record_cancelled(_of(deliveries, IntentCancelledV1), tx, shown)
    await _show(tx, parts, shown)


def _of(deliveries: Iterable[Delivery[Any]], *kinds: type[Event]) -> list[Delivery[Any]]:
    return [delivery for delivery in deliveries if isinstance(delivery.event, kinds)]


async def _record_created(
    deliveries: list[Delivery[IntentCreatedV1]], tx: Transaction, shown: _Shown
) -> None:
    """Show the previews of new intents to those who asked for them."""
    if not deliveries:
        return
    newest = _newest(deliveries)
    await facts.save_created(tx, [delivery.event for delivery in newest.values()])
    tx.wake(*(_key(intent_id) for intent_id in newest))
    shown.add(newest, Answered(created=list(newest)))


async def _record_updated(
    deliveries: list[Delivery[IntentUpdatedV1]], tx: Transaction, shown: _Shown
) -> None:
    """Show new states of intents."""
    known = await _known(deliveries, tx)
    if not known:
        return
    newest = _newest(known)
    changed = await facts.save_updated(tx, [delivery.event for delivery in newest.values()])
    asked = [delivery.event for delivery in known if delivery.event.request_id is not None]
    events = [delivery.event for delivery in newest.values()]
    answered = Answered(
        authorised=[event.intent_id for event in events if event.status not in UNAUTHORISED],
        cancelled=[event.intent_id for event in events if event.status == "cancelled"],
        paused=[event.intent_id for event in events if event.paused],
        resumed=[event.intent_id for event in events if event.paused is False],
        requests=[event.request_id for event in asked if event.request_id is not None],
    )
    shown.add({key: newest[key] for key in changed | {event.intent_id for event in asked}}, answered)


async def _record_cancelled(
    deliveries: list[Delivery[IntentCancelledV1]], tx: Transaction, shown: _Shown
) -> None:
    """Show that intents were cancelled."""
    known = {delivery.event.intent_id: delivery for delivery in await _known(deliveries, tx)}
    if not known:
        return
    await facts.save_cancelled(tx, [delivery.event for delivery in known.values()])
    shown.add(known, Answered(authorised=list(known), cancelled=list(known)))


async def record_rejected(
    deliveries: list[Delivery[IntentRejectedV1]], tx: Transaction, parts: Parts
) -> None:
    """Tell users why a request was refused, and offer what can be done about it."""
    creations = {d.event.intent_id: d for d in deliveries if d.event.command == "create"}
    others = {d.event.request_id: d for d in deliveries if d.event.command != "create"}
    answered = await messages.answer_requests(tx, Answered(created=list(creations), requests=list(others)))
    sent: list[Reply] = []
    causes: dict[UUID, Delivery[Any]] = {}
    for request, asked_at in answered:
        cause = (
            creations.get(request.subject_id)
            if request.command == "create"
            else others.get(request.message_id)
        )
        if cause is None:
            continue
        causes[request.message_id] = cause
        card = _refusal(request, cause.event, parts)
        sent.append(Reply(request.message_id, request.user_id, card))
        ANSWER_SECONDS.labels(_COMMANDS[request.command]).observe((tx.now - asked_at).total_seconds())
    await replies.send(tx, sent, causes)
    await runs.refuse(tx, parts, creations)


async def _record_payments(deliveries: list[Delivery[Any]], tx: Transaction, shown: _Shown) -> None:
    """Show how payments go on."""
    known = await _known(deliveries, tx)
    if not known:
        return
    newest: dict[UUID, Delivery[Any]] = {}
    for delivery in known:
        held = newest.get(delivery.event.payment_id)
        if held is None or held.event.version < delivery.event.version:
            newest[delivery.event.payment_id] = delivery
    changed = await facts.save_payments(tx, [payment_view(delivery.event) for delivery in newest.values()])
    causes = {delivery.event.intent_id: delivery for delivery in newest.values()}
    shown.add({key: causes[key] for key in changed})


def payment_view(event: PaymentEvent) -> PaymentView:
    """Return a payment as an event describes it."""
    values: dict[str, Any] = {
        name: getattr(event, name)
        for name in (
            *("payment_id", "intent_id", "user_id", "occurrence", "version"),
            *("payer", "recipient", "token", "amount"),
        )
    }
    match event:
        case PaymentUpdatedV1():
            return PaymentView(
                **values,
                status=event.status,
                step=event.step,
                changed_at=event.changed_at,
                tx_hash=event.tx_hash,
                # what made the score of a payment that goes on explains nothing to its payer
                reasons=event.reasons if event.step == "review" else (),
            )
        case PaymentSucceededV1():
            return PaymentView(
                **values,
                status="succeeded",
                step="final",
                changed_at=event.succeeded_at,
                tx_hash=event.tx_hash,
                block_number=event.block_number,
                fee=event.fee,
            )
        case PaymentFailedV1():
            return PaymentView(
                **values,
                status="failed",
                step="failed",
                changed_at=event.failed_at,
                tx_hash=event.tx_hash,
                code=event.code,
                detail=event.detail,
            )
        case PaymentBlockedV1():
            return PaymentView(
                **values, status="blocked", step="blocked", changed_at=event.blocked_at, reasons=event.reasons
            )
        case PaymentCancelledV1():
            return PaymentView(**values, status="cancelled", step="cancelled", changed_at=event.cancelled_at)


def _key(intent_id: UUID) -> str:
    return f"intent:{intent_id}"


async def _known(deliveries: Sequence[D], tx: Transaction) -> list[D]:
    """Return deliveries whose intent is known, locked; the others wait for it."""
    if not deliveries:
        return []
    known = await facts.lock(tx, {delivery.event.intent_id for delivery in deliveries})
    for delivery in deliveries:
        if delivery.event.intent_id not in known:
            delivery.wait_for(_key(delivery.event.intent_id), "its intent is not known yet")
    return [delivery for delivery in deliveries if delivery.event.intent_id in known]


def _newest(deliveries: Iterable[D]) -> dict[UUID, D]:
    """Return for each intent the delivery with its highest version."""
    newest: dict[UUID, D] = {}
    for delivery in deliveries:
        held = newest.get(delivery.event.intent_id)
        if held is None or held.event.version < delivery.event.version:
            newest[delivery.event.intent_id] = delivery
    return newest


async def _show(tx: Transaction, parts: Parts, shown: _Shown) -> None:
    """Make the cards of intents anew: in place, and as the answers to lines that waited for them.

    A card that would say what it already says is left alone, unless a line waits for it.
    """
    causes = shown.causes
    if not causes:
        return
    requests = await messages.answer_requests(tx, _together(shown.answered))
    asked = {request.subject_id for request, _ in requests}
    shown_views = await views.next_cards(tx, set(causes))
    book = await replies.load_quotes(tx, parts, {view.user_id for view, _ in shown_views})
    cards: dict[UUID, Card] = {}
    essences: dict[UUID, bytes] = {}
    for view, known in shown_views:
        card = payment_card(view, book.of(view.user_id))
        told = essence(card)
        if told != known or view.intent_id in asked:
            cards[view.intent_id], essences[view.intent_id] = card, told
    if not cards:
        return
    await views.save_cards(tx, essences)
    answers: list[Reply] = []
    reply_causes: dict[UUID, Delivery[Any]] = {}
    for request, asked_at in requests:
        card = cards[request.subject_id]
        card = with_remark(card, request.remark) if request.remark else card
        answers.append(Reply(request.message_id, request.user_id, card))
        reply_causes[request.message_id] = causes[request.subject_id]
        ANSWER_SECONDS.labels(_COMMANDS[request.command]).observe((tx.now - asked_at).total_seconds())
    unasked = {intent_id: card for intent_id, card in cards.items() if intent_id not in asked}
    card_causes = {card.card_id: causes[intent_id] for intent_id, card in unasked.items()}
    await replies.update(tx, list(unasked.values()), card_causes)
    await replies.send(tx, answers, reply_causes)
    shown_again = {reply.card.card_id: reply.card for reply in answers}
    if shown_again:
        again_causes = {reply.card.card_id: reply_causes[reply.in_reply_to] for reply in answers}
        await replies.follow(tx, list(shown_again.values()), again_causes, set(reply_causes))
    await runs.show(tx, {intent_id: causes[intent_id] for intent_id in cards}, book)


def _together(answered: Sequence[Answered]) -> Answered:
    return Answered(
        created=[key for each in answered for key in each.created],
        authorised=[key for each in answered for key in each.authorised],
        cancelled=[key for each in answered for key in each.cancelled],
        paused=[key for each in answered for key in each.paused],
        resumed=[key for each in answered for key in each.resumed],
        requests=[key for each in answered for key in each.requests],
    )


def _refusal(request: Request, event: IntentRejectedV1, parts: Parts) -> Card:
    if request.command == "create":
        action = _repeat(request, event.code, parts)
    else:
        action = Action("Show payment", f"/status {short_id(request.subject_id)}", Style.SECONDARY)
    return refusal_card(
        derived_id("card", request.message_id),
        _REFUSED[request.command],
        event.code,
        event.detail,
        () if action is None else (action,),
        () if not request.remark else (request.remark,),
    )


def _repeat(request: Request, code: str, parts: Parts) -> Action | None:
    """The button that repeats a command with the warning acknowledged, where that is what refused it."""
    word = next((word for word, warning in ACKNOWLEDGEMENTS.items() if warning == code), None)
    try:
        command = parse(request.line, parts.vocabulary)
    except CommandError:  # the token it names is not configured any more
        return None
    if word is None:
        return Action("Edit", render(command), Style.SECONDARY, draft=True)
    return Action(_PAY_ANYWAY[code], render(command.with_option(ACKNOWLEDGE, word)), Style.DANGER)
