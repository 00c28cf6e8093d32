"""/template: named sets of payments."""

from collections.abc import Sequence
from uuid import UUID

from snowrail_chat.cards.templates import (
    run_card,
    template_deleted_card,
    template_saved_card,
    templates_card,
)
from snowrail_chat.domain.amounts import atoms_of
from snowrail_chat.domain.commands import parse
from snowrail_chat.domain.errors import CommandError, WordProblem
from snowrail_chat.domain.payment_rows import show_row
from snowrail_chat.domain.registry import ACKNOWLEDGE, ACKNOWLEDGEMENTS
from snowrail_chat.domain.runs import Run, RunPayment, Template
from snowrail_chat.domain.values import ContactName, PaymentRow, PaymentRows
from snowrail_chat.store import people, templates
from snowrail_chat.usecases.batch import Batch, Posted, Understood
from snowrail_chat.usecases.commands.pay import own_account, token_named
from snowrail_chat.usecases.commands.people import LOOKALIKE, Payee, who_is_meant
from snowrail_events import IntentCreateV1
from snowrail_kit.ids import derived_id


async def save(lines: Sequence[Understood], batch: Batch) -> None:
    """Keep sets of payments; one of the same name is replaced."""
    limit = batch.parts.settings.templates_limit
    known = await templates.of_users(batch.tx, {line.posted.user_id for line in lines})
    names = {user_id: {template.key for template in found} for user_id, found in known.items()}
    kept: dict[tuple[UUID, str], Template] = {}
    for line in lines:
        user_id = line.posted.user_id
        name, rows = line.command.value("name", ContactName), line.command.value("payments", PaymentRows)
        own = names.setdefault(user_id, set())
        if name.key not in own and len(own) >= limit:
            problem = WordProblem("templates_full", f"You have {limit} templates; delete one first.")
            batch.refuse(line.posted, line.command.at("name", problem))
            continue
        template = Template(user_id, name.key, name.name, "\n".join(show_row(row) for row in rows.rows))
        batch.answer(line.posted, template_saved_card(line.posted.card_id, template, name.key in own))
        own.add(name.key)
        kept[user_id, name.key] = template
    if kept:
        await templates.save(batch.tx, list(kept.values()))


async def show(lines: Sequence[Understood], batch: Batch) -> None:
    """Show sets."""
    found = await templates.of_users(batch.tx, {line.posted.user_id for line in lines})
    for line in lines:
        batch.answer(line.posted, templates_card(line.posted.card_id, found.get(line.posted.user_id, [])))


async def delete(lines: Sequence[Understood], batch: Batch) -> None:
    """Forget sets."""
    named = [(line, line.command.value("name", ContactName)) for line in lines]
    gone = await templates.delete(batch.tx, [(line.posted.user_id, name.key) for line, name in named])
    for line, name in named:
        if (line.posted.user_id, name.key) in gone:
            batch.answer(line.posted, template_deleted_card(line.posted.card_id, name.name))
        else:
            batch.refuse(line.posted, line.command.at("name", _unknown(name)))


async def run(lines: Sequence[Understood], batch: Batch) -> None:
    """Ask for every payment of sets. The ids of the intents follow from the line's, so that it runs once."""
    named = [(line, line.command.value("name", ContactName)) for line in lines]
    found = await templates.named(batch.tx, [(line.posted.user_id, name.key) for line, name in named])
    rows: list[tuple[Understood, int, PaymentRow]] = []
    for line, name in named:
        template = found.get((line.posted.user_id, name.key))
        if template is None:
            batch.refuse(line.posted, line.command.at("name", _unknown(name)))
            continue
        try:
            payments = _payments_of(template, batch)
        except CommandError as error:  # a token it names is not configured any more
            batch.refuse(line.posted, line.command.at("name", WordProblem(error.code, error.message)))
            continue
        rows += [(line, position, row) for position, row in enumerate(payments.rows, 1)]
    await _start(rows, found, batch)


def _payments_of(template: Template, batch: Batch) -> PaymentRows:
    line = f"/template save x {template.payments}"
    return parse(line, batch.parts.vocabulary).value("payments", PaymentRows)


def _unknown(name: ContactName) -> WordProblem:
    return WordProblem("template_unknown", f"You have no template '{name.name}'. /template list shows yours.")


async def _start(
    rows: Sequence[tuple[Understood, int, PaymentRow]],
    found: dict[tuple[UUID, str], Template],
    batch: Batch,
) -> None:
    payees = await who_is_meant(batch.tx, [(line.posted.user_id, row.to) for line, _, row in rows])
    addresses = {
        (line.posted.user_id, payee.address)
        for (line, _, _), payee in zip(rows, payees, strict=True)
        if isinstance(payee, Payee)
    }
    doubles = await people.look_alikes(batch.tx, addresses)
    started: dict[UUID, list[RunPayment]] = {}
    lines = {line.posted.message_id: line for line, _, _ in rows}
    for (line, position, row), payee in zip(rows, payees, strict=True):
        posted = line.posted
        problem: WordProblem | None = payee if isinstance(payee, WordProblem) else None
        accepted = LOOKALIKE in line.command.options.get(ACKNOWLEDGE, ())
        if isinstance(payee, Payee) and (posted.user_id, payee.address) in doubles and not accepted:
            problem = WordProblem("lookalike_address", "This address only resembles one you know.")
        intent_id: UUID | None = None
        if problem is None and isinstance(payee, Payee):
            try:
                event = _event(line, position, row, payee, batch)
                batch.tx.emit(event, posted.cause)
                intent_id = event.intent_id
            except WordProblem as refusal:
                problem = refusal
        started.setdefault(posted.message_id, []).append(
            RunPayment(
                position,
                show_row(row),
                intent_id,
                None if problem is None else problem.code,
                None if problem is None else str(problem),
            )
        )
    runs = [
        _run(lines[message_id].posted, found, lines[message_id], payments)
        for message_id, payments in started.items()
    ]
    await templates.start(batch.tx, runs)
    for run in runs:
        posted = lines[run.run_id].posted
        batch.answer(posted, run_card(run, batch.quotes_of(posted)))


def _run(
    posted: Posted, found: dict[tuple[UUID, str], Template], line: Understood, payments: list[RunPayment]
) -> Run:
    template = found[posted.user_id, line.command.value("name", ContactName).key]
    return Run(posted.message_id, posted.user_id, template.name, 1, payments)


def _event(line: Understood, position: int, row: PaymentRow, payee: Payee, batch: Batch) -> IntentCreateV1:
    posted = line.posted
    if payee.address == posted.address:
        raise own_account()
    token = token_named(row.currency, batch.parts)
    return IntentCreateV1(
        intent_id=derived_id("intent", posted.message_id, position),
        user_id=posted.user_id,
        payer=posted.address,
        recipient=payee.address,
        recipient_label=payee.label,
        token=token.token_id,
        amount=atoms_of(row.amount.text, token),
        acknowledged=tuple(ACKNOWLEDGEMENTS[word] for word in line.command.options.get(ACKNOWLEDGE, ())),
        requested_at=posted.posted_at,
    )
