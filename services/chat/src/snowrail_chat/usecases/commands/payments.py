"""Commands about a payment that exists: confirm, cancel, preview, deposit, withdraw."""

from collections.abc import Callable, Sequence
from uuid import UUID

from snowrail_chat.cards.answers import notice_card
from snowrail_chat.cards.lists import choice_card
from snowrail_chat.cards.payment import payment_card
from snowrail_chat.cards.transactions import deposit_card, withdraw_card
from snowrail_chat.domain.amounts import atoms_of
from snowrail_chat.domain.errors import WordProblem
from snowrail_chat.domain.progress import AWAITING_COVER, UNAUTHORISED
from snowrail_chat.domain.values import Amount, IdPrefix, Signature
from snowrail_chat.domain.views import IntentView
from snowrail_chat.store import views
from snowrail_chat.usecases.batch import Batch, Understood
from snowrail_events import IntentAuthoriseV1, IntentCancelV1

_CHOICES = 6
_ID = "id"


async def confirm(lines: Sequence[Understood], batch: Batch) -> None:
    """Hand signatures over; without one, show what has to be signed."""
    named = [line for line in lines if _ID in line.command.values]
    unnamed = [line for line in lines if _ID not in line.command.values]
    waiting = await views.recent(
        batch.tx, {line.posted.user_id for line in unnamed}, UNAUTHORISED | AWAITING_COVER, _CHOICES
    )
    found = await find_intents(named, batch)
    for line in lines:
        if line.posted.message_id in found:
            _confirm(line, found[line.posted.message_id], batch)
    for line in unnamed:
        match waiting.get(line.posted.user_id, []):
            case []:
                notes = ("Prepare a payment with /pay; /status shows what is under way.",)
                card = notice_card(line.posted.card_id, "No payment waits for you.", "nothing_waits", notes)
                batch.answer(line.posted, card)
            case [view]:
                _confirm(line, view, batch)
            case several:
                batch.answer(line.posted, choice_card(line.posted.card_id, several, batch.quotes))


async def cancel(lines: Sequence[Understood], batch: Batch) -> None:
    """Ask for payments to be stopped."""
    found = await find_intents(lines, batch)
    for line in lines:
        view = found.get(line.posted.message_id)
        if view is not None:
            event = IntentCancelV1(
                intent_id=view.intent_id, user_id=line.posted.user_id, request_id=line.posted.message_id
            )
            batch.ask(line, view.intent_id, "cancel", event)


async def preview(lines: Sequence[Understood], batch: Batch) -> None:
    """Show payments."""
    found = await find_intents(lines, batch)
    for line in lines:
        if line.posted.message_id in found:
            batch.answer(line.posted, payment_card(found[line.posted.message_id], batch.quotes))


async def deposit(lines: Sequence[Understood], batch: Batch) -> None:
    """Build the transactions that fund payments."""
    await _each(lines, batch, _deposit)


async def withdraw(lines: Sequence[Understood], batch: Batch) -> None:
    """Build the transactions that take deposits back."""
    await _each(lines, batch, _withdraw)


async def find_intents(lines: Sequence[Understood], batch: Batch) -> dict[UUID, IntentView]:
    """Return by message the payment that its id means. Lines whose id means none or several are refused."""
    asked = [(line.posted.user_id, line.command.value(_ID, IdPrefix)) for line in lines]
    found: dict[UUID, IntentView] = {}
    for line, (_, prefix), matching in zip(lines, asked, await views.matching(batch.tx, asked), strict=True):
        if len(matching) == 1:
            found[line.posted.message_id] = matching[0]
            continue
        problem = (
            WordProblem(
                "id_ambiguous", f"Several of your payments begin with {prefix.digits}: type more digits."
            )
            if matching
            else WordProblem(
                "id_unknown", f"You have no payment {prefix.digits}. /status shows those under way."
            )
        )
        batch.refuse(line.posted, line.command.at(_ID, problem))
    return found


def _confirm(line: Understood, view: IntentView, batch: Batch) -> None:
    signature = line.command.optional("signature", Signature)
    if signature is None:
        batch.answer(line.posted, payment_card(view, batch.quotes))
        return
    event = IntentAuthoriseV1(
        intent_id=view.intent_id,
        user_id=line.posted.user_id,
        request_id=line.posted.message_id,
        signature=signature.hex,
    )
    batch.ask(line, view.intent_id, "authorise", event)


async def _each(
    lines: Sequence[Understood], batch: Batch, act: Callable[[Understood, IntentView, Batch], None]
) -> None:
    found = await find_intents(lines, batch)
    for line in lines:
        view = found.get(line.posted.message_id)
        if view is None:
            continue
        try:
            act(line, view, batch)
        except WordProblem as problem:
            argument = "amount" if problem.code.startswith("amount") else _ID
            batch.refuse(line.posted, line.command.at(argument, problem))


def _deposit(line: Understood, view: IntentView, batch: Batch) -> None:
    if not view.standing.is_open or not view.is_as_offered:
        raise WordProblem(
            "not_open", "This payment takes no deposit any more; /status shows where it stands."
        )
    token = batch.quotes.token(view.token)
    if token is None:
        raise WordProblem("not_open", "The token of this payment is not configured any more.")
    atoms = atoms_of(line.command.value("amount", Amount).text, token)
    most = (view.amount + view.order.max_fee) * view.order.max_executions
    if atoms > most:
        raise WordProblem(
            "amount_above_order",
            f"This payment can spend at most {batch.quotes.amount(most, view.token)}; deposit that or less.",
        )
    batch.answer(line.posted, deposit_card(line.posted.card_id, view, atoms, batch.quotes))


def _withdraw(line: Understood, view: IntentView, batch: Batch) -> None:
    if view.standing.status == "final" and view.order.max_executions == 1:
        raise WordProblem("nothing_to_withdraw", "This payment is made; nothing of its deposit is left.")
    if view.refunded:
        raise WordProblem("nothing_to_withdraw", "The deposit of this payment was returned to you already.")
    if not view.is_as_offered:
        raise WordProblem("not_open", "The terms were changed elsewhere; withdraw where you changed them.")
    batch.answer(line.posted, withdraw_card(line.posted.card_id, view, batch.quotes))
