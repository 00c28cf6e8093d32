"""Events of the feed, and those who wait for them."""

import asyncio
from collections import OrderedDict, deque
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from snowrail_client.cards import Card, parse_card

RESYNC = "resync"
"""Name of the event that says that events were missed: reload what is shown over HTTP."""

_SEEN_IDS = 4_096


@dataclass(frozen=True, slots=True)
class Event:
    """One event of the user's feed.

    Attributes:
        name: such as `chat:message` or `tx:confirmed`; `resync` when events may have been missed.
        event_id: the same each time the event comes; empty for `resync`.
        position: up to where the feed was received with it.
        at: when it happened, ISO 8601; empty for `resync`.
        received_at: seconds of the event loop's clock.
    """

    name: str
    event_id: str
    position: str
    at: str
    data: Mapping[str, Any]
    received_at: float


@dataclass(frozen=True, slots=True)
class Reply:
    """The chat's answer to a line.

    Attributes:
        message_id: of the line that was sent.
        text: the card as plain text.
    """

    message_id: str
    card: Card
    text: str
    event: Event


def reply_of(event: Event) -> Reply:
    """Return the answer that a `chat:message` carries. Raises KeyError when it carries none."""
    data = event.data
    return Reply(data["in_reply_to"], parse_card(data["card"]), data["text"], event)


class EventLog:
    """The last events, each once, and a way to wait for the next ones.

    Args:
        kept: events remembered for those who begin to wait only after an event came.
        queued: events that an iterator may be behind before it ends with an error.
    """

    def __init__(self, kept: int, queued: int) -> None:
        self._kept: deque[Event] = deque(maxlen=kept)
        self._queued = queued
        self._seen: OrderedDict[str, None] = OrderedDict()
        self._waiting: list[tuple[Callable[[Event], bool], asyncio.Future[Event]]] = []
        self._queues: list[asyncio.Queue[Event | Exception]] = []
        self._ended: Exception | None = None

    def add(self, event: Event) -> None:
        """Take the next event, unless it came before."""
        if event.event_id:
            if event.event_id in self._seen:
                return
            self._seen[event.event_id] = None
            if len(self._seen) > _SEEN_IDS:
                self._seen.popitem(last=False)
        self._kept.append(event)
        if self._waiting:
            self._wake(event)
        for queue in tuple(self._queues):
            if queue.qsize() >= self._queued:
                self._queues.remove(queue)
                queue.put_nowait(OverflowError(f"more than {self._queued} events were not taken"))
            else:
                queue.put_nowait(event)

    def end(self, error: Exception) -> None:
        """Raise an error in everybody who waits, now or later."""
        self._ended = error
        for _, future in self._waiting:
            if not future.done():
                future.set_exception(error)
        self._waiting.clear()
        for queue in self._queues:
            queue.put_nowait(error)
        self._queues.clear()

    async def wait_for(
        self, accepts: Callable[[Event], bool], timeout_seconds: float, include_past: bool
    ) -> Event:
        """Return the first event that is accepted. Raises TimeoutError, or what `end` was given."""
        if include_past:
            for event in self._kept:
                if accepts(event):
                    return event
        if self._ended is not None:
            raise self._ended
        future: asyncio.Future[Event] = asyncio.get_running_loop().create_future()
        entry = (accepts, future)
        self._waiting.append(entry)
        try:
            async with asyncio.timeout(timeout_seconds):
                return await future
        finally:
            if entry in self._waiting:
                self._waiting.remove(entry)

    @asynccontextmanager
    async def queue(self) -> AsyncGenerator[asyncio.Queue[Event | Exception]]:
        """Lend a queue of all events from now on; an exception in it is the last item."""
        queue: asyncio.Queue[Event | Exception] = asyncio.Queue()
        if self._ended is not None:
            queue.put_nowait(self._ended)
        else:
            self._queues.append(queue)
        try:
            yield queue
        finally:
            if queue in self._queues:
                self._queues.remove(queue)

    def _wake(self, event: Event) -> None:
        still_waiting: list[tuple[Callable[[Event], bool], asyncio.Future[Event]]] = []
        for accepts, future in self._waiting:
            if future.done():
                continue
            if accepts(event):
                future.set_result(event)
            else:
                still_waiting.append((accepts, future))
        self._waiting = still_waiting
