"""Commands about a payment that exists: confirm, cancel, preview, deposit, withdraw."""

from collections.abc import Callable, Sequence
from uuid import UUID

from snowrail_chat.cards.answers import notice_card
from snowrail_chat.cards.lists import choice_card
from snowrail_chat.cards.payment import payment_card
from snowrail_chat.cards.transactions import deposit_card, withdraw_card
from snowrail_chat.clients import BuiltTransactions, RefusedTransactions, TransactionQuestion
from snowrail_chat.domain.cards import Card
from snowrail_chat.domain.errors import CommandError, WordProblem
from snowrail_chat.domain.progress import AWAITING_COVER, UNAUTHORISED
from snowrail_chat.domain.values import IdPrefix, Signature
from snowrail_chat.domain.views import IntentView
from snowrail_chat.store import views
from snowrail_chat.usecases.batch import Batch, Understood
from snowrail_chat.usecases.preparation import question_of
from snowrail_events import IntentAuthoriseV1, IntentCancelV1

_CHOICES = 6
_ID = "id"
_OUT_OF_RANGE = "deposit_out_of_range"
_REFUSALS = {
    _OUT_OF_RANGE: "That is more than this payment can still take; deposit less.",
    "nothing_to_return": "The escrow holds nothing for this payment.",
}
"""What is said otherwise than the intent service says it, which counts in atoms."""


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
                batch.answer(
                    line.posted, choice_card(line.posted.card_id, several, batch.quotes_of(line.posted))
                )


async def cancel(lines: Sequence[Understood], batch: Batch) -> None:
    """Ask for payments to be stopped. Alone it leaves a dialogue, and there is none where it comes here."""
    for line in lines:
        if _ID not in line.command.values:
            message = (
                "Say which payment; /status shows those under way. You are in no dialogue that could be left."
            )
            batch.refuse(
                line.posted, CommandError("argument_missing", message, len(line.posted.text.rstrip()) + 1)
            )
    lines = [line for line in lines if _ID in line.command.values]
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
            batch.answer(
                line.posted, payment_card(found[line.posted.message_id], batch.quotes_of(line.posted))
            )


async def deposit(lines: Sequence[Understood], batch: Batch) -> None:
    """Show the transactions that fund payments."""

    def show(
        line: Understood, view: IntentView, question: TransactionQuestion, built: BuiltTransactions
    ) -> Card:
        assert question.amount is not None, "a deposit has an amount"
        return deposit_card(
            line.posted.card_id, view, question.amount, built.transactions, batch.quotes_of(line.posted)
        )

    await _with_transactions(lines, batch, show)


async def withdraw(lines: Sequence[Understood], batch: Batch) -> None:
    """Show the transactions that take deposits back."""

    def show(line: Understood, view: IntentView, _: TransactionQuestion, built: BuiltTransactions) -> Card:
        return withdraw_card(line.posted.card_id, view, built.transactions, batch.quotes_of(line.posted))

    await _with_transactions(lines, batch, show)


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
        batch.answer(line.posted, payment_card(view, batch.quotes_of(line.posted)))
        return
    event = IntentAuthoriseV1(
        intent_id=view.intent_id,
        user_id=line.posted.user_id,
        request_id=line.posted.message_id,
        signature=signature.hex,
    )
    batch.ask(line, view.intent_id, "authorise", event)


async def _with_transactions(
    lines: Sequence[Understood],
    batch: Batch,
    show: Callable[[Understood, IntentView, TransactionQuestion, BuiltTransactions], Card],
) -> None:
    """Answer lines with the transactions that the intent service built for them before this transaction."""
    found = await find_intents(lines, batch)
    for line in lines:
        view = found.get(line.posted.message_id)
        if view is None:
            continue
        try:
            question = question_of(line.command, view, batch.parts)
        except WordProblem as problem:
            batch.refuse(line.posted, line.command.at("amount", problem))
            continue
        match batch.transactions.get(question):
            case BuiltTransactions() as built:
                batch.answer(line.posted, show(line, view, question, built))
            case RefusedTransactions(code, detail):
                argument = "amount" if code == _OUT_OF_RANGE else _ID
                problem = WordProblem(code, _REFUSALS.get(code, detail))
                batch.refuse(line.posted, line.command.at(argument, problem))
            case None:
                problem = WordProblem(
                    "unavailable", "The transaction cannot be built now. Try again shortly."
                )
                batch.refuse(line.posted, line.command.at(_ID, problem))
