"""Rate limits: a window that slides, kept in two counters per user and bucket."""

import math
from dataclasses import dataclass
from datetime import datetime, timedelta

from snowrail_chat.domain.specs import RateLimit


@dataclass(frozen=True, slots=True)
class Use:
    """What a user has used of a limit.

    Attributes:
        started_at: when the running window began.
        used: how much was taken in it.
        used_before: how much was taken in the window before; it counts in proportion to how much of it
            still lies within the last `seconds`.
    """

    started_at: datetime
    used: int = 0
    used_before: int = 0


@dataclass(frozen=True, slots=True)
class Verdict:
    """How many of the wanted were allowed, and when one more will be."""

    allowed: int
    use: Use
    retry_after_seconds: int


def take(use: Use, wanted: int, limit: RateLimit, now: datetime) -> Verdict:
    """Take as many of the wanted as the limit allows.

    Args:
        use: what was used so far.
        wanted: how many are asked for at once.
        limit: at most how many per how many seconds.
        now: the time; one before the window's start counts as its start.
    """
    use = _advance(use, limit, now)
    elapsed = max((now - use.started_at).total_seconds(), 0.0)
    weighted = use.used_before * (limit.seconds - elapsed) / limit.seconds
    free = max(math.floor(limit.count - use.used - weighted), 0)
    allowed = min(wanted, free)
    after = Use(use.started_at, use.used + allowed, use.used_before)
    return Verdict(allowed, after, _retry_after_seconds(after, limit, elapsed))


def _advance(use: Use, limit: RateLimit, now: datetime) -> Use:
    elapsed = (now - use.started_at).total_seconds()
    if elapsed >= 2 * limit.seconds:
        return Use(now)
    if elapsed >= limit.seconds:
        return Use(use.started_at + timedelta(seconds=limit.seconds), 0, use.used)
    return use


def _retry_after_seconds(use: Use, limit: RateLimit, elapsed: float) -> int:
    """Seconds until one more is allowed if nothing else is taken; at least 1."""
    room = limit.count - 1 - use.used
    if room >= 0:
        if use.used_before <= room:
            return 1
        wait = limit.seconds * (1 - room / use.used_before) - elapsed
    else:
        wait = limit.seconds * (2 - (limit.count - 1) / use.used) - elapsed
    return max(math.ceil(wait), 1)
