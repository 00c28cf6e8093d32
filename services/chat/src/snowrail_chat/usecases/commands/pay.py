"""/pay and /recurring setup: from a line to the request for a payment."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from snowrail_chat.domain.amounts import atoms_of
from snowrail_chat.domain.conditions import Condition, GasCondition, PriceCondition
from snowrail_chat.domain.errors import WordProblem
from snowrail_chat.domain.plans import recur
from snowrail_chat.domain.quotes import Quotes, tokens_of
from snowrail_chat.domain.recurrences import Recurrence
from snowrail_chat.domain.registry import ACKNOWLEDGE, ACKNOWLEDGEMENTS, MISSED
from snowrail_chat.domain.times import At, In, resolve
from snowrail_chat.domain.values import Amount, Count, Currency, Day
from snowrail_chat.parts import Parts
from snowrail_chat.usecases.batch import Batch, Understood
from snowrail_chat.usecases.commands.people import Payee, find_payees, refuse_look_alikes
from snowrail_events import IntentCreateV1
from snowrail_events.parts import IntentCondition, IntentRecurrence
from snowrail_kit.ids import derived_id
from snowrail_kit.money import Token


@dataclass(frozen=True, slots=True)
class Terms:
    """When, on what condition and how often something is paid."""

    not_before: datetime | None = None
    condition: IntentCondition | None = None
    recurrence: IntentRecurrence | None = None


async def pay(lines: Sequence[Understood], batch: Batch) -> None:
    """Ask for payments; each is answered with its preview by what the intent service says."""
    await _prepare(lines, batch, _terms_of_one)


async def set_up_recurring(lines: Sequence[Understood], batch: Batch) -> None:
    """Ask for payments that repeat; answered in the same way."""
    await _prepare(lines, batch, _terms_of_many)


def token_named(currency: Currency | None, parts: Parts) -> Token:
    """Return the token that a command means, the default one where it names none."""
    symbol = parts.vocabulary.default_currency if currency is None else currency.symbol
    return next(token for token in tokens_of(parts.chain) if token.symbol == symbol)


def own_account() -> WordProblem:
    """Return what is said to somebody who pays themselves."""
    return WordProblem("same_account", "This is your own account; name somebody else.")


async def _prepare(
    lines: Sequence[Understood], batch: Batch, terms_of: Callable[[Understood, Quotes], Terms]
) -> None:
    payees = await find_payees(lines, "to", batch)
    await refuse_look_alikes(lines, payees, batch)
    for line in lines:
        payee = payees.get(line.posted.message_id)
        if payee is not None:
            _request(line, payee, terms_of, batch)


def _request(
    line: Understood, payee: Payee, terms_of: Callable[[Understood, Quotes], Terms], batch: Batch
) -> None:
    posted, command = line.posted, line.command
    token = token_named(command.optional("currency", Currency), batch.parts)
    argument = "to"
    try:
        if payee.address == posted.address:
            raise own_account()
        argument = "amount"
        atoms = atoms_of(command.value("amount", Amount).text, token)
        argument = command.spec.clauses[0].name
        terms = terms_of(line, batch.quotes_of(posted))
    except WordProblem as problem:
        batch.refuse(posted, command.at(argument, problem))
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
        not_before=terms.not_before,
        acknowledged=tuple(ACKNOWLEDGEMENTS[word] for word in command.options.get(ACKNOWLEDGE, ())),
        requested_at=posted.posted_at,
        condition=terms.condition,
        recurrence=terms.recurrence,
    )
    batch.ask(line, intent_id, "create", event)


def _terms_of_one(line: Understood, quotes: Quotes) -> Terms:
    moment = line.command.values.get("at")
    condition = line.command.values.get("if")
    assert moment is None or isinstance(moment, At | In), "the registry says so"
    assert condition is None or isinstance(condition, PriceCondition | GasCondition), "the registry says so"
    return Terms(
        None if moment is None else resolve(moment, quotes.now, quotes.zone),
        None if condition is None else _condition(condition),
    )


def _terms_of_many(line: Understood, quotes: Quotes) -> Terms:
    command = line.command
    first, last = command.optional("from", Day), command.optional("until", Day)
    count = command.optional("for", Count)
    missed = command.options.get("missed", ("skip",))[-1]
    recurrence = recur(
        command.value("every", Recurrence),
        quotes.now,
        quotes.zone,
        None if first is None else first.date,
        None if last is None else last.date,
    )
    return Terms(
        recurrence=IntentRecurrence(
            kind=recurrence.kind,
            interval=recurrence.every.interval,
            weekday=recurrence.every.weekday,
            day=recurrence.every.day,
            cron=recurrence.every.cron,
            time_zone=quotes.zone.key,
            start_at=recurrence.start_at,
            end_at=recurrence.end_at,
            count=None if count is None else count.number,
            missed=MISSED[missed],
        )
    )


def _condition(condition: Condition) -> IntentCondition:
    if isinstance(condition, GasCondition):
        return IntentCondition(kind="gas", comparison=condition.comparison, value=str(condition.wei))
    return IntentCondition(
        kind="price", token=condition.symbol, comparison=condition.comparison, value=condition.value
    )
