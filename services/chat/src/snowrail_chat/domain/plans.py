"""From how often somebody typed to when it begins and ends."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Literal
from zoneinfo import ZoneInfo

from snowrail_chat.domain.errors import WordProblem
from snowrail_chat.domain.recurrences import Recurrence
from snowrail_chat.domain.times import At, on_day, resolve

_LAST_SECOND = time(23, 59, 59)


@dataclass(frozen=True, slots=True)
class Span:
    """A recurrence with its ends, in UTC."""

    every: Recurrence
    start_at: datetime
    end_at: datetime | None

    @property
    def kind(self) -> Literal["daily", "weekly", "monthly", "cron"]:
        """How it repeats."""
        match self.every.kind:
            case "daily" | "weekly" | "monthly" | "cron" as kind:
                return kind
            case other:
                raise AssertionError(f"{other} is no recurrence")


def recur(every: Recurrence, now: datetime, zone: ZoneInfo, first: date | None, last: date | None) -> Span:
    """Return a recurrence with its ends: from the next time, or the first day, to the end of the last day.

    Raises:
        WordProblem: the first day is past, the last one comes before it, or a time of day is not there.
    """
    start = _start(every, now, zone, first)
    end = None if last is None else datetime.combine(last, _LAST_SECOND, zone).astimezone(UTC)
    if end is not None and end < start:
        raise WordProblem(
            "time_past",
            f"The last day, {last}, is over before the first payment on {start.astimezone(zone):%Y-%m-%d}.",
        )
    return Span(every, start, end)


def _start(every: Recurrence, now: datetime, zone: ZoneInfo, first: date | None) -> datetime:
    today = now.astimezone(zone).date()
    if first is not None and first < today:
        raise WordProblem("time_past", f"The first day, {first}, is past.")
    if every.clock is None:
        if first is None or first == today:
            return now + timedelta(seconds=1)
        return on_day(first, time(0), zone)
    try:
        if first is None or first == today:
            return resolve(At(None, every.clock), now, zone)
        return on_day(first, every.clock, zone)
    except WordProblem as problem:  # what could be typed instead of a single time is no recurrence
        raise WordProblem(problem.code, str(problem)) from problem
