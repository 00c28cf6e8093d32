"""/settings: in which time zone and currency a user reads."""

from collections.abc import Sequence

from snowrail_chat.cards.settings import settings_card
from snowrail_chat.domain.errors import WordProblem
from snowrail_chat.domain.values import Fiat, Zone
from snowrail_chat.domain.views import UserSettings
from snowrail_chat.store import settings
from snowrail_chat.usecases.batch import Batch, Understood
from snowrail_events import UserSetTimeZoneV1


async def show(lines: Sequence[Understood], batch: Batch) -> None:
    """Show what is set."""
    await _show(lines, batch, "Settings")


async def set_zone(lines: Sequence[Understood], batch: Batch) -> None:
    """Ask for time zones to be set: they belong to the account, because others follow them, too."""
    for line in lines:
        event = UserSetTimeZoneV1(
            request_id=line.posted.message_id,
            user_id=line.posted.user_id,
            time_zone=line.command.value("zone", Zone).name,
            requested_at=line.posted.posted_at,
        )
        batch.ask(line, line.posted.user_id, "set_time_zone", event)


async def set_currency(lines: Sequence[Understood], batch: Batch) -> None:
    """Set currencies; only those in which prices are known."""
    known = {batch.parts.settings.display_currency, *await settings.known_currencies(batch.tx)}
    taken: list[Understood] = []
    for line in lines:
        code = line.command.value("currency", Fiat).code
        if code in known:
            taken.append(line)
        else:
            problem = WordProblem(
                "currency_unknown",
                f"No prices are known in {code}; there are {', '.join(sorted(known))}.",
                alternatives=tuple(sorted(known)),
            )
            batch.refuse(line.posted, line.command.at("currency", problem))
    await settings.save_currencies(
        batch.tx, {line.posted.user_id: line.command.value("currency", Fiat).code for line in taken}
    )
    await _show(taken, batch, "Currency set")


async def _show(lines: Sequence[Understood], batch: Batch, title: str) -> None:
    held = await settings.load(batch.tx, {line.posted.user_id for line in lines})
    for line in lines:
        shown = held.get(line.posted.user_id, UserSettings())
        card = settings_card(
            line.posted.card_id, title, shown, batch.parts.settings.display_currency, batch.tx.now
        )
        batch.answer(line.posted, card)
