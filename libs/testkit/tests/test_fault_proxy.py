"""The proxy breaks connections in the ways it says, and in no other."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator

import asyncpg
import pytest

from snowrail_testkit import CreateDatabase, Direction, FaultProxy, eventually
from snowrail_testkit.plugin import StartFaultProxy

SOON_SECONDS = 0.2
"""After so long what has not come is taken not to come."""
PATIENCE_SECONDS = 30
"""For what has to come."""


class Echo:
    """A server that answers what it was sent, and counts it."""

    def __init__(self) -> None:
        self.received = b""
        self.port = 0

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionResetError):
            while chunk := await reader.read(1024):
                self.received += chunk
                writer.write(chunk)
        writer.close()


@pytest.fixture
async def echo() -> AsyncIterator[Echo]:
    server = Echo()
    listener = await asyncio.start_server(server.handle, "127.0.0.1", 0)
    server.port = listener.sockets[0].getsockname()[1]
    yield server
    listener.close()


@pytest.fixture
async def proxy(echo: Echo, start_fault_proxy: StartFaultProxy) -> FaultProxy:
    return await start_fault_proxy(echo.port)


async def connect(proxy: FaultProxy) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    return await asyncio.open_connection(proxy.host, proxy.port)


async def says(proxy: FaultProxy, text: bytes, within_seconds: float = PATIENCE_SECONDS) -> bytes:
    """Send and return what comes back in time; nothing is b""."""
    reader, writer = await connect(proxy)
    try:
        writer.write(text)
        async with asyncio.timeout(within_seconds):
            return await reader.readexactly(len(text))
    except TimeoutError:
        return b""
    finally:
        writer.close()


async def connections(proxy: FaultProxy, count: int) -> None:
    """Wait until so many connections are open."""

    async def are_open() -> bool:
        return proxy.connections == count

    await eventually(are_open)


async def test_everything_passes_by_default(proxy: FaultProxy, echo: Echo) -> None:
    assert await says(proxy, b"hello") == b"hello"
    assert echo.received == b"hello"
    await connections(proxy, 0)


async def test_delay_is_added_each_way(proxy: FaultProxy) -> None:
    proxy.delay_seconds = 0.05
    begun = time.monotonic()
    assert await says(proxy, b"hello") == b"hello"
    assert time.monotonic() - begun >= 0.1


async def test_pause_holds_and_resume_lets_go(proxy: FaultProxy, echo: Echo) -> None:
    reader, writer = await connect(proxy)
    proxy.pause()
    writer.write(b"held")
    await asyncio.sleep(SOON_SECONDS / 2)
    assert echo.received == b""
    proxy.resume()
    assert await asyncio.wait_for(reader.readexactly(4), PATIENCE_SECONDS) == b"held"
    writer.close()


async def test_drop_swallows_one_way(proxy: FaultProxy, echo: Echo) -> None:
    proxy.drop(Direction.TO_CLIENT)
    assert await says(proxy, b"gone", SOON_SECONDS) == b""

    async def is_received() -> bool:
        return echo.received == b"gone"

    await eventually(is_received)
    proxy.heal()
    assert await says(proxy, b"back") == b"back"


async def test_half_open_leaves_the_client_without_a_word(proxy: FaultProxy, echo: Echo) -> None:
    reader, writer = await connect(proxy)
    writer.write(b"one")
    await reader.readexactly(3)
    proxy.half_open()
    writer.write(b"two")
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(reader.read(1), SOON_SECONDS)
    assert echo.received == b"one"
    writer.close()


async def test_refuse_resets_new_connections_only(proxy: FaultProxy) -> None:
    reader, writer = await connect(proxy)
    await connections(proxy, 1)
    proxy.refuse()
    with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
        await says(proxy, b"new")
    writer.write(b"old")
    assert await asyncio.wait_for(reader.readexactly(3), PATIENCE_SECONDS) == b"old"
    writer.close()


async def test_reset_all_is_a_reset_and_close_all_is_not(proxy: FaultProxy) -> None:
    reader, writer = await connect(proxy)
    await connections(proxy, 1)
    proxy.close_all()
    assert await asyncio.wait_for(reader.read(1), PATIENCE_SECONDS) == b""
    await connections(proxy, 0)
    reader, writer = await connect(proxy)
    await connections(proxy, 1)
    proxy.reset_all()
    with pytest.raises(ConnectionResetError):
        await asyncio.wait_for(reader.read(1), PATIENCE_SECONDS)
    writer.close()


async def test_reset_after_bytes_lets_exactly_these_through(proxy: FaultProxy, echo: Echo) -> None:
    cut = proxy.reset_after_bytes(4)
    with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
        await says(proxy, b"123456")
    assert cut.fired.is_set()
    await asyncio.sleep(0.02)
    assert b"1234".startswith(echo.received)
    assert await says(proxy, b"again") == b"again", "it happens once"


async def test_a_lost_reply_finds_a_marker_that_is_split(proxy: FaultProxy, echo: Echo) -> None:
    cut = proxy.lose_reply(b"COMMIT")
    reader, writer = await connect(proxy)
    writer.write(b"-- COM")
    assert await reader.read(1024) == b"-- COM", "what came before was answered"
    writer.write(b"MIT")
    with pytest.raises(ConnectionResetError):
        await reader.read(1024)
    assert cut.fired.is_set()
    assert echo.received == b"-- COMMIT"


async def test_a_commit_whose_reply_is_lost_has_happened(
    create_database: CreateDatabase, start_fault_proxy: StartFaultProxy
) -> None:
    """The money case: the client must treat the answer as unknown, for the row is there."""
    database = await create_database()
    port = int(database.superuser_url.rpartition(":")[2].partition("/")[0])
    proxy = await start_fault_proxy(port)
    connection = await asyncpg.connect(proxy.url_for(database.superuser_url), ssl=False)
    await connection.execute("CREATE TABLE paid (id int)")
    cut = proxy.lose_reply(b"COMMIT")
    with pytest.raises((asyncpg.PostgresError, asyncpg.InterfaceError, OSError)):
        async with connection.transaction():
            await connection.execute("INSERT INTO paid VALUES (1)")
    await asyncio.wait_for(cut.fired.wait(), PATIENCE_SECONDS)
    direct = await asyncpg.connect(database.superuser_url, ssl=False)
    assert await direct.fetchval("SELECT count(*) FROM paid") == 1
    await direct.close()
