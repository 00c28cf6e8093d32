"""Events of clients on their way to the bus: concurrent ones share a publication and its sync to disk."""

import asyncio
from collections import deque
from collections.abc import Sequence

import structlog

from snowrail_gateway.metrics import MESSAGES_PUBLISHED, PUBLISH_BATCH
from snowrail_kit.bus import ATOMIC_BATCH_MESSAGES, PUBLISH_ERRORS, Bus, OutgoingMessage

log = structlog.get_logger("publishing")


class NotAccepted(Exception):
    """The event may not have been stored; publishing it again under the same id is harmless."""


class Publisher:
    """Publishes what has come together while the publication before it was on its way.

    Args:
        waiting_limit_messages: most events that wait; further ones are refused at once.
    """

    def __init__(self, bus: Bus, waiting_limit_messages: int) -> None:
        self._bus = bus
        self._waiting_limit_messages = waiting_limit_messages
        self._waiting: deque[tuple[OutgoingMessage, asyncio.Future[None]]] = deque()
        self._publishing: asyncio.Task[None] | None = None

    async def publish(self, message: OutgoingMessage) -> None:
        """Return once the stream has acknowledged the event. Raises NotAccepted."""
        if not self._bus.is_connected or len(self._waiting) >= self._waiting_limit_messages:
            MESSAGES_PUBLISHED.labels("refused").inc()
            raise NotAccepted("the bus is not connected" if not self._bus.is_connected else "too many wait")
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((message, done))
        if self._publishing is None:
            self._publishing = asyncio.create_task(self._publish_waiting())
        await done

    async def stop(self) -> None:
        """Wait for the events that wait."""
        if self._publishing is not None:
            await asyncio.wait([self._publishing])

    async def _publish_waiting(self) -> None:
        # Whoever is about to publish in this turn of the event loop comes along.
        await asyncio.sleep(0)
        try:
            while self._waiting:
                count = min(len(self._waiting), ATOMIC_BATCH_MESSAGES)
                await self._publish_batch([self._waiting.popleft() for _ in range(count)])
        finally:
            self._publishing = None

    async def _publish_batch(self, batch: Sequence[tuple[OutgoingMessage, "asyncio.Future[None]"]]) -> None:
        error: NotAccepted | None = NotAccepted("the bus did not acknowledge it in time")
        try:
            await self._bus.publish_batch([message for message, _ in batch])
            error = None
        except PUBLISH_ERRORS as cause:
            log.warning("not published", events=len(batch), error=str(cause) or type(cause).__name__)
        finally:
            PUBLISH_BATCH.observe(len(batch))
            MESSAGES_PUBLISHED.labels("failed" if error else "stored").inc(len(batch))
            for _, done in batch:
                if done.done():
                    continue
                if error is None:
                    done.set_result(None)
                else:
                    done.set_exception(error)
