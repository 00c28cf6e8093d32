"""Where a client stands in its feed: `<stream incarnation>:<sequence>`."""

import re
from dataclasses import dataclass
from hashlib import blake2s

_POSITION = re.compile(r"([0-9a-f]{12}):(0|[1-9][0-9]{0,18})")


class InvalidPosition(ValueError):
    """The text is not a position that a gateway handed out."""


class PositionLost(Exception):
    """What came after the position can no longer be told completely: the client has to reload."""


@dataclass(frozen=True, slots=True)
class Position:
    """Everything up to and including a sequence of one incarnation of the stream.

    Attributes:
        incarnation: 12 hex digits; another one after the stream was made anew.
        sequence: of the last message seen, over the feeds of all users.
    """

    incarnation: str
    sequence: int

    def __str__(self) -> str:
        return f"{self.incarnation}:{self.sequence}"


def parse_position(text: str) -> Position:
    """Return the position that a text names. Raises InvalidPosition."""
    match = _POSITION.fullmatch(text)
    if match is None:
        raise InvalidPosition("a position is what an event or an answer carried as its position")
    return Position(match[1], int(match[2]))


def incarnation_of(created_at: str) -> str:
    """Return the incarnation of a stream from the time the broker says it was created."""
    return blake2s(created_at.encode(), digest_size=6).hexdigest()
