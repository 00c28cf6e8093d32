"""The weekly summary: Mondays at nine on the user's own clock, once, whatever restarts in between."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

from snowrail_kit.ids import derived_id
from snowrail_kit.unit_of_work import Transaction
from snowrail_notification.domain import wording
from snowrail_notification.domain.attention import last_monday_nine
from snowrail_notification.domain.catalogue import Type
from snowrail_notification.domain.wording import Action, Message
from snowrail_notification.parts import Parts
from snowrail_notification.store import summaries as store
from snowrail_notification.usecases.telling import Telling, tell_all

_WEEK = timedelta(days=7)
_LATEST = timedelta(hours=36)
"""A summary that could not be told by Tuesday night is not told any more."""
_USERS_AT_ONCE = 500


async def summarise(parts: Parts) -> bool:
    """Tell users whose Monday morning has come what moved in the week before. True when there may be more."""
    more = False
    async with parts.transaction() as tx:
        for time_zone in await store.time_zones(tx):
            nine = last_monday_nine(tx.now, time_zone)
            until = nine.astimezone(UTC)
            if tx.now - until > _LATEST:
                continue
            since = (nine - _WEEK).astimezone(UTC)
            users = await store.begin(tx, time_zone, nine.date(), since, until, _USERS_AT_ONCE)
            more = more or len(users) == _USERS_AT_ONCE
            if users:
                messages = await _messages(tx, parts, users, since, until)
                tellings = [
                    Telling(derived_id("weekly summary", user_id, nine.date()), message)
                    for user_id, message in messages.items()
                ]
                await tell_all(tx, tellings, parts)
    return more


async def _messages(
    tx: Transaction, parts: Parts, users: list[UUID], since: datetime, until: datetime
) -> dict[UUID, Message]:
    lines: dict[UUID, dict[bool, list[str]]] = {}
    counts: dict[UUID, int] = {}
    data: dict[UUID, list[dict[str, object]]] = {}
    for row in await store.totals(tx, users, since, until):
        user_id, sent, payments = row["user_id"], row["sent"], row["payments"]
        amount = wording.amount_text(parts.registry, row["token"], int(row["amount"]))
        lines.setdefault(user_id, {True: [], False: []})[sent].append(amount)
        counts[user_id] = counts.get(user_id, 0) + payments
        total: dict[str, object] = {"sent": sent, "token": row["token"], "amount": str(row["amount"])}
        total["payments"] = payments
        data.setdefault(user_id, []).append(total)
    return {
        user_id: Message(
            user_id,
            Type.WEEKLY_SUMMARY,
            "Your week",
            _sentence(counts[user_id], both[True], both[False]),
            {"since": since.isoformat(), "until": until.isoformat(), "totals": data[user_id]},
            (Action("Show", "/history", "primary"),),
        )
        for user_id, both in lines.items()
    }


def _sentence(count: int, sent: list[str], received: list[str]) -> str:
    parts = [f"{count} payment{'s' if count != 1 else ''}"]
    if sent:
        parts.append(f"sent {', '.join(sent)}")
    if received:
        parts.append(f"received {', '.join(received)}")
    return "; ".join(parts) + "."
