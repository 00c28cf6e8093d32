"""The pull loop: one outstanding request of N messages on its own inbox; what is there now is a batch.

nats-py's `fetch(n)` waits for all n until its timeout; here the first message wakes the consumer, which takes
what has arrived by then, so a lone message is never held up and a backlog comes in full batches.
"""

import asyncio
from collections import deque

import orjson
import structlog
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription

from snowrail_kit.bus import EVENTS_STREAM, PUBLISH_ERRORS, Bus

log = structlog.get_logger("pull")

_REQUEST_SECONDS = 30.0
_HEARTBEAT_SECONDS = 3.0
_BUFFER_BYTES = 64 * 1024 * 1024
_END_OF_REQUEST = {"404", "408", "409"}
_PAUSE_SECONDS = 0.02
BUSY_BATCH = 8
_GATHER_RATIO = 4.0
_LONGEST_GATHER_SECONDS = 0.2


def gather_seconds(messages: int, seconds: float) -> float:
    """Return how long to rest after a batch that took `seconds`, so that the next one is larger.

    After at least `BUSY_BATCH` messages more are on their way, and larger batches cost less processor time
    for each. Handling slows down as the machine fills up, so the rest grows just when it saves most. A
    consumer or relay that is not busy never rests.
    """
    return min(_GATHER_RATIO * seconds, _LONGEST_GATHER_SECONDS) if messages >= BUSY_BATCH else 0.0


class PullLoop:
    """Pulls from a durable consumer that the topology has made.

    Messages are in the order the server sent them. At most two requests' worth are held in memory.
    """

    def __init__(self, bus: Bus, durable: str, batch_messages: int) -> None:
        self._bus = bus
        self._subject = f"$JS.API.CONSUMER.MSG.NEXT.{EVENTS_STREAM}.{durable}"
        self._batch_messages = batch_messages
        self._buffer: deque[Msg] = deque()
        self._arrived = asyncio.Event()
        self._outstanding = 0
        self._stopping = False
        self._subscription: Subscription | None = None
        self._inbox = ""
        self._heard_at = 0.0
        self._taken_messages = 0
        self._taken_at = 0.0

    async def start(self) -> None:
        """Subscribe to the loop's own inbox."""
        self._inbox = self._bus.client.new_inbox()
        self._subscription = await self._bus.client.subscribe(
            self._inbox,
            cb=self._on_message,
            pending_msgs_limit=4 * self._batch_messages + 100,
            pending_bytes_limit=_BUFFER_BYTES,
        )
        self._bus.on_reconnect(self._forget_request)

    async def close(self) -> None:
        """Unsubscribe; what was not taken is redelivered by the server."""
        if self._subscription is not None and self._bus.is_connected:
            await self._subscription.unsubscribe()

    def stop(self) -> None:
        """Have `next_batch` return at once."""
        self._stopping = True
        self._arrived.set()

    async def next_batch(self) -> list[Msg]:
        """Return what has arrived, waiting for the first message. Empty when stopped or interrupted."""
        loop = asyncio.get_running_loop()
        rested_at = loop.time() + gather_seconds(self._taken_messages, loop.time() - self._taken_at)
        if not self._buffer:
            self._arrived.clear()
            await self._request_if_idle()
            try:
                await asyncio.wait_for(self._arrived.wait(), timeout=_HEARTBEAT_SECONDS)
            except TimeoutError:
                if loop.time() - self._heard_at > 2 * _HEARTBEAT_SECONDS:
                    self._forget_request()
                return []
        if self._stopping:
            return []
        if not self._buffer:
            await asyncio.sleep(_PAUSE_SECONDS)
        elif len(self._buffer) < self._batch_messages and (rest := rested_at - loop.time()) > 0:
            await asyncio.sleep(rest)
        batch = [self._buffer.popleft() for _ in range(min(len(self._buffer), self._batch_messages))]
        self._taken_messages, self._taken_at = len(batch), loop.time()
        await self._request_if_idle()
        return batch

    async def _request_if_idle(self) -> None:
        if self._outstanding > 0 or self._stopping or len(self._buffer) >= self._batch_messages:
            return
        request = {
            "batch": self._batch_messages,
            "expires": int(_REQUEST_SECONDS * 1e9),
            "idle_heartbeat": int(_HEARTBEAT_SECONDS * 1e9),
        }
        try:
            await self._bus.client.publish(self._subject, orjson.dumps(request), reply=self._inbox)
        except PUBLISH_ERRORS as error:
            log.warning("pull request failed", error=str(error) or type(error).__name__)
            await asyncio.sleep(_PAUSE_SECONDS)
            return
        self._outstanding = self._batch_messages
        self._heard_at = asyncio.get_running_loop().time()

    async def _on_message(self, message: Msg) -> None:
        self._heard_at = asyncio.get_running_loop().time()
        status = message.headers.get("Status") if message.headers and not message.data else None
        if status is None:
            self._outstanding -= 1
            self._buffer.append(message)
            self._arrived.set()
        elif status in _END_OF_REQUEST:
            self._forget_request()

    def _forget_request(self) -> None:
        self._outstanding = 0
        self._arrived.set()
