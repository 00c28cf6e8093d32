"""How often something may be done: the generic cell rate algorithm, one moment per key.

Source: ITU-T I.371; a bucket of `times` that refills evenly over `period`.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from math import ceil


@dataclass(frozen=True, slots=True)
class RateLimit:
    """At most `times` at once, refilled evenly over `period`."""

    name: str
    times: int
    period: timedelta

    @property
    def interval(self) -> timedelta:
        """After how long one more is allowed."""
        return self.period / self.times

    def key(self, subject: str) -> str:
        """Return the key under which a subject is counted."""
        return f"{self.name} {subject}"

    def retry_after_seconds(self, full_at: datetime, now: datetime) -> int:
        """Return the whole seconds until the next is allowed, at least one.

        Args:
            full_at: when the bucket would be full again.
        """
        return max(1, ceil((full_at + self.interval - self.period - now).total_seconds()))
