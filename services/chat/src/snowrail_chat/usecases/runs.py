"""Runs of templates: their cards follow the intents they asked for."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from snowrail_chat.cards.templates import run_card
from snowrail_chat.parts import Parts
from snowrail_chat.store import templates
from snowrail_chat.usecases import replies
from snowrail_chat.usecases.replies import QuoteBook
from snowrail_events import IntentRejectedV1
from snowrail_kit.delivery import Delivery
from snowrail_kit.unit_of_work import Transaction


async def show(tx: Transaction, causes: Mapping[UUID, Delivery[Any]], book: QuoteBook) -> None:
    """Make the cards of the runs anew that these intents belong to.

    Args:
        causes: by intent, the event that changed it.
    """
    runs = await templates.next_runs(tx, causes)
    cards = {run.run_id: run_card(run, book.of(run.user_id)) for run in runs}
    by_card = {
        cards[run.run_id].card_id: causes[payment.intent_id]
        for run in runs
        for payment in run.payments
        if payment.intent_id is not None and payment.intent_id in causes
    }
    await replies.update(tx, list(cards.values()), by_card)


async def refuse(tx: Transaction, parts: Parts, rejected: Mapping[UUID, Delivery[IntentRejectedV1]]) -> None:
    """Show which payments of runs were refused, and why."""
    refusals = {key: (delivery.event.code, delivery.event.detail) for key, delivery in rejected.items()}
    concerned = await templates.refuse(tx, refusals)
    if concerned:
        causes = {key: rejected[key] for key in concerned}
        book = await replies.load_quotes(tx, parts, {delivery.event.user_id for delivery in causes.values()})
        await show(tx, causes, book)
