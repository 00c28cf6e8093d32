"""Whether and when a person is told on a channel: preferences, and their own quiet hours. Pure."""

from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from snowrail_notification.domain.catalogue import Channel, Kind, Priority


@dataclass(frozen=True, slots=True)
class QuietHours:
    """When a person is not to be disturbed, by the clock on their wall; may reach over midnight."""

    starts_at: time
    ends_at: time


def zone(name: str) -> ZoneInfo:
    """Return a time zone by its name; UTC for one that is not known here."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return ZoneInfo("UTC")


def quiet_until(now: datetime, time_zone: str, quiet: QuietHours | None) -> datetime | None:
    """Return when the quiet hours end that `now` lies in, or None outside of them.

    A day on which the clock jumps over the end ends them with the jump; where an hour comes twice, they end
    with the first.
    """
    if quiet is None:
        return None
    local = now.astimezone(zone(time_zone))
    clock = local.time().replace(tzinfo=None)
    if quiet.starts_at < quiet.ends_at:
        within, ends_today = quiet.starts_at <= clock < quiet.ends_at, True
    else:
        within, ends_today = clock >= quiet.starts_at or clock < quiet.ends_at, clock < quiet.ends_at
    if not within:
        return None
    day = local.date() if ends_today else local.date() + timedelta(days=1)
    end = datetime.combine(day, quiet.ends_at, tzinfo=local.tzinfo).astimezone(UTC)
    return max(end, now)


def is_told(kind: Kind, channel: Channel, preference: bool | None) -> bool:
    """Return whether a user is told on a channel, given their preference for type and channel, if any.

    Critical ones always are, wherever a user can be reached: whoever took over a session could otherwise
    silence the warning of it. To stop them on a channel, disconnect the channel.
    """
    if kind.priority is Priority.CRITICAL:
        return True
    return channel in kind.default_channels if preference is None else preference


def due_at(kind: Kind, now: datetime, time_zone: str, quiet: QuietHours | None) -> datetime:
    """Return when an outside channel tells: now, or for what is not critical after the quiet hours."""
    if kind.priority is Priority.CRITICAL:
        return now
    return quiet_until(now, time_zone, quiet) or now


def last_monday_nine(now: datetime, time_zone: str) -> datetime:
    """Return the last Monday 9:00 of a time zone that is not after `now`, as a local time."""
    local = now.astimezone(zone(time_zone))
    monday = local.date() - timedelta(days=local.weekday())
    nine = datetime.combine(monday, time(9), tzinfo=local.tzinfo)
    if nine.astimezone(UTC) <= now:
        return nine
    return datetime.combine(monday - timedelta(days=7), time(9), tzinfo=local.tzinfo)
