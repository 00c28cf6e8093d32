"""A TCP proxy that does to a connection what networks do: delay, silence, cuts, lost replies."""

import asyncio
import contextlib
import enum
import socket
import struct
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit, urlunsplit

CHUNK_BYTES = 64 * 1024
CLOSE_TIMEOUT_SECONDS = 5.0
CONNECT_TIMEOUT_SECONDS = 30.0


class Direction(enum.Enum):
    """Which way bytes travel."""

    TO_SERVER = "to_server"
    TO_CLIENT = "to_client"


@dataclass(eq=False)
class Cut:
    """A planned cut; `fired` is set when it has happened."""

    fired: asyncio.Event = field(default_factory=asyncio.Event)


@dataclass(eq=False)
class _ByteCut(Cut):
    direction: Direction = Direction.TO_SERVER
    after_bytes: int = 0


@dataclass(eq=False)
class _ReplyCut(Cut):
    marker: bytes = b""


@dataclass(eq=False)
class _Connection:
    """Both halves of one proxied connection."""

    client: asyncio.StreamWriter
    server: asyncio.StreamWriter
    passed_bytes: dict[Direction, int] = field(default_factory=lambda: dict.fromkeys(Direction, 0))
    request_tail: bytes = b""
    reply_cut: _ReplyCut | None = None

    def writer(self, direction: Direction) -> asyncio.StreamWriter:
        return self.server if direction is Direction.TO_SERVER else self.client


class FaultProxy:
    """Listens on a port of its own and passes everything to one server, except for what the test breaks.

    Faults apply to present and future connections until lifted; planned cuts happen once. Use on the
    event loop of the test, as an async context manager.
    """

    def __init__(self, host: str, port: int) -> None:
        """Stand in front of the server at `host:port`."""
        self._target = (host, port)
        self._listener: asyncio.Server | None = None
        self._connections: set[_Connection] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._flowing = asyncio.Event()
        self._flowing.set()
        self._silenced: set[Direction] = set()
        self._refusing = False
        self._cuts: list[_ByteCut | _ReplyCut] = []
        self.delay_seconds = 0.0
        """Added to every chunk, each way."""
        self.host = "127.0.0.1"
        self.port = 0

    async def start(self) -> None:
        """Begin to listen; `port` is known afterwards and stays the same after `refuse`."""
        self._listener = await asyncio.start_server(self._accept, self.host, self.port)
        self.port = int(self._listener.sockets[0].getsockname()[1])

    async def stop(self) -> None:
        """Close everything."""
        if self._listener is not None:
            self._listener.close()
        self.reset_all()
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=CLOSE_TIMEOUT_SECONDS)

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    @property
    def connections(self) -> int:
        """Number of connections that are open."""
        return len(self._connections)

    def url_for(self, url: str) -> str:
        """Return a server's URL with our host and port in place of its own."""
        parts = urlsplit(url)
        login, at, _ = parts.netloc.rpartition("@")
        return urlunsplit(parts._replace(netloc=f"{login}{at}{self.host}:{self.port}"))

    def pause(self) -> None:
        """Hold all bytes back; nothing is lost, and `resume` lets them go."""
        self._flowing.clear()

    def resume(self) -> None:
        """Let held bytes go."""
        self._flowing.set()

    def drop(self, *directions: Direction) -> None:
        """Swallow bytes, both ways unless told otherwise: connections stay open and stay silent."""
        self._silenced.update(directions or Direction)

    def half_open(self) -> None:
        """Leave clients with connections whose other end is gone without a word."""
        self.drop()
        for connection in self._connections:
            _reset(connection.server)

    def refuse(self) -> None:
        """Reset every new connection at once."""
        self._refusing = True

    def heal(self) -> None:
        """Lift every lasting fault and every planned cut. Connections that were broken stay broken."""
        self.delay_seconds = 0.0
        self._silenced.clear()
        self._refusing = False
        self._cuts.clear()
        self.resume()

    def reset_all(self) -> None:
        """Break every open connection with a reset, both sides."""
        for connection in list(self._connections):
            self._reset_both(connection)

    def close_all(self) -> None:
        """End every open connection in order (FIN), both sides."""
        for connection in list(self._connections):
            connection.client.close()
            connection.server.close()

    def reset_after_bytes(self, count: int, direction: Direction = Direction.TO_SERVER) -> Cut:
        """Once, break the first connection that has passed `count` bytes this way; no further byte passes."""
        cut = _ByteCut(direction=direction, after_bytes=count)
        self._cuts.append(cut)
        return cut

    def lose_reply(self, marker: bytes = b"") -> Cut:
        """Once, pass a request on, wait for its reply, and break the connection instead of passing it back.

        The server has done what was asked; the client cannot know.

        Args:
            marker: bytes that the request contains, such as b"COMMIT"; empty takes the next request.
        """
        cut = _ReplyCut(marker=marker)
        self._cuts.append(cut)
        return cut

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._refusing:
            _reset(writer)
            return
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT_SECONDS):
                server_reader, server_writer = await asyncio.open_connection(*self._target)
        except OSError:
            _reset(writer)
            return
        connection = _Connection(writer, server_writer)
        self._connections.add(connection)
        for source, direction in ((reader, Direction.TO_SERVER), (server_reader, Direction.TO_CLIENT)):
            task = asyncio.create_task(self._pump(connection, source, direction))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _pump(
        self, connection: _Connection, source: asyncio.StreamReader, direction: Direction
    ) -> None:
        writer = connection.writer(direction)
        with contextlib.suppress(OSError):
            while chunk := await source.read(CHUNK_BYTES):
                if self.delay_seconds:
                    await asyncio.sleep(self.delay_seconds)
                await self._flowing.wait()
                if direction in self._silenced:
                    continue
                chunk, broken = self._apply_cuts(connection, chunk, direction)
                if chunk:
                    writer.write(chunk)
                    await writer.drain()
                if broken:
                    self._reset_both(connection)
                    return
        await self._flowing.wait()
        if self._silenced:
            return  # whoever is silenced does not say goodbye either
        self._connections.discard(connection)
        with contextlib.suppress(OSError):
            writer.close()

    def _apply_cuts(self, connection: _Connection, chunk: bytes, direction: Direction) -> tuple[bytes, bool]:
        """Return what may pass, and whether the connection breaks after it."""
        if direction is Direction.TO_CLIENT and connection.reply_cut is not None:
            connection.reply_cut.fired.set()
            return b"", True
        before = connection.passed_bytes[direction]
        connection.passed_bytes[direction] = before + len(chunk)
        for cut in list(self._cuts):
            if isinstance(cut, _ByteCut):
                if cut.direction is direction and before + len(chunk) >= cut.after_bytes:
                    self._cuts.remove(cut)
                    cut.fired.set()
                    return chunk[: max(0, cut.after_bytes - before)], True
            elif direction is Direction.TO_SERVER and cut.marker in connection.request_tail + chunk:
                self._cuts.remove(cut)
                connection.reply_cut = cut
        if direction is Direction.TO_SERVER:
            longest = max((len(cut.marker) for cut in self._cuts if isinstance(cut, _ReplyCut)), default=1)
            connection.request_tail = (connection.request_tail + chunk)[-max(longest - 1, 1) :]
        return chunk, False

    def _reset_both(self, connection: _Connection) -> None:
        self._connections.discard(connection)
        _reset(connection.client)
        _reset(connection.server)


def _reset(writer: asyncio.StreamWriter) -> None:
    peer = writer.get_extra_info("socket")
    if peer is not None:
        with contextlib.suppress(OSError):
            peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()
