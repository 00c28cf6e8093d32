"""PostgreSQL: the only system of record. One pool per process, one transaction per unit of work."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import Any, TypeAlias

import asyncpg
import orjson

Connection: TypeAlias = asyncpg.Connection | asyncpg.pool.PoolConnectionProxy
Row: TypeAlias = asyncpg.Record

TRANSIENT_ERRORS: tuple[type[Exception], ...] = (
    asyncpg.PostgresConnectionError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    asyncpg.SerializationError,
    asyncpg.DeadlockDetectedError,
    asyncpg.TooManyConnectionsError,
    asyncpg.CannotConnectNowError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.QueryCanceledError,
    OSError,
    EOFError,
    TimeoutError,
)
"""Failures of the database that say nothing about the work: the same work may be tried again."""

_JSONB_VERSION = b"\x01"
_CONNECT_TIMEOUT_SECONDS = 5.0
_ACQUIRE_TIMEOUT_SECONDS = 10.0
TRANSACTION_TIMEOUT_SECONDS = 300
"""No transaction of a service is open longer; the server ends it."""


def _decode_numeric(text: str) -> int | Decimal:
    return int(text) if text.lstrip("-").isdigit() else Decimal(text)


def _encode_jsonb(value: Any) -> bytes:
    return _JSONB_VERSION + orjson.dumps(value)


def _decode_jsonb(data: bytes) -> Any:
    return orjson.loads(data[len(_JSONB_VERSION) :])


async def _prepare_connection(connection: asyncpg.Connection) -> None:
    await connection.set_type_codec(
        "jsonb",
        schema="pg_catalog",
        encoder=_encode_jsonb,
        decoder=_decode_jsonb,
        format="binary",
    )
    await connection.set_type_codec(
        "numeric", schema="pg_catalog", encoder=str, decoder=_decode_numeric, format="text"
    )


class Database:
    """A bounded pool of connections to one service's own database.

    Numerics without a fraction are read as `int`, `jsonb` as Python values.
    """

    def __init__(self, url: str, pool_size: int, statement_timeout_seconds: float) -> None:
        self._url = url
        self._pool_size = pool_size
        self._statement_timeout_seconds = statement_timeout_seconds
        self._pool: asyncpg.Pool | None = None
        self._lent_whole: set[int] = set()

    async def open(self) -> None:
        """Connect. Raises one of `TRANSIENT_ERRORS` when the database cannot be reached."""
        self._pool = await asyncpg.create_pool(
            self._url,
            min_size=1,
            max_size=self._pool_size,
            ssl=False if "sslmode" not in self._url else None,
            init=_prepare_connection,
            reset=self._reset,
            timeout=_CONNECT_TIMEOUT_SECONDS,
            command_timeout=self._statement_timeout_seconds + 5,
            max_inactive_connection_lifetime=120,
            server_settings={
                "statement_timeout": str(int(self._statement_timeout_seconds * 1000)),
                "idle_in_transaction_session_timeout": "60000",
                "transaction_timeout": str(TRANSACTION_TIMEOUT_SECONDS * 1000),
                "jit": "off",
                # what is worked on lies in memory or on solid disks: sets of keys are looked up in indexes
                "random_page_cost": "1.1",
            },
        )

    async def close(self) -> None:
        """Close every connection, waiting at most five seconds for work in flight."""
        if self._pool is None:
            return
        try:
            await asyncio.wait_for(self._pool.close(), timeout=5)
        except TimeoutError:
            self._pool.terminate()

    @asynccontextmanager
    async def connection(self) -> AsyncGenerator[Connection]:
        """Lend a connection outside a transaction, such as for a session lock; its session is reset after."""
        async with self._acquire() as connection:
            self._lent_whole.add(connection.get_server_pid())
            yield connection

    @asynccontextmanager
    async def transaction(self) -> AsyncGenerator[Connection]:
        """Lend a connection inside a transaction that commits when the block ends well.

        What outlives a transaction, such as session locks and settings, is not undone: use `connection`.
        """
        async with self._acquire() as connection, connection.transaction():
            yield connection

    async def fetch(self, query: str, *arguments: Any) -> list[Row]:
        """Return all rows of one read."""
        async with self._acquire() as connection:
            return await connection.fetch(query, *arguments)

    async def fetch_row(self, query: str, *arguments: Any) -> Row | None:
        """Return the first row of one read, or None."""
        async with self._acquire() as connection:
            return await connection.fetchrow(query, *arguments)

    @asynccontextmanager
    async def _acquire(self) -> AsyncGenerator[Connection]:
        assert self._pool is not None, "the database is not open"
        async with self._pool.acquire(timeout=_ACQUIRE_TIMEOUT_SECONDS) as connection:
            yield connection

    async def _reset(self, connection: asyncpg.Connection) -> None:
        """Undo what a session may have changed, where it was lent whole: it takes as long as a read."""
        if connection.get_server_pid() in self._lent_whole:
            self._lent_whole.discard(connection.get_server_pid())
            await connection.execute(connection.get_reset_query())
