"""Who is meant by a word: a user, an address, a contact."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from snowrail_chat.cards.wording import short_address
from snowrail_chat.domain.cards import Action, Card, Row, Style
from snowrail_chat.domain.commands import render
from snowrail_chat.domain.errors import WordProblem
from snowrail_chat.domain.registry import ACKNOWLEDGE
from snowrail_chat.domain.values import ContactName, Handle, Value, WalletAddress
from snowrail_chat.store import people
from snowrail_chat.store.people import KnownAddress, Person
from snowrail_chat.usecases.batch import Batch, Understood
from snowrail_kit.unit_of_work import Transaction

LOOKALIKE = "lookalike"


@dataclass(frozen=True, slots=True)
class Payee:
    """Whom a word means.

    Attributes:
        label: how the user calls them; empty for a bare address.
        handle: their user name, where the word was one.
    """

    address: str
    label: str = ""
    handle: str = ""


async def find_payees(lines: Sequence[Understood], argument: str, batch: Batch) -> dict[UUID, Payee]:
    """Return by message whom an argument means. Lines whose word means nobody are refused."""
    asked = [(line.posted.user_id, line.command.values[argument]) for line in lines]
    found: dict[UUID, Payee] = {}
    for line, payee in zip(lines, await who_is_meant(batch.tx, asked), strict=True):
        if isinstance(payee, WordProblem):
            batch.refuse(line.posted, line.command.at(argument, payee))
        else:
            found[line.posted.message_id] = payee
    return found


async def who_is_meant(tx: Transaction, asked: Sequence[tuple[UUID, Value]]) -> list[Payee | WordProblem]:
    """Return whom each user means by a word, or why it means nobody."""
    handles = {name for _, value in asked if (name := _possible_handle(value))}
    keys = {(user_id, value.key) for user_id, value in asked if isinstance(value, ContactName)}
    by_handle = await people.people_named(tx, handles)
    by_key = await people.contacts_named(tx, keys)
    found: list[Payee | WordProblem] = []
    for user_id, value in asked:
        if isinstance(value, Handle):
            found.append(_user(value, by_handle))
        elif isinstance(value, WalletAddress):
            found.append(Payee(value.address))
        else:
            assert isinstance(value, ContactName), "recipients are users, addresses or contacts"
            contact = by_key.get((user_id, value.key))
            found.append(
                _unknown_contact(value, by_handle)
                if contact is None
                else Payee(contact.address, contact.name, contact.handle)
            )
    return found


async def refuse_look_alikes(lines: Sequence[Understood], payees: dict[UUID, Payee], batch: Batch) -> None:
    """Refuse lines whose payee only resembles somebody the user knows, unless that was acknowledged."""
    asked = [
        line
        for line in lines
        if line.posted.message_id in payees and LOOKALIKE not in line.command.options.get(ACKNOWLEDGE, ())
    ]
    known = await people.look_alikes(
        batch.tx, {(line.posted.user_id, payees[line.posted.message_id].address) for line in asked}
    )
    for line in asked:
        payee = payees[line.posted.message_id]
        original = known.get((line.posted.user_id, payee.address))
        if original is not None:
            del payees[line.posted.message_id]
            batch.answer(line.posted, _look_alike_card(line, payee, original), "refused")


def _possible_handle(value: Value) -> str | None:
    if isinstance(value, Handle):
        return value.handle
    return value.key if isinstance(value, ContactName) else None


def _user(value: Handle, by_handle: dict[str, list[Person]]) -> Payee | WordProblem:
    match by_handle.get(value.handle, []):
        case [person]:
            return Payee(person.address, f"@{person.handle}", person.handle)
        case []:
            return WordProblem("user_unknown", f"There is no user @{value.handle}. Check the spelling.")
        case _:
            return WordProblem(
                "user_ambiguous", f"The name @{value.handle} is changing hands. Try again in a moment."
            )


def _unknown_contact(value: ContactName, by_handle: dict[str, list[Person]]) -> WordProblem:
    if value.key in by_handle:
        return WordProblem(
            "contact_unknown",
            f"You have no contact '{value.name}'. Did you mean the user @{value.key}?",
            f"@{value.key}",
        )
    return WordProblem(
        "contact_unknown",
        f"You have no contact '{value.name}'. Type @name, a 0x address, or /contacts to see yours.",
    )


def _look_alike_card(line: Understood, payee: Payee, known: KnownAddress) -> Card:
    who = f"your contact {known.name}" if known.name else "somebody you have paid"
    return Card(
        card_id=line.posted.card_id,
        kind="error",
        title=f"This address only resembles {who}.",
        status="lookalike_address",
        rows=(
            Row("You know", known.address, mono=True),
            Row("This is", payee.address, mono=True),
        ),
        actions=(
            Action(
                f"Go on with {short_address(payee.address)}",
                render(line.command.with_option(ACKNOWLEDGE, LOOKALIKE)),
                Style.DANGER,
            ),
        ),
        notes=("Such addresses are made to be mistaken for one another. Compare every character.",),
    )
