"""/request: asking others for payments."""

from collections.abc import Sequence
from datetime import timedelta

from snowrail_chat.cards.requests import open_request_card, request_card, requests_card
from snowrail_chat.domain.amounts import atoms_of
from snowrail_chat.domain.errors import WordProblem
from snowrail_chat.domain.payment_requests import PaymentRequest, new_code
from snowrail_chat.domain.quotes import token_of
from snowrail_chat.domain.values import Amount, Code, Currency, Memo
from snowrail_chat.store import payment_requests
from snowrail_chat.usecases.batch import Batch, Understood
from snowrail_chat.usecases.commands.pay import token_named

_ROWS = 15


async def make(lines: Sequence[Understood], batch: Batch) -> None:
    """Make requests with their links."""
    made: list[PaymentRequest] = []
    settings = batch.parts.settings
    for line in lines:
        posted, command = line.posted, line.command
        token = token_named(command.optional("currency", Currency), batch.parts)
        try:
            atoms = atoms_of(command.value("amount", Amount).text, token)
        except WordProblem as problem:
            batch.refuse(posted, command.at("amount", problem))
            continue
        memo = command.optional("memo", Memo)
        request = PaymentRequest(
            code=new_code(batch.tx.ids.new()),
            message_id=posted.message_id,
            user_id=posted.user_id,
            handle=posted.handle,
            address=posted.address,
            token=token.token_id,
            amount=atoms,
            memo="" if memo is None else memo.text,
            made_at=batch.tx.now,
            expires_at=batch.tx.now + timedelta(days=settings.request_days),
        )
        made.append(request)
        batch.answer(
            posted, request_card(posted.card_id, request, settings.public_origin, batch.quotes_of(posted))
        )
    await payment_requests.save(batch.tx, made)


async def show(lines: Sequence[Understood], batch: Batch) -> None:
    """Show requests that can still be paid."""
    found = await payment_requests.open_of(batch.tx, {line.posted.user_id for line in lines}, _ROWS)
    for line in lines:
        posted = line.posted
        shown = found.get(posted.user_id, [])
        card = requests_card(
            posted.card_id, shown, batch.parts.settings.public_origin, batch.quotes_of(posted)
        )
        batch.answer(posted, card)


async def open_(lines: Sequence[Understood], batch: Batch) -> None:
    """Show what somebody asks the user for, with the payment prepared as a draft."""
    codes = {line.posted.message_id: line.command.value("link", Code).code for line in lines}
    found = await payment_requests.by_code(batch.tx, set(codes.values()))
    for line in lines:
        request = found.get(codes[line.posted.message_id])
        problem = _problem(request, line, batch)
        if problem is not None or request is None:
            assert problem is not None, "what is not there is a problem"
            batch.refuse(line.posted, line.command.at("link", problem))
        else:
            quotes = batch.quotes_of(line.posted)
            batch.answer(line.posted, open_request_card(line.posted.card_id, request, quotes))


def _problem(request: PaymentRequest | None, line: Understood, batch: Batch) -> WordProblem | None:
    if request is None or token_of(batch.parts.chains, request.token) is None:
        return WordProblem("request_unknown", "There is no such payment request. Ask for a new link.")
    if request.expires_at <= batch.tx.now:
        return WordProblem("request_expired", "This payment request has expired. Ask for a new link.")
    if request.user_id == line.posted.user_id:
        return WordProblem(
            "same_account", "This is a request of your own; send its link to whoever pays you."
        )
    return None
