"""Answers on their way to the screens of a user."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

from snowrail_chat.domain.cards import Card
from snowrail_chat.domain.quotes import Quotes, zone_of
from snowrail_chat.parts import Parts
from snowrail_chat.store import messages, prices, settings
from snowrail_chat.store.messages import Reply, StoredReply
from snowrail_events import ChatAnsweredV1, FeedEventV1
from snowrail_kit.delivery import Delivery
from snowrail_kit.unit_of_work import Transaction

FEED_ORIGIN = "feed"
_MAX_TEXT_CHARACTERS = 20_000
Causes = Mapping[UUID, Delivery[Any] | None]


@dataclass(frozen=True, slots=True)
class QuoteBook:
    """What amounts and times are shown with, for each user."""

    quotes: Mapping[UUID, Quotes]

    def of(self, user_id: UUID) -> Quotes:
        """Return it for one user."""
        return self.quotes[user_id]


async def load_quotes(tx: Transaction, parts: Parts, user_ids: Collection[UUID]) -> QuoteBook:
    """Return what amounts and times are shown to these users with in this transaction."""
    fresh = timedelta(seconds=parts.settings.price_fresh_seconds)
    held = await settings.load(tx, user_ids)
    usual = parts.settings.display_currency
    currencies = {usual, *(each.currency for each in held.values() if each.currency)}
    known, gas_prices = await prices.load(tx, currencies, tx.now - fresh)
    return QuoteBook(
        {
            user_id: Quotes(
                parts.chains,
                parts.chain,
                known[each.currency or usual],
                gas_prices,
                tx.now,
                fresh,
                zone_of(each.time_zone),
            )
            for user_id, each in held.items()
        }
    )


async def send(tx: Transaction, replies: Sequence[Reply], causes: Causes) -> None:
    """Store the answers to lines and put them into the feeds of their users.

    Args:
        causes: by the line answered, what led to the answer.
    """
    cards = {reply.in_reply_to: reply.card for reply in replies}
    for stored in await messages.save_replies(tx, replies):
        _emit(tx, stored, cards[stored.in_reply_to], causes.get(stored.in_reply_to))


async def update(tx: Transaction, cards: Sequence[Card], causes: Causes) -> None:
    """Put newer cards in the place of older ones, in the history and in the feeds.

    Args:
        causes: by card, what led to the change.
    """
    by_id = {card.card_id: card for card in cards}
    for stored in await messages.update_cards(tx, cards):
        _feed(tx, stored, by_id[stored.card_id], causes.get(stored.card_id))
    await follow(tx, cards, causes)


async def follow(
    tx: Transaction, cards: Sequence[Card], causes: Causes, besides: Collection[UUID] = ()
) -> None:
    """Have channels such as Telegram show the newer cards, also those that were last asked for elsewhere.

    Args:
        causes: by card, what led to the change.
        besides: lines whose answers have gone to their channel anyway.
    """
    by_id = {card.card_id: card for card in cards}
    for stored in await messages.shown_in_channels(tx, list(by_id)):
        if stored.in_reply_to not in besides:
            _tell_channel(tx, stored, by_id[stored.card_id], causes.get(stored.card_id))


def _emit(tx: Transaction, stored: StoredReply, card: Card, cause: Delivery[Any] | None) -> None:
    if stored.origin != FEED_ORIGIN:
        _tell_channel(tx, stored, card, cause)
    _feed(tx, stored, card, cause)


def _tell_channel(tx: Transaction, stored: StoredReply, card: Card, cause: Delivery[Any] | None) -> None:
    answered = ChatAnsweredV1(
        message_id=stored.message_id,
        in_reply_to=stored.in_reply_to,
        user_id=stored.user_id,
        origin=stored.origin,
        card=card.wire,
        text=card.text[:_MAX_TEXT_CHARACTERS],
        answered_at=tx.now,
    )
    tx.emit(answered, cause)


def _feed(tx: Transaction, stored: StoredReply, card: Card, cause: Delivery[Any] | None) -> None:
    event = FeedEventV1(
        user_id=stored.user_id,
        event_id=tx.ids.new(),
        name="chat:message",
        data={
            "message_id": str(stored.message_id),
            "in_reply_to": str(stored.in_reply_to),
            "replaces": None if stored.replaced_card_id is None else str(stored.replaced_card_id),
            "card": card.wire,
            "text": card.text,
        },
        occurred_at=tx.now,
    )
    tx.emit(event, cause)
