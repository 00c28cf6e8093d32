"""Moments as people type them: `at tomorrow 9am`, `in 2 hours`.

What is typed is read without a clock; `resolve` then finds the moment in the user's time zone. Its rules:

- A date needs a time. A time alone is the next moment at which the clock shows it, today or tomorrow.
- A day of the week is the nearest such day whose time is still ahead; today counts.
- Hours and minutes of `in` are elapsed time. Days and weeks keep the time of the clock; where the clocks leap
  over that time the moment is the one as long after the leap, and of a time that comes twice it is the first.
- A time of `at` that the clocks leap over, or that comes twice, is refused with what can be typed instead.
"""

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from lark import Lark, Token, Transformer
from lark.exceptions import UnexpectedInput, VisitError

from snowrail_chat.domain.errors import WordProblem

WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
MAX_AHEAD = timedelta(days=2 * 366)
_DAY = timedelta(days=1)
_WEEK_DAYS = 7
_MAX_COUNT = 10_000
_UNITS = {"w": "week", "d": "day", "h": "hour", "m": "minute"}
_EXAMPLES = "such as 'at 2026-12-25 14:00', 'at tomorrow 9am', 'at friday 18:00' or 'in 2 hours'"

_GRAMMAR = r"""
?start: _AT _when | _IN duration

_when: at_date | at_day | at_clock | at_iso
at_date: DATE clock UTC?
at_iso: ISO UTC?
at_day: DAY clock
at_clock: clock
clock: CLOCK -> clock24 | CLOCK12 -> clock12 | _NOON -> noon
duration: (COUNT UNIT)+

_AT: /at\b/i
_IN: /in\b/i
_NOON: /noon\b/i
ISO: /\d{4}-\d{2}-\d{2}T\d{2}:\d{2}/i
DATE: /\d{4}-\d{2}-\d{2}/
CLOCK12: /\d{1,2}(:\d{2})?\s?(am|pm)\b/i
CLOCK: /\d{1,2}:\d{2}(?!\s?[ap]m)/i
DAY: /(today|tomorrow|mon(day)?|tue(sday)?|wed(nesday)?|thu(rsday)?|fri(day)?|sat(urday)?|sun(day)?)\b/i
UTC: /(utc|z)\b/i
COUNT: /\d{1,5}/
UNIT: /(minutes?|mins?|m|hours?|h|days?|d|weeks?|w)(?![A-Za-z])/i
%ignore /\s+/
"""

_PARSER = Lark(_GRAMMAR, parser="lalr", lexer="contextual")
_BARE_HOUR = re.compile(r"(?<![\d:/.-])\d{1,2}(?![\d:/.-]|\s?[ap]m)", re.IGNORECASE)
_SLASHED = re.compile(r"\d{1,4}[/.]\d{1,2}(?:[/.]\d{2,4})?")
_DAY_ONLY = re.compile(
    r"(at (?:\d{4}-\d{2}-\d{2}|today|tomorrow|mon\w*|tue\w*|wed\w*|thu\w*|fri\w*|sat\w*|sun\w*))",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class At:
    """A time of the clock.

    Attributes:
        day: a date, `today`, `tomorrow`, a day of the week, or None for the next time the clock shows it.
        clock: hour and minute.
        utc: meant in UTC whatever the user's time zone.
    """

    day: date | str | None
    clock: time
    utc: bool = False

    def __str__(self) -> str:
        day = self.day.isoformat() if isinstance(self.day, date) else self.day
        parts = ["at", day, f"{self.clock:%H:%M}", "UTC" if self.utc else None]
        return " ".join(part for part in parts if part)


@dataclass(frozen=True, slots=True)
class In:
    """A time from now."""

    weeks: int = 0
    days: int = 0
    hours: int = 0
    minutes: int = 0

    def __str__(self) -> str:
        counts = {"week": self.weeks, "day": self.days, "hour": self.hours, "minute": self.minutes}
        words = [f"{count} {unit}{'s' * (count != 1)}" for unit, count in counts.items() if count]
        return " ".join(["in", *words])


Moment = At | In


class _Reader(Transformer[Token, Moment]):
    def clock24(self, items: list[Token]) -> time:
        return _clock(items[0], items[0])

    def clock12(self, items: list[Token]) -> time:
        text = items[0].lower().replace(" ", "")
        hour, _, minute = text[:-2].partition(":")
        if not 1 <= int(hour) <= 12:
            raise _problem(
                "time_malformed", f"'{items[0]}' is no time: am and pm go with hours from 1 to 12.", items[0]
            )
        return _clock(f"{int(hour) % 12 + 12 * text.endswith('pm')}:{minute or '00'}", items[0])

    def noon(self, _: list[Token]) -> time:
        return time(12)

    def at_date(self, items: list[Token | time]) -> At:
        day, clock = items[0], items[1]
        assert isinstance(day, Token), "the grammar says so"
        assert isinstance(clock, time), "the grammar says so"
        return At(_date(day), clock, len(items) > 2)

    def at_iso(self, items: list[Token]) -> At:
        text = items[0].upper()
        return At(
            _date(items[0], text.partition("T")[0]), _clock(text.partition("T")[2], items[0]), len(items) > 1
        )

    def at_day(self, items: list[Token | time]) -> At:
        day, clock = items
        assert isinstance(day, Token), "the grammar says so"
        assert isinstance(clock, time), "the grammar says so"
        return At(_day_name(day), clock)

    def at_clock(self, items: list[time]) -> At:
        return At(None, items[0])

    def duration(self, items: list[Token]) -> In:
        counts = {"week": 0, "day": 0, "hour": 0, "minute": 0}
        for count, unit in zip(items[::2], items[1::2], strict=True):
            name = _UNITS[unit[0].lower()]
            if counts[name]:
                raise _problem("time_malformed", f"'{unit}' is said twice.", unit)
            if not 0 < int(count) <= _MAX_COUNT:
                raise _problem("time_malformed", f"'{count}' is no count: type 1 to {_MAX_COUNT}.", count)
            counts[name] = int(count)
        return In(counts["week"], counts["day"], counts["hour"], counts["minute"])


def read_moment(text: str) -> Moment:
    """Return what a text such as `at friday 18:00` or `in 2 hours` means.

    Raises:
        WordProblem: it means nothing, or not one thing only.
    """
    try:
        return _Reader().transform(_PARSER.parse(text))
    except VisitError as error:
        if isinstance(error.orig_exc, WordProblem):
            raise error.orig_exc from error
        raise
    except UnexpectedInput as error:
        raise _explain(text, min(error.pos_in_stream or len(text), len(text))) from error


def read_date(text: str, start: int = 0) -> date:
    """Return the date a word such as `2026-12-25` means. Raises WordProblem."""
    if not re.fullmatch(r"\d{4}-\d{2}-\d{2}", text):
        raise WordProblem(
            "date_malformed",
            f"'{text}' is no date: type year-month-day, such as 2026-12-25.",
            start=start,
            length=len(text),
        )
    return _date(Token("DATE", text, start_pos=start))


def resolve(moment: Moment, now: datetime, zone: ZoneInfo) -> datetime:
    """Return the moment in UTC, by the rules of this module.

    Raises:
        WordProblem: it is past, too far ahead, or no single moment; with what to type instead.
    """
    found = _resolve_in(moment, now, zone) if isinstance(moment, In) else _resolve_at(moment, now, zone)
    if found <= now:
        raise WordProblem(
            "time_past", f"{_local(found, zone)} is past; name a time ahead, or leave it out to pay at once."
        )
    if found > now + MAX_AHEAD:
        raise WordProblem("time_too_far", f"{_local(found, zone)} is too far ahead; at most two years are.")
    return found


def on_day(day: date, clock: time, zone: ZoneInfo) -> datetime:
    """Return when the clocks of a zone show a time on a day, in UTC.

    Raises:
        WordProblem: never, because the clocks leap over it, or twice.
    """
    first = datetime.combine(day, clock, zone)
    second = first.replace(fold=1)
    if first.utcoffset() == second.utcoffset():
        return first.astimezone(UTC)
    early, late = sorted((first.astimezone(UTC), second.astimezone(UTC)))
    if early.astimezone(zone).replace(tzinfo=None, fold=0) == datetime.combine(day, clock):
        raise WordProblem(
            "time_ambiguous",
            f"On {day} the clocks of {zone.key} show {clock:%H:%M} twice. Type the time in UTC: "
            f"{early:%H:%M} for the first, {late:%H:%M} for the second.",
            alternatives=tuple(f"at {at:%Y-%m-%d %H:%M} UTC" for at in (early, late)),
        )
    before, after = (at.astimezone(zone) for at in (early, late))
    raise WordProblem(
        "time_skipped",
        f"On {day} the clocks of {zone.key} never show {clock:%H:%M}: they leap over it. Type another time, "
        f"such as {before:%H:%M} or {after:%H:%M}.",
        alternatives=tuple(f"at {at:%Y-%m-%d %H:%M}" for at in (before, after)),
    )


def _resolve_in(moment: In, now: datetime, zone: ZoneInfo) -> datetime:
    days = _WEEK_DAYS * moment.weeks + moment.days
    elapsed = timedelta(hours=moment.hours, minutes=moment.minutes)
    if days:
        # arithmetic on a time with a zone is on what the clock shows; `fold` then picks the first of two
        now = (now.astimezone(zone) + timedelta(days=days)).replace(fold=0).astimezone(UTC)
    return now + elapsed


def _resolve_at(moment: At, now: datetime, zone: ZoneInfo) -> datetime:
    place = ZoneInfo("UTC") if moment.utc else zone
    today = now.astimezone(place).date()
    match moment.day:
        case date():
            return on_day(moment.day, moment.clock, place)
        case "today":
            return on_day(today, moment.clock, place)
        case "tomorrow":
            return on_day(today + _DAY, moment.clock, place)
        case None:
            days, step = today, _DAY
        case weekday:
            ahead = (WEEKDAYS.index(weekday) - today.weekday()) % _WEEK_DAYS
            days, step = today + ahead * _DAY, _WEEK_DAYS * _DAY
    if datetime.combine(days, moment.clock) <= now.astimezone(place).replace(tzinfo=None):
        days += step
    return on_day(days, moment.clock, place)


def _local(at: datetime, zone: ZoneInfo) -> str:
    return f"{at.astimezone(zone):%Y-%m-%d %H:%M} {zone.key}"


def _problem(code: str, message: str, token: Token) -> WordProblem:
    return WordProblem(code, message, start=token.start_pos or 0, length=len(token))


def _clock(text: str, token: Token) -> time:
    hour, minute = (int(part) for part in text.split(":"))
    if hour > 23 or minute > 59:
        raise _problem("time_malformed", f"'{token}' is no time: the day goes from 00:00 to 23:59.", token)
    return time(hour, minute)


def _date(token: Token, text: str | None = None) -> date:
    try:
        found = date.fromisoformat(text or str(token))
    except ValueError as error:
        raise _problem("date_malformed", f"'{token}' is no date of the calendar.", token) from error
    if found.year < 2000:
        raise _problem("date_malformed", f"'{token}' is long past.", token)
    return found


def _day_name(token: Token) -> str:
    name = token.lower()
    return (
        name if name in ("today", "tomorrow") else next(day for day in WEEKDAYS if day.startswith(name[:3]))
    )


def _explain(text: str, position: int) -> WordProblem:
    slashed = _SLASHED.search(text)
    if slashed:
        return WordProblem(
            "date_malformed",
            f"'{slashed[0]}' can be read in several ways: type year-month-day, such as 2026-12-25.",
            start=slashed.start(),
            length=len(slashed[0]),
        )
    if "midnight" in text.lower():
        start = text.lower().index("midnight")
        message = "'midnight' may be the beginning or the end of a day: type 00:00 and the day that begins."
        return WordProblem("time_malformed", message, start=start, length=len("midnight"))
    if _DAY_ONLY.fullmatch(text):
        return WordProblem(
            "time_missing",
            f"Say at which time of the day, such as '{text} 9:00'.",
            f"{text} 9:00",
            start=len(text),
            length=0,
        )
    hour = _BARE_HOUR.search(text) if text.lower().startswith("at") else None
    if hour and 0 <= int(hour[0]) <= 23:
        number = int(hour[0])
        readings = (
            [f"{number % 12 or 12}am", f"{number % 12 or 12}pm"]
            if 1 <= number <= 12
            else [f"{number:02d}:00"]
        )
        lines = tuple(text[: hour.start()] + reading + text[hour.end() :] for reading in readings)
        return WordProblem(
            "time_malformed",
            f"'{hour[0]}' is no time: type {' or '.join(readings)}.",
            alternatives=lines,
            start=hour.start(),
            length=len(hour[0]),
        )
    if position >= len(text):
        return WordProblem(
            "time_missing", f"The time is not complete; type it {_EXAMPLES}.", start=len(text), length=0
        )
    return WordProblem(
        "time_malformed",
        f"The time is not understood from here on. Type it {_EXAMPLES}.",
        start=position,
        length=1,
    )
