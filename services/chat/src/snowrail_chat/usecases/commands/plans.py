"""/schedule and /recurring: payments that wait, and payments that repeat."""

from collections.abc import Sequence

from snowrail_chat.cards.plans import plans_card
from snowrail_chat.domain.cards import Action
from snowrail_chat.store import views
from snowrail_chat.usecases.batch import Batch, Understood
from snowrail_chat.usecases.commands.payments import find_intents
from snowrail_events import IntentPauseV1, IntentResumeV1

_ROWS = 15


async def show_schedule(lines: Sequence[Understood], batch: Batch) -> None:
    """Show payments that wait for a time or a condition."""
    draft = Action("Schedule one", "/pay ", draft=True)
    await _show(lines, batch, "payments wait for their time or condition", draft, recurring=False)


async def show_recurring(lines: Sequence[Understood], batch: Batch) -> None:
    """Show payments that repeat."""
    draft = Action("Set one up", "/recurring setup")
    await _show(lines, batch, "payments repeat", draft, recurring=True)


async def pause(lines: Sequence[Understood], batch: Batch) -> None:
    """Ask for payments to be held back."""
    for message_id, view in (await find_intents(lines, batch)).items():
        line = next(line for line in lines if line.posted.message_id == message_id)
        event = IntentPauseV1(
            intent_id=view.intent_id, user_id=line.posted.user_id, request_id=line.posted.message_id
        )
        batch.ask(line, view.intent_id, "pause", event)


async def resume(lines: Sequence[Understood], batch: Batch) -> None:
    """Ask for payments that are held back to go on."""
    for message_id, view in (await find_intents(lines, batch)).items():
        line = next(line for line in lines if line.posted.message_id == message_id)
        event = IntentResumeV1(
            intent_id=view.intent_id, user_id=line.posted.user_id, request_id=line.posted.message_id
        )
        batch.ask(line, view.intent_id, "resume", event)


async def _show(
    lines: Sequence[Understood], batch: Batch, title: str, draft: Action, *, recurring: bool
) -> None:
    found = await views.planned(batch.tx, {line.posted.user_id for line in lines}, _ROWS, recurring=recurring)
    for line in lines:
        shown = found.get(line.posted.user_id, [])
        card = plans_card(line.posted.card_id, title, shown, batch.quotes_of(line.posted), draft)
        batch.answer(line.posted, card)
