"""A batch of lines on its way to answers."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from snowrail_chat.cards.answers import error_card, with_remark
from snowrail_chat.clients import TransactionAnswer, TransactionQuestion
from snowrail_chat.domain.cards import Card
from snowrail_chat.domain.commands import Command, render
from snowrail_chat.domain.errors import CommandError
from snowrail_chat.domain.quotes import Quotes
from snowrail_chat.parts import Parts
from snowrail_chat.store.messages import Request
from snowrail_chat.usecases.replies import FEED_ORIGIN, QuoteBook
from snowrail_events import Event
from snowrail_kit.delivery import Delivery
from snowrail_kit.ids import derived_id
from snowrail_kit.unit_of_work import Transaction

Balances = Mapping[str, Mapping[str, int]]
"""Atoms by token id, by address."""


@dataclass(frozen=True, slots=True)
class Posted:
    """A line that a user sent.

    Attributes:
        address: of the wallet the user signed in with; it pays.
        cause: the message that brought it; None for one that came over HTTP.
        device_id: the device it was typed on, where that is known.
        origin: where the answer goes: `feed`, or also to a channel such as `telegram`.
    """

    message_id: UUID
    user_id: UUID
    handle: str
    address: str
    roles: frozenset[str]
    text: str
    posted_at: datetime
    cause: Delivery[Any] | None = None
    device_id: UUID | None = None
    origin: str = FEED_ORIGIN

    @property
    def card_id(self) -> UUID:
        """Id of the card that answers this line alone."""
        return derived_id("card", self.message_id)


@dataclass(frozen=True, slots=True)
class Understood:
    """A line and the command it means."""

    posted: Posted
    command: Command


@dataclass(slots=True)
class Batch:
    """What the handlers of commands work with, and what they decided.

    Attributes:
        balances: what could be read for the wallets in it; None when the chain monitor did not answer.
        transactions: what the intent service built; what it did not answer is missing.
        answers: cards by line.
        outcomes: what became of each line, for the metrics.
        remarks: what is added to the answer of a line, such as that it left a dialogue.
    """

    tx: Transaction
    parts: Parts
    book: QuoteBook
    balances: Balances | None
    transactions: Mapping[TransactionQuestion, TransactionAnswer]
    answers: dict[UUID, Card] = field(default_factory=dict[UUID, Card])
    requests: list[Request] = field(default_factory=list[Request])
    outcomes: dict[UUID, str] = field(default_factory=dict[UUID, str])
    remarks: dict[UUID, str] = field(default_factory=dict[UUID, str])

    def quotes_of(self, posted: Posted) -> Quotes:
        """Return what amounts and times are shown to a user with."""
        return self.book.of(posted.user_id)

    def answer(self, posted: Posted, card: Card, outcome: str = "answered") -> None:
        """Answer a line."""
        assert posted.message_id not in self.outcomes, "a line is answered once"
        remark = self.remarks.get(posted.message_id)
        self.answers[posted.message_id] = with_remark(card, remark) if remark else card
        self.outcomes[posted.message_id] = outcome

    def refuse(self, posted: Posted, error: CommandError, outcome: str = "refused") -> None:
        """Answer a line with what is wrong with it."""
        self.answer(posted, error_card(posted.card_id, posted.text, error), outcome)

    def ask(self, line: Understood, subject_id: UUID, request: str, event: Event) -> None:
        """Pass a line on to another service, whose answer becomes the answer to the line."""
        posted = line.posted
        assert posted.message_id not in self.outcomes, "a line is answered once"
        self.tx.emit(event, posted.cause)
        self.requests.append(
            Request(
                posted.message_id,
                posted.user_id,
                subject_id,
                request,
                render(line.command),
                self.remarks.get(posted.message_id, ""),
            )
        )
        self.outcomes[posted.message_id] = "requested"
