"""Cards that list: the wallet, the account, the history, the contacts."""

from collections.abc import Mapping, Sequence
from uuid import UUID

from snowrail_chat.cards.wording import payee, short_address
from snowrail_chat.domain.cards import Action, Card, Row, Style
from snowrail_chat.domain.fiat import total
from snowrail_chat.domain.quotes import Quotes, tokens_of
from snowrail_chat.domain.values import ContactName, short_id
from snowrail_chat.domain.views import Contact, IntentView, Movement
from snowrail_chat.domain.words import quote

_MAX_OPEN_BUTTONS = 5


def wallet_card(
    card_id: UUID,
    address: str,
    balances: Mapping[str, int] | None,
    movements: Sequence[Movement],
    quotes: Quotes,
) -> Card:
    """Return the card of balances.

    Args:
        balances: atoms by token id; None when the chain could not be asked.
    """
    rows = [Row("Address", address, mono=True)]
    notes: list[str] = []
    if balances is None:
        notes.append("The balances cannot be read now: the chain monitor does not answer. Try again shortly.")
    else:
        worths = []
        for token in tokens_of(quotes.chain):
            atoms = balances[token.token_id]
            rows.append(Row(token.symbol, quotes.valued_in(atoms, token)))
            worths.append(quotes.worth(atoms, token))
        known = total([value for value in worths if value is not None])
        missing = any(value is None for value in worths)
        rows.append(
            Row(
                "Total",
                f"{known}{', without tokens that have no price' * missing}" if known else "price unavailable",
            )
        )
    rows += [_movement_row(movement, quotes) for movement in movements]
    return Card(
        card_id=card_id,
        kind="wallet",
        title=f"Wallet on {quotes.chain.name}",
        status="unavailable" if balances is None else None,
        rows=tuple(rows),
        actions=(
            Action("Send", "/pay ", Style.PRIMARY, draft=True),
            Action("Deposit", "/deposit ", draft=True),
            Action("Refresh", "/wallet"),
        ),
        notes=tuple(notes),
    )


def history_card(card_id: UUID, movements: Sequence[Movement], quotes: Quotes) -> Card:
    """Return the card of the last movements."""
    return Card(
        card_id=card_id,
        kind="history",
        title=f"Last {len(movements)} payments" if movements else "No payments yet",
        rows=tuple(_movement_row(movement, quotes) for movement in movements),
        actions=() if movements else (Action("Send", "/pay ", Style.PRIMARY, draft=True),),
    )


def account_card(
    card_id: UUID,
    handle: str,
    address: str,
    roles: frozenset[str],
    views: Sequence[IntentView],
    quotes: Quotes,
) -> Card:
    """Return the card of the account with all that is open."""
    rows = [
        Row("Name", f"@{handle}"),
        Row("Address", address, mono=True),
        Row("Roles", ", ".join(sorted(roles))),
        Row("Chain", quotes.chain.name),
        *(_open_row(view, quotes) for view in views),
    ]
    return Card(
        card_id=card_id,
        kind="account",
        title=f"{len(views)} open payments" if len(views) != 1 else "1 open payment",
        rows=tuple(rows),
        actions=tuple(_show(view, quotes) for view in views[:_MAX_OPEN_BUTTONS]),
    )


def choice_card(card_id: UUID, views: Sequence[IntentView], quotes: Quotes) -> Card:
    """Return the card that asks which of several payments is meant."""
    return Card(
        card_id=card_id,
        kind="notice",
        title="Several payments wait for you; which one?",
        status="choose",
        rows=tuple(_open_row(view, quotes) for view in views),
        actions=tuple(
            Action(
                f"{short_id(view.intent_id)}: {quotes.amount(view.amount, view.token)}",
                f"/confirm {short_id(view.intent_id)}",
            )
            for view in views[:_MAX_OPEN_BUTTONS]
        ),
    )


def contacts_card(card_id: UUID, contacts: Sequence[Contact]) -> Card:
    """Return the card of the address book."""
    return Card(
        card_id=card_id,
        kind="contacts",
        title=f"{len(contacts)} contacts" if contacts else "No contacts yet",
        rows=tuple(Row(contact.name, _whole(contact), mono=True) for contact in contacts),
        actions=(Action("Add", "/contacts add ", draft=True),),
    )


def contact_saved_card(card_id: UUID, contact: Contact) -> Card:
    """Return the card of a new contact."""
    name = quote(contact.name)
    return Card(
        card_id=card_id,
        kind="contacts",
        title=f"Saved {contact.name}",
        rows=(Row("Address", _whole(contact), mono=True),),
        actions=(
            Action("Pay", f"/pay {name} ", Style.PRIMARY, draft=True),
            Action("Remove", f"/contacts remove {name}", Style.DANGER),
        ),
    )


def contact_removed_card(card_id: UUID, name: ContactName) -> Card:
    """Return the card of a contact that was forgotten."""
    return Card(card_id, "contacts", f"Removed {name.name}", actions=(Action("Contacts", "/contacts"),))


def _whole(contact: Contact) -> str:
    return f"{contact.address} (@{contact.handle})" if contact.handle else contact.address


def _movement_row(movement: Movement, quotes: Quotes) -> Row:
    sign, word = ("+", "from") if movement.incoming else ("-", "to")
    other = short_address(movement.other) if movement.incoming else payee(movement.label, movement.other)
    amount = quotes.amount(movement.amount, movement.token)
    return Row(
        quotes.moment(movement.at), f"{sign}{amount} {word} {other}, {movement.status.replace('_', ' ')}"
    )


def _open_row(view: IntentView, quotes: Quotes) -> Row:
    amount = quotes.amount(view.amount, view.token)
    state = view.standing.status.replace("_", " ")
    return Row(
        short_id(view.intent_id), f"{amount} to {payee(view.recipient_label, view.recipient)}, {state}"
    )


def _show(view: IntentView, quotes: Quotes) -> Action:
    return Action(f"Show {quotes.amount(view.amount, view.token)}", f"/status {short_id(view.intent_id)}")
