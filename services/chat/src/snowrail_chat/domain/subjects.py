"""What else a word of a command can name: time zones, currencies, prices, quiet hours, memos, codes."""

import re
from datetime import time
from functools import cache
from zoneinfo import available_timezones

from snowrail_chat.domain.amounts import read_amount
from snowrail_chat.domain.errors import WordProblem
from snowrail_chat.domain.nearness import nearest
from snowrail_chat.domain.values import Code, Count, Fiat, Memo, QuietHours, UnitPrice, Zone

MAX_MEMO_CHARACTERS = 140
MAX_TIMES = 10_000
CODE_CHARACTERS = 12
_CODE = re.compile(rf"(?:https?://\S+/)?([a-z2-7]{{{CODE_CHARACTERS}}})")
_PRICE = re.compile(r"(?:0|[1-9][0-9]{0,19})(?:\.[0-9]{1,18})?")
_QUIET = re.compile(r"(\d{1,2}):(\d{2})(?:\s*-\s*|\s+)(\d{1,2}):(\d{2})")
_TIMES = re.compile(r"([1-9][0-9]{0,4})(?: times?)?", re.IGNORECASE)
_FIAT = re.compile(r"[A-Za-z]{3}")


@cache
def _zones() -> dict[str, str]:
    return {name.lower(): name for name in available_timezones()}


def zones_beginning(prefix: str) -> list[str]:
    """Return names of time zones that begin so, or whose city does."""
    wanted = prefix.lower()
    return sorted(name for key, name in _zones().items() if key.startswith(wanted) or f"/{wanted}" in key)


def read_zone(text: str) -> Zone:
    """Return the time zone of an IANA name. Raises WordProblem."""
    name = _zones().get(text.lower())
    if name is not None:
        return Zone(name)
    cities = [zone for zone in zones_beginning(text) if text and zone.lower().endswith(f"/{text.lower()}")]
    guess = cities[0] if len(cities) == 1 else _zones().get(nearest(text.lower(), list(_zones())) or "")
    hint = f" Did you mean {guess}?" if guess else ""
    raise WordProblem(
        "zone_unknown", f"'{text}' is no time zone: type its IANA name, such as Europe/Berlin.{hint}", guess
    )


def read_fiat(text: str) -> Fiat:
    """Return the currency a word such as `EUR` names. Raises WordProblem."""
    if not _FIAT.fullmatch(text):
        raise WordProblem(
            "currency_unknown", f"'{text}' is no currency: type its three letters, such as USD."
        )
    return Fiat(text.upper())


def read_price(text: str) -> UnitPrice:
    """Return the price a word such as `0.10` names. Raises WordProblem."""
    if not _PRICE.fullmatch(text):
        read_amount(text, ())
        raise WordProblem("price_malformed", f"'{text}' is no price: at most 20 digits and 18 places.")
    if not text.strip("0."):
        raise WordProblem("price_malformed", "The price must be more than zero.")
    return UnitPrice(text)


def read_quiet_hours(text: str) -> QuietHours:
    """Return the hours a text such as `22:00 07:00`, or `off`, means. Raises WordProblem."""
    if text.lower() == "off":
        return QuietHours(None, None)
    match = _QUIET.fullmatch(text)
    numbers = [int(number) for number in match.groups()] if match else []
    if not match or numbers[0] > 23 or numbers[1] > 59 or numbers[2] > 23 or numbers[3] > 59:
        raise WordProblem(
            "quiet_hours_malformed",
            f"'{text}' are no hours: type their begin and end, such as 22:00 07:00, or off.",
        )
    if numbers[:2] == numbers[2:]:
        raise WordProblem("quiet_hours_malformed", "They begin and end at the same time; type off for none.")
    return QuietHours(time(numbers[0], numbers[1]), time(numbers[2], numbers[3]))


def read_memo(text: str) -> Memo:
    """Return a note. Raises WordProblem."""
    if not text.strip() or len(text) > MAX_MEMO_CHARACTERS:
        raise WordProblem("memo_malformed", f"A memo has 1 to {MAX_MEMO_CHARACTERS} characters.")
    return Memo(text)


def read_times(text: str) -> Count:
    """Return how often a text such as `12 times` means. Raises WordProblem."""
    match = _TIMES.fullmatch(text)
    if match is None or int(match[1]) > MAX_TIMES:
        raise WordProblem(
            "count_malformed", f"'{text}' is no count: type 1 to {MAX_TIMES}, such as 12 times."
        )
    return Count(int(match[1]))


def read_code(text: str) -> Code:
    """Return the code of a payment request, alone or at the end of its link. Raises WordProblem."""
    match = _CODE.fullmatch(text)
    if match is None:
        raise WordProblem(
            "code_malformed",
            f"'{text}' is no payment request: paste its link, or the {CODE_CHARACTERS} letters at its end.",
        )
    return Code(match[1])
