"""Mistyped commands: what is not refused is read exactly as typed, up to a written list of normalisations."""

import re
from collections import Counter

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from snowrail_chain.addresses import checksum_address
from snowrail_chat.domain.commands import Command, parse, render
from snowrail_chat.domain.errors import CommandError
from snowrail_chat.domain.times import WEEKDAYS

from .command_lines import VOCABULARY, commands

_ALPHABET = "0123456789abcdefkmx@#/.,:;-<>=\"'“— CROUSDT"
_DAYS = {day[:3]: day for day in WEEKDAYS}
_UNITS = {"m": "minute", "h": "hour", "d": "day", "w": "week"}
_WORDS = {
    "below": "<",
    "under": "<",
    "above": ">",
    "over": ">",
    "noon": "12:00",
    "daily": "day",
    "weekly": "week",
}
_ALIASES = ("list",)


def normalised(line: str) -> Counter[str]:
    """Return the words of a line under the normalisations that docs/commands.md lists, in no order.

    Quotes, escapes and spaces; case; signs for words; days, units and times in full; leading zeros of times;
    the slash of a command that help is asked about; `#` and dashes of ids; a link as its code; separators of
    payments; an alias of a list; repeated options.
    """
    text = line.casefold().replace("—", "--").replace("“", '"').replace("”", '"')
    text = re.sub(r'\\(["\\])', r"\1", text).replace('"', " ").replace("\\", " ")
    text = re.sub(r"^\s*/help\s+/+", "/help ", text)
    text = re.sub(r"https?://\S+/(?=[a-z2-7]{12}(\s|$))", "", text)
    text = re.sub(r"(<|>)", r" \1 ", text)
    text = re.sub(r"(\d{4}-\d{2}-\d{2})t(?=\d)", r"\1 ", text)
    text = re.sub(r"(\d{1,2}:\d{2})\s*-\s*(?=\d)", r"\1 ", text)
    text = re.sub(r"\b(\d{1,2})(?::(\d{2}))?\s?([ap])m\b", _as_24_hours, text)
    text = re.sub(r"\b(\d):(\d{2})\b", r"0\1:\2", text)
    text = re.sub(r"(\d+)(minutes?|mins?|m|hours?|h|days?|d|weeks?|w)(?![a-z])", r"\1 \2 ", text)
    words: list[str] = []
    for word in re.split(r"[\s;]+", text):
        words += _normalised_word(word)
    return Counter(_without_repeated_options(words))


def _as_24_hours(match: re.Match[str]) -> str:
    hour, minute, half = match.groups()
    return f"{int(hour) % 12 + 12 * (half == 'p'):02d}:{minute or '00'}"


def _normalised_word(word: str) -> list[str]:
    if word in ("", "on", "every", "times", "time", "usd", "z", "utc", *_ALIASES) or word in ("in", "at"):
        return []
    word = _WORDS.get(word, word)
    if word == "monthly":
        return ["month"]
    if re.fullmatch(r"(mon|tue|wed|thu|fri|sat|sun)[a-z]*", word) and word[:3] in _DAYS:
        return [_DAYS[word[:3]]] if _DAYS[word[:3]].startswith(word) or word in WEEKDAYS else [word]
    if re.fullmatch(r"minutes?|mins?|m|hours?|h|days?|d|weeks?|w|months?", word):
        return ["month"] if word.startswith("mo") else [_UNITS[word[0]]]
    if re.fullmatch(r"\d+(st|nd|rd|th)", word):
        return [word[:-2]]
    word = word.removeprefix("#")
    if re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", word):
        return [word.replace("-", "")]
    return [word.lstrip("0") or "0" if word.isdigit() else word]


def _without_repeated_options(words: list[str]) -> list[str]:
    kept: list[str] = []
    position = 0
    seen: set[tuple[str, str]] = set()
    while position < len(words):
        if words[position].startswith("--") and position + 1 < len(words):
            pair = (words[position], words[position + 1])
            kept += [] if pair in seen else pair
            seen.add(pair)
            position += 2
        else:
            kept.append(words[position])
            position += 1
    # one word less for "every week on friday" than for "every friday", which says the same
    return [word for word in kept if word != "week"]


@st.composite
def mutants(draw: st.DrawFn) -> tuple[str, str]:
    """Return a line, and the same with one to three mistakes."""
    original = render(draw(commands()))
    line = original
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, len(line)))
        match draw(st.sampled_from(["insert", "delete", "replace", "swap", "double", "case"])):
            case "insert":
                line = line[:at] + draw(st.sampled_from(_ALPHABET)) + line[at:]
            case "delete":
                line = line[:at] + line[at + 1 :]
            case "replace":
                line = line[:at] + draw(st.sampled_from(_ALPHABET)) + line[at + 1 :]
            case "swap":
                line = line[:at] + line[at + 1 : at + 2] + line[at : at + 1] + line[at + 2 :]
            case "double":
                words = line.split(" ")
                chosen = draw(st.integers(0, len(words) - 1))
                line = " ".join([*words[: chosen + 1], *words[chosen:]])
            case _:
                line = line[:at] + line[at:].swapcase()
    return original, line


def read(text: str) -> Command | CommandError:
    try:
        return parse(text, VOCABULARY)
    except CommandError as error:
        return error


@settings(derandomize=True, max_examples=2_000, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(mutants())
def test_a_mistyped_line_is_refused_or_read_as_typed(pair: tuple[str, str]) -> None:
    _, line = pair
    command = read(line)
    if isinstance(command, CommandError):
        assert command.message
        assert 0 <= command.column <= len(line) + 1
    else:
        shown = render(command)
        assert normalised(shown) == normalised(line), (line, shown)
        assert parse(shown, VOCABULARY) == command


@settings(derandomize=True, max_examples=500, deadline=None)
@given(
    st.binary(min_size=20, max_size=20),
    st.data(),
    st.sampled_from(["/pay {} 1", "/template save x {} 1; @bob 2"]),
)
def test_one_changed_character_of_an_address_is_refused(raw: bytes, data: st.DataObject, line: str) -> None:
    address = checksum_address(raw)
    position = data.draw(st.integers(2, 41))
    character = data.draw(st.sampled_from("0123456789abcdefABCDEF").filter(lambda c: c != address[position]))
    changed = address[:position] + character + address[position + 1 :]
    text = line.format(changed)
    outcome = read(text)
    if isinstance(outcome, CommandError):
        assert outcome.code in ("address_checksum_wrong", "address_checksum_missing")
        assert text[outcome.column : outcome.column + outcome.length] == changed
    else:
        # a checksum has about 15 bits: by rare chance the changed text is itself a well-formed address
        assert changed == checksum_address(bytes.fromhex(changed[2:]))
