"""/alert and /alerts: marks for prices, kept by the notification service."""

from collections.abc import Sequence
from typing import Literal

from snowrail_chat.cards.told import alerts_card
from snowrail_chat.domain.errors import WordProblem
from snowrail_chat.domain.values import Choice, Currency, IdPrefix, UnitPrice
from snowrail_chat.store import told
from snowrail_chat.usecases.batch import Batch, Understood
from snowrail_events import AlertCreateV1, AlertDeleteV1
from snowrail_kit.ids import derived_id

_ROWS = 30


async def create(lines: Sequence[Understood], batch: Batch) -> None:
    """Ask for alerts."""
    for line in lines:
        posted, command = line.posted, line.command
        alert_id = derived_id("alert", posted.message_id)
        side: Literal["above", "below"] = (
            "above" if command.value("side", Choice).word == "above" else "below"
        )
        event = AlertCreateV1(
            alert_id=alert_id,
            request_id=posted.message_id,
            user_id=posted.user_id,
            symbol=command.value("token", Currency).symbol,
            comparison=side,
            price=command.value("price", UnitPrice).text,
            requested_at=posted.posted_at,
        )
        batch.ask(line, alert_id, "alert_create", event)


async def show(lines: Sequence[Understood], batch: Batch) -> None:
    """Show alerts."""
    found = await told.alerts_of(batch.tx, {line.posted.user_id for line in lines}, _ROWS)
    for line in lines:
        posted = line.posted
        shown = found.get(posted.user_id, [])
        batch.answer(posted, alerts_card(posted.card_id, shown, batch.quotes_of(posted)))


async def delete(lines: Sequence[Understood], batch: Batch) -> None:
    """Ask for alerts to be forgotten."""
    asked = [(line.posted.user_id, line.command.value("id", IdPrefix)) for line in lines]
    for line, (_, prefix), matching in zip(
        lines, asked, await told.alerts_matching(batch.tx, asked), strict=True
    ):
        if len(matching) != 1:
            problem = (
                WordProblem(
                    "id_ambiguous", f"Several of your alerts begin with {prefix.digits}: type more digits."
                )
                if matching
                else WordProblem("id_unknown", f"You have no alert {prefix.digits}. /alerts shows yours.")
            )
            batch.refuse(line.posted, line.command.at("id", problem))
            continue
        event = AlertDeleteV1(
            alert_id=matching[0].alert_id,
            request_id=line.posted.message_id,
            user_id=line.posted.user_id,
            requested_at=line.posted.posted_at,
        )
        batch.ask(line, matching[0].alert_id, "alert_delete", event)
