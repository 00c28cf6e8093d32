"""How many requests of one address or user are let through in a window of time."""

import ipaddress
from collections import OrderedDict
from dataclasses import dataclass


@dataclass(slots=True)
class _Counts:
    window: int
    current: int
    previous: int


class WindowLimit:
    """At most `limit` requests per key in a sliding window, in constant memory per key.

    The window is estimated from two fixed ones: what the one before counted is taken to have come evenly.

    Args:
        limit: requests per window.
        window_seconds: its length.
        max_keys: keys remembered; beyond them the one that was quiet longest is forgotten.
    """

    def __init__(self, limit: int, window_seconds: float, max_keys: int) -> None:
        self._limit = limit
        self._window_seconds = window_seconds
        self._max_keys = max_keys
        self._counts: OrderedDict[str, _Counts] = OrderedDict()

    def __len__(self) -> int:
        return len(self._counts)

    def take(self, key: str, now_seconds: float) -> float:
        """Count a request. Returns 0 when it is let through, else the seconds until the next one would be."""
        window, elapsed = divmod(now_seconds / self._window_seconds, 1)
        counts = self._at(key, int(window))
        if counts.previous * (1 - elapsed) + counts.current + 1 <= self._limit:
            counts.current += 1
            return 0.0
        return (self._free_at(counts) - elapsed) * self._window_seconds

    def _free_at(self, counts: _Counts) -> float:
        """Return when the next request fits, in windows since the start of the present one."""
        room = self._limit - 1 - counts.current
        if room >= 0:
            return 1 - room / counts.previous
        return 2 - (self._limit - 1) / counts.current

    def _at(self, key: str, window: int) -> _Counts:
        counts = self._counts.get(key)
        if counts is None:
            counts = self._counts[key] = _Counts(window, 0, 0)
            if len(self._counts) > self._max_keys:
                self._counts.popitem(last=False)
            return counts
        self._counts.move_to_end(key)
        if window > counts.window:
            counts.previous = counts.current if window == counts.window + 1 else 0
            counts.window, counts.current = window, 0
        return counts


class RateBucket:
    """A steady rate with a burst, of one connection."""

    __slots__ = ("_burst", "_filled_at", "_rate", "_tokens")

    def __init__(self, per_second: float, burst: float, now_seconds: float) -> None:
        self._rate = per_second
        self._burst = burst
        self._tokens = burst
        self._filled_at = now_seconds

    def take(self, now_seconds: float) -> float:
        """Use one token. Returns 0 when there was one, else the seconds until there is."""
        self._tokens = min(self._burst, self._tokens + (now_seconds - self._filled_at) * self._rate)
        self._filled_at = now_seconds
        if self._tokens >= 1:
            self._tokens -= 1
            return 0.0
        return (1 - self._tokens) / self._rate


def address_key(host: str) -> str:
    """Return what an address is counted under: itself, or its /64 network, which is one subscriber's."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host
    if isinstance(address, ipaddress.IPv4Address):
        return host
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return str(ipaddress.IPv6Network((int(address) >> 64 << 64, 64)))
