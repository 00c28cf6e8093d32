"""Who is connected: the bounds on connections, and the way to reach all of them when the process ends."""

import asyncio
from collections import Counter
from collections.abc import Iterable
from typing import Protocol

from snowrail_gateway.metrics import CONNECTIONS
from snowrail_gateway.settings import Settings

_CLOSE_STEPS = 20


class Closable(Protocol):
    """Something that a client waits on and that can be told to end."""

    def drain(self) -> None:
        """Tell the client that the process ends, and end."""
        ...


class TooMany(Exception):
    """A bound on connections is reached; `reason` is its code."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Registry:
    """Counts connections in total, per user, and per address while it is not known whose they are."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._open: set[Closable] = set()
        self._of_user: Counter[str] = Counter()
        self._of_address: Counter[str] = Counter()
        self._all_closed = asyncio.Event()
        self.draining = False

    def __len__(self) -> int:
        return len(self._open)

    def add(self, connection: Closable, address: str) -> None:
        """Admit a connection of an address that has not said who it is. Raises TooMany."""
        if self.draining:
            raise TooMany("draining")
        if len(self._open) >= self._settings.max_connections:
            raise TooMany("too_many_connections")
        if self._of_address[address] >= self._settings.max_unauthenticated_per_address:
            raise TooMany("too_many_unauthenticated")
        self._of_address[address] += 1
        self._open.add(connection)
        CONNECTIONS.labels("unauthenticated").inc()

    def identify(self, address: str, user_id: str) -> None:
        """Count an admitted connection as a user's from now on. Raises TooMany."""
        if self._of_user[user_id] >= self._settings.max_connections_per_user:
            raise TooMany("too_many_connections")
        self._of_user[user_id] += 1
        _decrement(self._of_address, address)
        CONNECTIONS.labels("unauthenticated").dec()
        CONNECTIONS.labels("authenticated").inc()

    def remove(self, connection: Closable, address: str, user_id: str | None) -> None:
        """Forget a connection that was admitted, and identified when `user_id` is given."""
        self._open.discard(connection)
        if user_id is None:
            _decrement(self._of_address, address)
            CONNECTIONS.labels("unauthenticated").dec()
        else:
            _decrement(self._of_user, user_id)
            CONNECTIONS.labels("authenticated").dec()
        if not self._open:
            self._all_closed.set()

    async def drain(self) -> None:
        """Admit nobody any more and end every connection, not all at once: they will be back elsewhere."""
        self.draining = True
        connections = list(self._open)
        for step in _steps(connections):
            for connection in step:
                connection.drain()
            await asyncio.sleep(self._settings.drain_seconds / _CLOSE_STEPS)
        self._all_closed.clear()
        if self._open:
            await asyncio.wait(
                [asyncio.ensure_future(self._all_closed.wait())], timeout=self._settings.close_timeout_seconds
            )


def _decrement(counter: Counter[str], key: str) -> None:
    counter[key] -= 1
    if counter[key] <= 0:
        del counter[key]


def _steps(connections: list[Closable]) -> Iterable[list[Closable]]:
    size = max(1, -(-len(connections) // _CLOSE_STEPS))
    return (connections[start : start + size] for start in range(0, len(connections), size))
