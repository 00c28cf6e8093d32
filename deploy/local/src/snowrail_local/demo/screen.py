"""What the demonstration writes on the terminal: plain lines, in colour where a person looks at them."""

import os
import time
from collections.abc import Mapping
from enum import StrEnum
from typing import TextIO

_WHO_COLUMNS = 7
_NAME_COLUMNS = 19
_RESET = "\033[0m"


class Style(StrEnum):
    """What a piece of a line is; the escape code says how a terminal shows it."""

    PLAIN = ""
    TITLE = "\033[1m"
    TYPED = "\033[1;36m"
    FAINT = "\033[2m"
    NAME = "\033[33m"
    GOOD = "\033[32m"
    BAD = "\033[31m"
    WALLET = "\033[35m"


Span = tuple[Style, str]
Line = tuple[Span, ...]


def wants_colour(out: TextIO, environment: Mapping[str, str] = os.environ) -> bool:
    """Return whether to write in colour: to a terminal that can, unless `NO_COLOR` is set."""
    return out.isatty() and not environment.get("NO_COLOR") and environment.get("TERM") != "dumb"


class Screen:
    """Writes the demonstration line by line, and remembers what belongs into the picture of it.

    Args:
        out: where to write.
        colour: whether `out` shows colour.
    """

    def __init__(self, out: TextIO, *, colour: bool) -> None:
        self._out = out
        self._colour = colour
        self._begun = time.monotonic()
        self._pictured = False
        self.picture: list[Line] = []
        self.title = ""
        """Of the scene that is played."""

    @property
    def elapsed_seconds(self) -> float:
        """Since the screen was made."""
        return time.monotonic() - self._begun

    def scene(self, title: str, *, pictured: bool = False) -> None:
        """Begin a scene; the lines of a pictured one are remembered."""
        self.title = title
        self._pictured = False
        self.write()
        self._pictured = pictured
        if pictured and self.picture:
            self.picture.append(())
        self.write((Style.TITLE, f"── {title} ".ljust(100, "─")))

    def typed(self, who: str, line: str) -> None:
        """Show what somebody types."""
        self.write()
        self.write((Style.TYPED, f"{who}> {line}"))

    def card(self, text: str) -> None:
        """Show a card as its plain text."""
        first, *more = text.split("\n")
        self.write((Style.FAINT, "  │ "), (Style.TITLE, first))
        for line in more:
            self.write((Style.FAINT, "  │ "), (_style_of(line), line))

    def event(self, who: str, name: str, text: str, style: Style = Style.PLAIN) -> None:
        """Show one event of somebody's feed, with the time since the beginning."""
        time_and_name = f"{self.elapsed_seconds:7.2f} s  {who.ljust(_WHO_COLUMNS)}"
        self.write((Style.FAINT, time_and_name), (Style.NAME, name.ljust(_NAME_COLUMNS)), (style, text))

    def wallet(self, who: str, text: str) -> None:
        """Show what somebody's own wallet does."""
        self.event(who, "(wallet)", text, Style.WALLET)

    def note(self, text: str, style: Style = Style.FAINT) -> None:
        """Say something beside the story."""
        self.write((style, f"  {text}"))

    def write(self, *line: Span) -> None:
        """Write one line."""
        if self._pictured:
            self.picture.append(line)
        for style, text in line:
            self._out.write(f"{style}{text}{_RESET}" if self._colour and style and text else text)
        self._out.write("\n")
        self._out.flush()


def _style_of(line: str) -> Style:
    words = line.strip()
    if words.startswith("[x]"):
        return Style.GOOD
    if words.startswith(("[!]", "^")):
        return Style.BAD
    return Style.FAINT if words.startswith(">") else Style.PLAIN
