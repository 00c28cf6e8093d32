"""When a payment repeats: days and times of one time zone, as moments.

The rules:

- daily, weekly and monthly payments keep the time of day that `start_at` has in the time zone; a monthly one
  on a day that a month lacks is paid on that month's last day;
- a time of day that the clocks skip comes when they have jumped; one that they show twice counts the first
  time; so no occurrence falls out, and none comes twice;
- the first occurrence is at `start_at` or the first fitting moment after it, the last one not after `end_at`;
- `count` counts occurrences of the calendar, paid or missed.
"""

from calendar import monthrange
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from snowrail_intent.domain.cron import CronExpression, InvalidCron

_CALENDAR_YEAR = 2100
_CALENDAR_YEARS = 200
"""Start and end lie within so many years of that one: far from where calendars end."""


class Frequency(StrEnum):
    """What a payment follows."""

    DAILY = "daily"
    WEEKLY = "weekly"
    MONTHLY = "monthly"
    CRON = "cron"


class Missed(StrEnum):
    """What becomes of occurrences that could not be paid in time."""

    SKIP = "skip"
    RUN_ONCE = "run_once"
    RUN_ALL = "run_all"


class InvalidRecurrence(ValueError):
    """Terms of a recurrence that do not fit together."""


@dataclass(frozen=True, slots=True)
class Recurrence:
    """A validated recurrence; see `recurrence` for what may be left out.

    Attributes:
        interval: every how many days, weeks or months.
        weekday: Monday is 0; weekly only.
        day: of the month; monthly only.
        cron: of `Frequency.CRON` only.
        count: most occurrences; None for no such bound.
    """

    frequency: Frequency
    interval: int
    weekday: int | None
    day: int | None
    cron: CronExpression | None
    time_zone: str
    start_at: datetime
    end_at: datetime | None
    count: int | None
    missed: Missed

    def first(self) -> datetime | None:
        """Return the moment of the first occurrence, in UTC; None when there is none."""
        if self.cron is None:
            return self._within(max(self._at(0), self.start_at))
        wall = _on_the_wall(self.start_at, self.time_zone)
        starts_within_a_minute = wall.second or wall.microsecond
        before = wall if starts_within_a_minute else wall - timedelta(minutes=1)
        return self._next_by_cron(before, self.start_at - timedelta(microseconds=1))

    def after(self, index: int, moment: datetime) -> datetime | None:
        """Return the moment of the occurrence that follows the one of this index at this moment, in UTC.

        None after the last one.
        """
        if self.count is not None and index + 1 >= self.count:
            return None
        if self.cron is None:
            return self._within(self._at(index + 1))
        return self._next_by_cron(_on_the_wall(moment, self.time_zone), moment)

    def occurrences(self) -> Iterator[datetime]:
        """Return the moments of all occurrences in order; endless where neither count nor end is given."""
        index, moment = 0, self.first()
        while moment is not None:
            yield moment
            moment = self.after(index, moment)
            index += 1

    def _next_by_cron(self, wall: datetime, after: datetime) -> datetime | None:
        assert self.cron is not None, "called for cron only"
        while (following := self.cron.next_after(wall)) is not None:
            moment = _resolve(following, self.time_zone)
            if moment > after:
                return self._within(moment)
            wall = following
        return None

    def _within(self, moment: datetime) -> datetime | None:
        return moment if self.end_at is None or moment <= self.end_at else None

    def _at(self, index: int) -> datetime:
        start = _on_the_wall(self.start_at, self.time_zone)
        steps = index * self.interval
        if self.frequency is Frequency.DAILY:
            day = start.date() + timedelta(days=steps)
        elif self.frequency is Frequency.WEEKLY:
            assert self.weekday is not None, "weekly payments have a weekday"
            day = start.date() + timedelta(days=(self.weekday - start.weekday()) % 7 + 7 * steps)
        else:
            day = self._day_of_month(start.date(), steps)
        return _resolve(datetime.combine(day, start.time()), self.time_zone)

    def _day_of_month(self, start: date, steps: int) -> date:
        assert self.day is not None, "monthly payments have a day"
        has_passed = min(self.day, monthrange(start.year, start.month)[1]) < start.day
        months = start.year * 12 + start.month - 1 + has_passed + steps
        year, month = divmod(months, 12)
        return date(year, month + 1, min(self.day, monthrange(year, month + 1)[1]))


@dataclass(frozen=True, slots=True)
class Series:
    """What one signature covers of a recurrence.

    Attributes:
        slots: number of occurrences.
        first_at, last_at: moments of the first and the last one.
        least_interval_seconds: of the order: the n-th execution is never earlier than n times this after the
            first, whatever was missed before; zero for a single one.
        most_in_day, most_in_month: most occurrences in one UTC day and in one month.
    """

    slots: int
    first_at: datetime
    last_at: datetime
    least_interval_seconds: int
    most_in_day: int
    most_in_month: int


def series_of(recurrence: Recurrence, until: datetime, most: int) -> Series:
    """Return what is signed of a recurrence: its occurrences until a moment.

    Raises:
        InvalidRecurrence: there is none, more than `most`, or they are bound to go on after that moment.
    """
    bounded = recurrence.end_at is not None or recurrence.count is not None
    beyond = f"it goes on after {until:%Y-%m-%d}; choose an earlier end or a lower count"
    moments: list[datetime] = []
    for moment in recurrence.occurrences():
        if moment > until and (bounded or not moments):
            raise InvalidRecurrence(beyond)
        if len(moments) == most and bounded:
            raise InvalidRecurrence(
                f"it has more than {most} occurrences; choose an earlier end or a lower count"
            )
        if moment > until or len(moments) == most:
            break
        moments.append(moment)
    if not moments:
        raise InvalidRecurrence("it has no occurrence between its start and its end")
    first = moments[0]
    elapsed = (int((moment - first).total_seconds()) // nth for nth, moment in enumerate(moments[1:], 1))
    return Series(
        slots=len(moments),
        first_at=first,
        last_at=moments[-1],
        least_interval_seconds=min(elapsed, default=0),
        most_in_day=max(Counter(moment.date() for moment in moments).values()),
        most_in_month=max(Counter((moment.year, moment.month) for moment in moments).values()),
    )


def recurrence(
    frequency: Frequency,
    *,
    start_at: datetime,
    time_zone: str,
    interval: int = 1,
    weekday: int | None = None,
    day: int | None = None,
    cron: str | None = None,
    end_at: datetime | None = None,
    count: int | None = None,
    missed: Missed = Missed.SKIP,
) -> Recurrence:
    """Return a recurrence; weekday and day are those of `start_at` where they are left out.

    Raises:
        InvalidRecurrence: the terms do not fit together.
    """
    if any(moment and abs(moment.year - _CALENDAR_YEAR) > _CALENDAR_YEARS for moment in (start_at, end_at)):
        raise InvalidRecurrence("its start or end is too far away")
    try:
        wall = _on_the_wall(start_at, time_zone)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise InvalidRecurrence(f"{time_zone!r} is no time zone, such as Europe/Paris") from error
    _check_fields(frequency, interval, weekday, day, cron)
    if end_at is not None and end_at < start_at:
        raise InvalidRecurrence("it ends before it starts")
    try:
        expression = CronExpression.parse(cron) if cron is not None else None
    except InvalidCron as error:
        raise InvalidRecurrence(str(error)) from error
    weekly, monthly = frequency is Frequency.WEEKLY, frequency is Frequency.MONTHLY
    return Recurrence(
        frequency=frequency,
        interval=interval,
        weekday=(wall.weekday() if weekday is None else weekday) if weekly else None,
        day=(wall.day if day is None else day) if monthly else None,
        cron=expression,
        time_zone=time_zone,
        start_at=start_at.astimezone(UTC),
        end_at=end_at.astimezone(UTC) if end_at else None,
        count=count,
        missed=missed,
    )


def _check_fields(
    frequency: Frequency, interval: int, weekday: int | None, day: int | None, cron: str | None
) -> None:
    if weekday is not None and frequency is not Frequency.WEEKLY:
        raise InvalidRecurrence("a weekday belongs to weekly payments only")
    if day is not None and frequency is not Frequency.MONTHLY:
        raise InvalidRecurrence("a day of the month belongs to monthly payments only")
    if (cron is not None) is not (frequency is Frequency.CRON):
        raise InvalidRecurrence("a cron expression belongs to payments by cron, and to no others")
    if cron is not None and interval != 1:
        raise InvalidRecurrence("a cron expression says its interval itself")


def _on_the_wall(moment: datetime, time_zone: str) -> datetime:
    return moment.astimezone(ZoneInfo(time_zone)).replace(tzinfo=None)


def _resolve(wall: datetime, time_zone: str) -> datetime:
    """Return the first moment at which a clock shows this time, or has just jumped over it."""
    zone = ZoneInfo(time_zone)
    moment = wall.replace(tzinfo=zone, fold=0).astimezone(UTC)
    if moment.astimezone(zone).replace(tzinfo=None) == wall:
        return moment
    # the clocks skip this time between these two moments; find the second they jump
    before, after = wall.replace(tzinfo=zone, fold=1).astimezone(UTC), moment
    offset_before = before.astimezone(zone).utcoffset()
    while after - before > timedelta(seconds=1):
        middle = before + timedelta(seconds=int((after - before).total_seconds()) // 2)
        if middle.astimezone(zone).utcoffset() == offset_before:
            before = middle
        else:
            after = middle
    return after.replace(microsecond=0)
