"""Periodic work of a service: bounded passes, repeated until stopped, optionally by one replica at a time."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Generic, TypeVar
from zlib import crc32

import asyncpg
import structlog

from snowrail_kit.database import TRANSIENT_ERRORS, Database
from snowrail_kit.gauges import Measurements
from snowrail_kit.telemetry import TASK_FAILURES

P = TypeVar("P")

log = structlog.get_logger("tasks")

_FAILURE_PAUSE_FIRST_SECONDS = 0.2
_FAILURE_PAUSE_LAST_SECONDS = 5.0
_LOCK_RETRY_SECONDS = 1.0
_LOCK_SPACE = 0x5E0_0002


@dataclass(frozen=True, slots=True)
class Task(Generic[P]):
    """A pass of work and how often it runs.

    Attributes:
        run: one bounded pass; returns True when there is more to do at once.
        every_seconds: pause between passes that found nothing more to do.
        exclusive: only one replica runs it at a time, holding a session advisory lock. What it measures in an
            `ExclusiveGauge` is withdrawn where another replica holds that lock.
    """

    name: str
    run: Callable[[P], Awaitable[bool | None]]
    every_seconds: float
    exclusive: bool = False


class TaskRunner(Generic[P]):
    """Runs one task until stopped; `wake` cuts its pause short."""

    def __init__(self, task: Task[P], parts: P, database: Database | None) -> None:
        self._task = task
        self._parts = parts
        self._database = database
        self._wakeup = asyncio.Event()
        self._stopping = False
        self._measurements = Measurements()

    def wake(self) -> None:
        """Have the next pass start now."""
        self._wakeup.set()

    def stop(self) -> None:
        """Have `run` return after the pass in hand."""
        self._stopping = True
        self._wakeup.set()

    async def run(self) -> None:
        """Repeat the task. A failed pass is logged, counted and repeated after a backed-off pause."""
        failure_pause = _FAILURE_PAUSE_FIRST_SECONDS
        if self._task.exclusive:
            self._measurements.begin()
        while not self._stopping:
            try:
                if self._task.exclusive:
                    assert self._database is not None, "an exclusive task needs a database"
                    async with _held_lock(self._database, self._task.name) as held:
                        if held is None:
                            self._measurements.withdraw()
                            await self._pause(_LOCK_RETRY_SECONDS)
                        else:
                            await self._repeat(held)
                else:
                    await self._repeat(None)
                failure_pause = _FAILURE_PAUSE_FIRST_SECONDS
            except Exception as error:  # a task never ends its process; it tries again
                TASK_FAILURES.labels(self._task.name).inc()
                log.warning("task failed", task=self._task.name, exc_info=error)
                await asyncio.sleep(failure_pause)
                failure_pause = min(failure_pause * 2, _FAILURE_PAUSE_LAST_SECONDS)

    async def _repeat(self, lock: asyncpg.pool.PoolConnectionProxy | None) -> None:
        while not self._stopping:
            self._wakeup.clear()
            if lock is not None:
                await lock.execute("SELECT 1")
            if not await self._task.run(self._parts):
                await self._pause(self._task.every_seconds)

    async def _pause(self, seconds: float) -> None:
        try:
            await asyncio.wait_for(self._wakeup.wait(), timeout=seconds)
        except TimeoutError:
            return


@asynccontextmanager
async def _held_lock(
    database: Database, name: str
) -> AsyncGenerator[asyncpg.pool.PoolConnectionProxy | None]:
    key = crc32(name.encode()) - 2**31
    async with database.connection() as connection:
        assert isinstance(connection, asyncpg.pool.PoolConnectionProxy)
        held = await connection.fetchval("SELECT pg_try_advisory_lock($1, $2)", _LOCK_SPACE, key)
        if not held:
            yield None
            return
        try:
            yield connection
        finally:
            with suppress(*TRANSIENT_ERRORS):  # a connection that is lost has given up its locks
                await connection.execute("SELECT pg_advisory_unlock($1, $2)", _LOCK_SPACE, key)
