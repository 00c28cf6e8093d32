"""Time and ids that a test decides."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

START_OF_TIME = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)


class FakeClock:
    """A clock that stands still until the test moves it."""

    def __init__(self, start: datetime = START_OF_TIME) -> None:
        self._now = start

    def now(self) -> datetime:
        """Return the time that was set, in UTC."""
        return self._now

    def advance(self, by: timedelta | float) -> datetime:
        """Move time forward by a duration, or by a number of seconds, and return the new time."""
        self._now += by if isinstance(by, timedelta) else timedelta(seconds=by)
        return self._now

    def set(self, moment: datetime) -> None:
        """Set the time, backwards too: real clocks are corrected.

        Raises:
            ValueError: the moment has no time zone.
        """
        if moment.tzinfo is None:
            raise ValueError("a clock needs a moment with a time zone")
        self._now = moment.astimezone(UTC)


class SequentialIds:
    """UUIDv7-shaped ids that count upwards, so that two runs of a test see the same ones."""

    def __init__(self, start: int = 1, moment: datetime = START_OF_TIME) -> None:
        milliseconds = int(moment.timestamp() * 1000)
        self._base = (milliseconds << 80) | (0x7 << 76) | (0x2 << 62)
        self._next = start

    def new(self) -> UUID:
        """Return the next id."""
        value = UUID(int=self._base | self._next)
        self._next += 1
        return value
