"""Waiting for something to become true, for a bounded time."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

POLL_SECONDS = 0.02


async def eventually(condition: Callable[[], Awaitable[Any]], timeout_seconds: float = 30.0) -> Any:
    """Return the first truthy answer of a condition.

    Raises:
        TimeoutError: there was none in time.
    """
    async with asyncio.timeout(timeout_seconds):
        while not (answer := await condition()):  # noqa: ASYNC110 - the condition may be another process's
            await asyncio.sleep(POLL_SECONDS)
        return answer
