"""Time, injected: a service asks its clock, a test sets it."""

from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """Where a service gets the time from."""

    def now(self) -> datetime:
        """Return the current time, timezone-aware, in UTC."""
        ...


class SystemClock:
    """The machine's clock."""

    def now(self) -> datetime:
        """Return the current time, timezone-aware, in UTC."""
        return datetime.now(UTC)
