"""Cron expressions of five fields: minute, hour, day of month, month, day of week.

A field is `*`, a number, a range `a-b`, either with a step `/n`, or a list of these. Months and days of the
week may be named by their first three letters; 0 and 7 are Sunday. Where day of month and day of week are
both restricted, a day that fits either will do, as in Vixie cron.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta

_LONGEST_SEARCH_DAYS = 8 * 366 + 2
"""29 February returns after eight years at the latest."""
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_WEEKDAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_PART = re.compile(r"(?:(?P<all>\*)|(?P<first>\w+)(?:-(?P<last>\w+))?)(?:/(?P<step>[0-9]{1,3}))?\Z")


class InvalidCron(ValueError):
    """An expression that is not five fields of cron."""


@dataclass(frozen=True, slots=True)
class CronExpression:
    """When a clock on the wall shows a time that fits.

    Attributes:
        weekdays: as `date.weekday` has them, Monday is 0.
        any_day: whether a day fits that fits either field of days, because both are restricted.
    """

    text: str
    minutes: tuple[int, ...]
    hours: tuple[int, ...]
    days: frozenset[int]
    months: frozenset[int]
    weekdays: frozenset[int]
    any_day: bool

    @classmethod
    def parse(cls, text: str) -> "CronExpression":
        """Return the expression that a text is. Raises InvalidCron when it is none."""
        fields = text.lower().split()
        if len(fields) != 5:
            raise InvalidCron("a cron expression has five fields: minute, hour, day, month, weekday")
        minute, hour, day, month, weekday = fields
        return cls(
            text=" ".join(text.split()),
            minutes=tuple(sorted(_parse(minute, "minute", 0, 59))),
            hours=tuple(sorted(_parse(hour, "hour", 0, 23))),
            days=frozenset(_parse(day, "day of month", 1, 31)),
            months=frozenset(_parse(month, "month", 1, 12, _MONTHS)),
            weekdays=frozenset((number - 1) % 7 for number in _parse(weekday, "weekday", 0, 7, _WEEKDAYS)),
            any_day=not day.startswith("*") and not weekday.startswith("*"),
        )

    def next_after(self, wall: datetime) -> datetime | None:
        """Return the first fitting minute after a time on the wall; None when no day ever fits."""
        following = (wall + timedelta(minutes=1)).replace(second=0, microsecond=0)
        for ahead in range(_LONGEST_SEARCH_DAYS):
            day = following.date() + timedelta(days=ahead)
            if not self._fits(day):
                continue
            earliest = following.time() if ahead == 0 else time()
            for hour in self.hours:
                for minute in self.minutes:
                    if (found := time(hour, minute)) >= earliest:
                        return datetime.combine(day, found)
        return None

    def _fits(self, day: date) -> bool:
        if day.month not in self.months:
            return False
        by_day, by_weekday = day.day in self.days, day.weekday() in self.weekdays
        return by_day or by_weekday if self.any_day else by_day and by_weekday


def _parse(field: str, name: str, lowest: int, highest: int, names: Sequence[str] = ()) -> set[int]:
    values: set[int] = set()
    for part in field.split(","):
        found = _PART.match(part)
        if found is None:
            raise InvalidCron(f"{part!r} is not a {name}")
        step = int(found["step"] or 1)
        if found["all"]:
            first, last = lowest, highest
        else:
            first = _number(found["first"], name, names)
            until = _number(found["last"], name, names) if found["last"] else None
            last = until if until is not None else (highest if found["step"] else first)
        if step == 0 or not lowest <= first <= last <= highest:
            raise InvalidCron(f"{part!r} is not a {name} from {lowest} to {highest}")
        values.update(range(first, last + 1, step))
    return values


def _number(text: str, name: str, names: Sequence[str]) -> int:
    if text.isascii() and text.isdigit() and len(text) <= 2:
        return int(text)
    if text in names:
        return names.index(text) + (names is _MONTHS)
    raise InvalidCron(f"{text!r} is not a {name}")
