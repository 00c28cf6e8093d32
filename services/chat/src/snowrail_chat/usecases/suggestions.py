"""Autocomplete: what can stand at the end of a line, from the registry and the user's own records."""

from dataclasses import dataclass
from uuid import UUID

from snowrail_chat.cards.wording import payee
from snowrail_chat.domain import registry
from snowrail_chat.domain.amounts import show_amount
from snowrail_chat.domain.completion import Place, place_of
from snowrail_chat.domain.kinds import Kind
from snowrail_chat.domain.quotes import tokens_of
from snowrail_chat.domain.subjects import zones_beginning
from snowrail_chat.domain.values import short_id
from snowrail_chat.domain.words import quote
from snowrail_chat.parts import Parts
from snowrail_chat.store import people, templates, told, views

MAX_SUGGESTIONS = 10
_HINTS: dict[Kind, tuple[str, ...]] = {
    Kind.MOMENT: ("tomorrow 9:00", "friday 18:00", "2 hours"),
    Kind.CONDITION: ("cro < 0.10", "gas < 5000 gwei"),
    Kind.RECURRENCE: ("day at 9:00", "friday at 18:00", "month on 1 at 9:00"),
    Kind.QUIET_HOURS: ("22:00 07:00", "off"),
}
"""What may follow the keyword of a clause, or stand for an argument that no record of the user fills."""


@dataclass(frozen=True, slots=True)
class Suggestion:
    """One thing that can be chosen.

    Attributes:
        insert: what replaces the line from the start of the word being typed.
        detail: what it is, for a person.
    """

    insert: str
    detail: str


async def suggest(
    text: str, user_id: UUID, roles: frozenset[str], parts: Parts
) -> tuple[Place, list[Suggestion]]:
    """Return where the cursor is and what can stand there."""
    place = place_of(text, roles)
    found = [Suggestion(f"/{spec.name}", f"{spec.usage}: {spec.summary}") for spec in place.commands]
    if place.kind is not None:
        found += await _values(place.kind, place.prefix, user_id, roles, parts)
    found += [Suggestion(word, "") for word in place.words]
    return place, found[: max(MAX_SUGGESTIONS, len(place.commands))]


async def _values(
    kind: Kind, prefix: str, user_id: UUID, roles: frozenset[str], parts: Parts
) -> list[Suggestion]:
    match kind:
        case Kind.RECIPIENT:
            contacts = await people.suggest_contacts(parts.database, user_id, prefix, MAX_SUGGESTIONS)
            payees = await people.suggest_payees(parts.database, user_id, prefix, MAX_SUGGESTIONS)
            return [Suggestion(quote(row["name"]), row["address"]) for row in (*contacts, *payees)]
        case Kind.PAYEE:
            rows = await people.suggest_payees(parts.database, user_id, prefix, MAX_SUGGESTIONS)
            return [Suggestion(row["name"], row["address"]) for row in rows]
        case Kind.CONTACT:
            rows = await people.suggest_contacts(parts.database, user_id, prefix, MAX_SUGGESTIONS)
            return [Suggestion(quote(row["name"]), row["address"]) for row in rows]
        case Kind.INTENT:
            return await _open_payments(prefix, user_id, parts)
        case Kind.CURRENCY:
            symbols = parts.vocabulary.currencies
            return [Suggestion(symbol, "") for symbol in symbols if symbol.startswith(prefix.upper())]
        case Kind.TOPIC:
            specs = [spec for spec in registry.COMMANDS if registry.permitted(spec, roles)]
            return [
                Suggestion(spec.name, spec.summary) for spec in specs if spec.name.startswith(prefix.lower())
            ]
        case Kind.TEMPLATE:
            rows = await templates.suggest(parts.database, user_id, prefix, MAX_SUGGESTIONS)
            return [Suggestion(quote(row["name"]), row["payments"].replace("\n", "; ")) for row in rows]
        case Kind.ALERT:
            rows = await told.suggest_alerts(parts.database, user_id, prefix.lstrip("#"), MAX_SUGGESTIONS)
            return [
                Suggestion(
                    short_id(row["alert_id"]),
                    f"{row['symbol']} {row['comparison']} {row['price']} {row['currency']}, {row['status']}",
                )
                for row in rows
            ]
        case Kind.ZONE:
            return [Suggestion(name, "") for name in zones_beginning(prefix)[:MAX_SUGGESTIONS]]
        case _:
            hints = _HINTS.get(kind, ())
            return [Suggestion(hint, "") for hint in hints if hint.startswith(prefix.lower())]


async def _open_payments(prefix: str, user_id: UUID, parts: Parts) -> list[Suggestion]:
    tokens = {token.token_id: token for token in tokens_of(parts.chain)}
    found: list[Suggestion] = []
    for row in await views.suggest_open(parts.database, user_id, prefix.lstrip("#"), MAX_SUGGESTIONS):
        token = tokens.get(row["token"])
        amount = "" if token is None else f"{show_amount(row['amount'], token)} "
        state = row["status"].replace("_", " ")
        found.append(
            Suggestion(
                short_id(row["intent_id"]),
                f"{amount}to {payee(row['recipient_label'], row['recipient'])}, {state}",
            )
        )
    return found
