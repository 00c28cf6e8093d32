"""/notifications: what a user is told, where and when, kept by the notification service."""

from collections.abc import Sequence

from snowrail_chat.cards.told import preferences_card
from snowrail_chat.domain.registry import ALL
from snowrail_chat.domain.values import Choice, QuietHours
from snowrail_chat.store import told
from snowrail_chat.usecases.batch import Batch, Understood
from snowrail_events import NotificationSetPreferenceV1, NotificationSetQuietHoursV1


async def show(lines: Sequence[Understood], batch: Batch) -> None:
    """Show preferences."""
    found = await told.preferences_of(batch.tx, {line.posted.user_id for line in lines})
    for line in lines:
        posted = line.posted
        zone = batch.quotes_of(posted).zone.key
        batch.answer(posted, preferences_card(posted.card_id, found.get(posted.user_id), zone))


async def set_preference(lines: Sequence[Understood], batch: Batch) -> None:
    """Ask for a preference to be changed."""
    for line in lines:
        kind, channel, state = (
            line.command.value(name, Choice).word for name in ("type", "channel", "state")
        )
        event = NotificationSetPreferenceV1(
            request_id=line.posted.message_id,
            user_id=line.posted.user_id,
            type=None if kind == ALL else kind,
            channel=None if channel == ALL else channel,
            enabled=state == "on",
            requested_at=line.posted.posted_at,
        )
        batch.ask(line, line.posted.user_id, "set_preference", event)


async def set_quiet_hours(lines: Sequence[Understood], batch: Batch) -> None:
    """Ask for quiet hours to be changed."""
    for line in lines:
        hours = line.command.value("hours", QuietHours)
        event = NotificationSetQuietHoursV1(
            request_id=line.posted.message_id,
            user_id=line.posted.user_id,
            starts_at=None if hours.starts_at is None else f"{hours.starts_at:%H:%M}",
            ends_at=None if hours.ends_at is None else f"{hours.ends_at:%H:%M}",
            requested_at=line.posted.posted_at,
        )
        batch.ask(line, line.posted.user_id, "set_quiet_hours", event)
