"""How often, as people type it: `every friday at 9:00`, `every 2 months on 31 at 18:00`, `cron 0 9 * * 1`."""

import re
from dataclasses import dataclass
from datetime import time

from lark import Lark, Token, Transformer
from lark.exceptions import UnexpectedInput, VisitError

from snowrail_chat.domain.errors import WordProblem
from snowrail_chat.domain.times import WEEKDAYS

MAX_INTERVAL = 366
_UNITS = {"day": "daily", "week": "weekly", "month": "monthly"}
_NAMES = {kind: unit for unit, kind in _UNITS.items()}
_LAST_DAY = 31
_EXAMPLES = (
    "such as 'every day at 9:00', 'every friday at 18:00', 'every month on 1 at 9:00' or 'cron 0 9 * * 1'"
)
_CRON_FIELDS = 5

_GRAMMAR = r"""
?start: every | cron
every: (EVERY COUNT? UNIT | EVERY DAY | ADVERB) (_ON (DAY | NUMBER))? _AT CLOCK
cron: CRON FIELDS

_AT: /at\b/i
_ON: /on\b/i
EVERY: /every\b/i
ADVERB: /(daily|weekly|monthly)\b/i
CRON: /cron\b/i
COUNT: /\d{1,4}(?!\d*:)/
NUMBER: /\d{1,2}(st|nd|rd|th)?(?![\d:])/i
UNIT: /(days?|weeks?|months?)\b/i
DAY: /(mon(day)?|tue(sday)?|wed(nesday)?|thu(rsday)?|fri(day)?|sat(urday)?|sun(day)?)\b/i
CLOCK: /noon\b|\d{1,2}(:\d{2})?\s?[ap]m\b|\d{1,2}:\d{2}(?!\s?[ap]m)/i
FIELDS: /[0-9A-Za-z*,\/?#-]+(\s+[0-9A-Za-z*,\/?#-]+)*/
%ignore /\s+/
"""
_PARSER = Lark(_GRAMMAR, parser="lalr", lexer="contextual")


@dataclass(frozen=True, slots=True)
class Recurrence:
    """How often something is done.

    Attributes:
        kind: `daily`, `weekly`, `monthly` or `cron`.
        interval: every how many days, weeks or months.
        weekday: Monday is 0; for weekly.
        day: day of the month, the last one of shorter months; for monthly.
        clock: when on the day, in the user's time zone; None for cron.
        cron: five fields; for cron.
    """

    kind: str
    interval: int = 1
    weekday: int | None = None
    day: int | None = None
    clock: time | None = None
    cron: str | None = None

    def __str__(self) -> str:
        if self.cron is not None:
            return f"cron {self.cron}"
        unit = _NAMES[self.kind]
        words = ["every", f"{self.interval} {unit}s" if self.interval > 1 else unit]
        if self.weekday is not None:
            words += ["on", WEEKDAYS[self.weekday]]
        if self.day is not None:
            words += ["on", str(self.day)]
        return " ".join([*words, "at", f"{self.clock:%H:%M}"])


class _Reader(Transformer[Token, Recurrence]):
    def every(self, items: list[Token]) -> Recurrence:
        found: dict[str, Token] = {}
        for token in items:
            if token.type in found:
                raise _problem(f"'{token}' is a second day; say one.", token)
            found[token.type] = token
        kind = _kind(found)
        interval = _number(found["COUNT"], MAX_INTERVAL) if "COUNT" in found else 1
        weekday, day = found.get("DAY"), found.get("NUMBER")
        if kind != "weekly" and weekday is not None:
            raise _problem(f"'{weekday}' goes with weeks only.", weekday)
        if kind != "monthly" and day is not None:
            raise _problem(f"'{day}' is a day of the month and goes with months only.", day)
        if kind == "weekly" and weekday is None:
            raise _problem("Say on which day of the week, such as 'every week on friday at 9:00'.", items[-1])
        if kind == "monthly" and day is None:
            raise _problem("Say on which day of the month, such as 'every month on 1 at 9:00'.", items[-1])
        return Recurrence(
            kind,
            interval,
            None if weekday is None else [name[:3] for name in WEEKDAYS].index(weekday.lower()[:3]),
            None if day is None else _number(day, _LAST_DAY),
            _clock(found["CLOCK"]),
        )

    def cron(self, items: list[Token]) -> Recurrence:
        fields = items[1].split()
        if len(fields) != _CRON_FIELDS:
            message = "A cron expression has five fields: minute, hour, day of month, month, day of week."
            raise _problem(message, items[1])
        return Recurrence("cron", cron=" ".join(fields))


def read_recurrence(text: str) -> Recurrence:
    """Return what a text such as `every friday at 18:00` means.

    Raises:
        WordProblem: it means nothing.
    """
    try:
        return _Reader().transform(_PARSER.parse(text))
    except VisitError as error:
        if isinstance(error.orig_exc, WordProblem):
            raise error.orig_exc from error
        raise
    except UnexpectedInput as error:
        position = min(error.pos_in_stream or len(text), len(text))
        raise _explain(text, position) from error


def _problem(message: str, token: Token) -> WordProblem:
    return WordProblem("recurrence_malformed", message, start=token.start_pos or 0, length=len(token))


def _kind(found: dict[str, Token]) -> str:
    if "ADVERB" in found:
        return found["ADVERB"].lower()
    return _UNITS[found["UNIT"].lower().rstrip("s")] if "UNIT" in found else "weekly"


def _number(token: Token, most: int) -> int:
    number = int(re.sub(r"\D", "", token))
    if not 1 <= number <= most:
        raise _problem(f"'{token}' is none of 1 to {most}.", token)
    return number


def _clock(token: Token) -> time:
    text = token.lower().replace(" ", "")
    if text == "noon":
        return time(12)
    half = text[-2:] if text.endswith("m") else ""
    hours, _, minutes = text.removesuffix(half).partition(":")
    hour, minute = int(hours), int(minutes or 0)
    if minute > 59 or hour > 23 or (half and not 1 <= hour <= 12):
        raise _problem(f"'{token}' is no time of the day.", token)
    return time(hour % 12 + 12 * (half == "pm") if half else hour, minute)


def _explain(text: str, position: int) -> WordProblem:
    at_end = position >= len(text)
    message = (
        f"It is not complete; a time of the day is needed. Type it {_EXAMPLES}."
        if at_end
        else f"This is not understood from here on. Type it {_EXAMPLES}."
    )
    return WordProblem("recurrence_malformed", message, start=position, length=0 if at_end else 1)
