"""Sessions that are over before their access tokens are: heard on the platform's own feed, read at start."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from typing import Any, Protocol
from uuid import UUID

import orjson
import structlog

from snowrail_events import PLATFORM_FEED
from snowrail_gateway.feed import Feed
from snowrail_gateway.history import HistoryUnavailable, StoredPage
from snowrail_gateway.metrics import REVOKED
from snowrail_gateway.positions import Position
from snowrail_kit.clock import Clock

_FEED = str(PLATFORM_FEED)
_PAGE_MESSAGES = 500
_RETRY_SECONDS = 0.5
_FIRST_SWEEP_ENTRIES = 1_000

log = structlog.get_logger("revocations")


class StoredMessages(Protocol):
    """The feed stream as the broker keeps it."""

    async def read(self, user_id: str, first_sequence: int, limit: int) -> StoredPage:
        """Return a user's first messages at or above a sequence."""
        ...


class Revocations:
    """Knows which sessions are over, and ends their connections when it hears of it.

    It listens before it reads what was said earlier, so nothing falls in between; every replica does so.
    """

    def __init__(self, feed: Feed, stored: StoredMessages, clock: Clock) -> None:
        self._feed = feed
        self._stored = stored
        self._clock = clock
        self._ended: dict[UUID, datetime] = {}
        self._sweep_at_entries = _FIRST_SWEEP_ENTRIES
        self._connections: dict[UUID, set[Callable[[], None]]] = {}
        self._loading: asyncio.Task[None] | None = None
        self.loaded = False
        """Whether what was said before this gateway listened is known, too."""

    def start(self) -> None:
        """Listen, and read what was said before."""
        self._feed.listen(_FEED, self)
        self._loading = asyncio.create_task(self._load())

    async def stop(self) -> None:
        """Stop listening."""
        self._feed.forget(_FEED, self)
        if self._loading is not None:
            self._loading.cancel()
            with suppress(asyncio.CancelledError):
                await self._loading

    def has_ended(self, session_id: UUID) -> bool:
        """Return whether a session is over, whatever its access token says."""
        return session_id in self._ended

    def watch(self, session_id: UUID, end: Callable[[], None]) -> None:
        """Have `end` called when a session ends."""
        self._connections.setdefault(session_id, set()).add(end)

    def unwatch(self, session_id: UUID, end: Callable[[], None]) -> None:
        """Have `end` not called any more; does nothing when it would not be."""
        watching = self._connections.get(session_id)
        if watching is not None:
            watching.discard(end)
            if not watching:
                del self._connections[session_id]

    def deliver(self, _sequence: int, frame: str, /) -> None:
        """Take a message of the platform's feed."""
        message = orjson.loads(frame)
        self._take(message["type"], message["data"])

    def restart(self, _position: Position, /) -> None:
        """Read again: messages may have been missed."""
        if self._loading is None or self._loading.done():
            self._loading = asyncio.create_task(self._load())

    async def _load(self) -> None:
        following = 1
        while True:
            try:
                page = await self._stored.read(_FEED, following, _PAGE_MESSAGES)
            except HistoryUnavailable:
                await asyncio.sleep(_RETRY_SECONDS)
                continue
            for entry in page.entries:
                event = orjson.loads(entry.payload)
                self._take(event["name"], event["data"])
                following = entry.sequence + 1
            if not page.entries or page.remaining == 0:
                self.loaded = True
                return

    def _take(self, name: str, data: dict[str, Any]) -> None:
        if name != "session:ended":
            return
        try:
            until = datetime.fromisoformat(data["until"])
            session_ids = [UUID(item) for item in data["session_ids"]]
        except (KeyError, ValueError, TypeError) as error:
            log.error("revocation not understood", error=type(error).__name__)
            return
        now = self._clock.now()
        if until <= now:
            return
        for session_id in session_ids:
            self._ended[session_id] = until
            for end in list(self._connections.get(session_id, ())):
                end()
        REVOKED.inc(len(session_ids))
        if len(self._ended) >= self._sweep_at_entries:
            self._ended = {key: value for key, value in self._ended.items() if value > now}
            self._sweep_at_entries = max(_FIRST_SWEEP_ENTRIES, 2 * len(self._ended))
