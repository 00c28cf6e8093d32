"""The bounded queue of frames to one socket. A task exists only while something is queued."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any

Send = Callable[[Any], Awaitable[None]]


class SlowConsumer(Exception):
    """The client does not read as fast as it is sent to; the queue is full."""


class Outbound:
    """Sends frames in order, as the client reads them.

    Args:
        send: ASGI `send` of an accepted WebSocket; waits while the transport's buffer is full.
        limit_frames: most frames queued.
        limit_characters: most characters queued over all frames.
    """

    __slots__ = (
        "_characters",
        "_close_code",
        "_frames",
        "_limit_characters",
        "_limit_frames",
        "_send",
        "_sending",
    )

    def __init__(self, send: Send, limit_frames: int, limit_characters: int) -> None:
        self._send = send
        self._limit_frames = limit_frames
        self._limit_characters = limit_characters
        self._frames: deque[str] = deque()
        self._characters = 0
        self._sending: asyncio.Task[None] | None = None
        self._close_code: int | None = None

    @property
    def ending(self) -> bool:
        """Whether the last frame was queued."""
        return self._close_code is not None

    @property
    def half_full(self) -> bool:
        """Whether half of what may be queued is queued."""
        return 2 * len(self._frames) >= self._limit_frames or 2 * self._characters >= self._limit_characters

    def put(self, frame: str) -> None:
        """Queue a frame; after the last one nothing is queued any more. Raises SlowConsumer."""
        if self.ending:
            return
        if len(self._frames) >= self._limit_frames or self._characters > self._limit_characters:
            raise SlowConsumer
        self._frames.append(frame)
        self._characters += len(frame)
        self._wake()

    def finish(self, frame: str, close_code: int, *, discard: bool) -> None:
        """Queue the last frame, and close the socket with a code after it.

        Args:
            discard: drop what is still queued, so that the client learns sooner that it missed it.
        """
        if discard:
            self._frames.clear()
        self._frames.append(frame)
        self._close_code = close_code
        self._wake()

    async def drained(self, timeout_seconds: float) -> None:
        """Wait until everything queued was sent. Raises SlowConsumer when the client takes too long."""
        if not await self.settled(timeout_seconds):
            raise SlowConsumer

    async def settled(self, timeout_seconds: float) -> bool:
        """Wait until everything queued was sent; return whether it was in time."""
        if self._sending is None:
            return True
        _, pending = await asyncio.wait([self._sending], timeout=timeout_seconds)
        return not pending

    def abandon(self) -> None:
        """Stop sending."""
        self._frames.clear()
        if self._sending is not None:
            self._sending.cancel()

    def _wake(self) -> None:
        if self._sending is None:
            self._sending = asyncio.create_task(self._send_queued())

    async def _send_queued(self) -> None:
        try:
            while self._frames:
                frame = self._frames.popleft()
                self._characters -= len(frame)
                await self._send({"type": "websocket.send", "text": frame})
            if self._close_code is not None:
                await self._send({"type": "websocket.close", "code": self._close_code})
        except OSError:
            self._frames.clear()  # the client is gone, which the session learns from its own side
        finally:
            self._sending = None
