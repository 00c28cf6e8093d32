"""/pay: from a line to the request for a payment."""

from collections.abc import Sequence

from snowrail_chat.domain.amounts import atoms_of
from snowrail_chat.domain.errors import WordProblem
from snowrail_chat.domain.quotes import tokens_of
from snowrail_chat.domain.registry import ACKNOWLEDGE, ACKNOWLEDGEMENTS
from snowrail_chat.domain.values import Amount, Currency
from snowrail_chat.usecases.batch import Batch, Understood
from snowrail_chat.usecases.commands.people import Payee, find_payees, refuse_look_alikes
from snowrail_events import IntentCreateV1
from snowrail_kit.ids import derived_id


async def pay(lines: Sequence[Understood], batch: Batch) -> None:
    """Ask for payments; each is answered with its preview by what the intent service says."""
    payees = await find_payees(lines, "to", batch)
    await refuse_look_alikes(lines, payees, batch)
    for line in lines:
        payee = payees.get(line.posted.message_id)
        if payee is not None:
            _request(line, payee, batch)


def _request(line: Understood, payee: Payee, batch: Batch) -> None:
    posted, command = line.posted, line.command
    if payee.address == posted.address:
        problem = WordProblem("same_account", "This is your own account; name somebody else.")
        batch.refuse(posted, command.at("to", problem))
        return
    currency = command.optional("currency", Currency)
    symbol = batch.parts.vocabulary.default_currency if currency is None else currency.symbol
    token = next(token for token in tokens_of(batch.parts.chain) if token.symbol == symbol)
    try:
        atoms = atoms_of(command.value("amount", Amount).text, token)
    except WordProblem as problem:
        batch.refuse(posted, command.at("amount", problem))
        return
    intent_id = derived_id("intent", posted.message_id)
    event = IntentCreateV1(
        intent_id=intent_id,
        user_id=posted.user_id,
        payer=posted.address,
        recipient=payee.address,
        recipient_label=payee.label,
        token=token.token_id,
        amount=atoms,
        acknowledged=tuple(ACKNOWLEDGEMENTS[word] for word in command.options.get(ACKNOWLEDGE, ())),
        requested_at=posted.posted_at,
    )
    batch.ask(line, intent_id, "create", event)
