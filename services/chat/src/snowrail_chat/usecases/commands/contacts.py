"""/contacts: the address book."""

from collections.abc import Sequence
from uuid import UUID

from snowrail_chat.cards.lists import contact_removed_card, contact_saved_card, contacts_card
from snowrail_chat.domain.errors import WordProblem
from snowrail_chat.domain.values import ContactName
from snowrail_chat.domain.views import Contact
from snowrail_chat.store import people
from snowrail_chat.store.people import NewContact
from snowrail_chat.usecases.batch import Batch, Understood
from snowrail_chat.usecases.commands.people import find_payees, refuse_look_alikes


async def show(lines: Sequence[Understood], batch: Batch) -> None:
    """Show address books."""
    books = await people.contacts_of(batch.tx, {line.posted.user_id for line in lines})
    for line in lines:
        batch.answer(line.posted, contacts_card(line.posted.card_id, books.get(line.posted.user_id, [])))


async def add(lines: Sequence[Understood], batch: Batch) -> None:
    """Save addresses under names that are free."""
    payees = await find_payees(lines, "payee", batch)
    await refuse_look_alikes(lines, payees, batch)
    counts = await people.contact_counts(batch.tx, {line.posted.user_id for line in lines})
    wanted: dict[tuple[UUID, str], tuple[Understood, NewContact]] = {}
    for line in lines:
        payee = payees.get(line.posted.message_id)
        if payee is None:
            continue
        user_id, name = line.posted.user_id, line.command.value("name", ContactName)
        new = NewContact(user_id, name.key, Contact(name.name, payee.address, payee.handle))
        counts[user_id] = counts.get(user_id, 0) + 1
        if counts[user_id] > batch.parts.settings.contacts_limit:
            _refuse(line, "contacts_full", "Your address book is full; remove a contact first.", batch)
        elif (user_id, name.key) in wanted:
            _refuse_taken(line, name, batch)
        else:
            wanted[user_id, name.key] = (line, new)
    added = await people.add_contacts(batch.tx, [new for _, new in wanted.values()]) if wanted else set()
    for line, new in wanted.values():
        if (new.user_id, new.key) in added:
            batch.answer(line.posted, contact_saved_card(line.posted.card_id, new.contact))
        else:
            _refuse_taken(line, line.command.value("name", ContactName), batch)


async def remove(lines: Sequence[Understood], batch: Batch) -> None:
    """Forget contacts."""
    named = [(line, line.command.value("name", ContactName)) for line in lines]
    removed = await people.remove_contacts(
        batch.tx, {(line.posted.user_id, name.key) for line, name in named}
    )
    for line, name in named:
        if (line.posted.user_id, name.key) in removed:
            batch.answer(line.posted, contact_removed_card(line.posted.card_id, name))
        else:
            _refuse(line, "contact_unknown", f"You have no contact '{name.name}'.", batch)


def _refuse_taken(line: Understood, name: ContactName, batch: Batch) -> None:
    message = f"You have a contact '{name.name}' already; remove it first, or choose another name."
    _refuse(line, "name_taken", message, batch)


def _refuse(line: Understood, code: str, message: str, batch: Batch) -> None:
    batch.refuse(line.posted, line.command.at("name", WordProblem(code, message)))
