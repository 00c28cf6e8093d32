"""The live connection: stays up over lost sockets and restarted gateways, and goes on where it was."""

import asyncio
import random
from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Any
from uuid import uuid4

import aiohttp
import orjson

from snowrail_client.errors import ApiError, ConnectionEnded, NotSignedIn
from snowrail_client.events import RESYNC, Event, EventLog, Reply, reply_of

TokenSource = Callable[[], Awaitable[str]]
"""Returns an access token that is good for a while."""

_ANSWER_TIMEOUT_SECONDS = 10.0
_CLOSE_TIMEOUT_SECONDS = 2.0
_RETRY_FIRST_SECONDS = 0.1
_RETRY_LAST_SECONDS = 5.0
_KEEP_ALIVE_SECONDS = 20.0
_MAX_LINE_CHARACTERS = 2_000
_MAX_FRAME_BYTES = 4 * 1024 * 1024
_FINAL_CODES = frozenset(("session_ended", "wrong_user"))
_FINAL_STATUSES = frozenset((400, 401, 403, 404))


class Connection:
    """A user's feed and chat over one WebSocket at a time.

    Args:
        http: session to connect with.
        url: `ws://…/ws` or `wss://…/ws`.
        token: source of access tokens; asked again whenever the socket has to authenticate.
        position: where an earlier connection ended; None starts with what comes now.
        kept_events: events remembered for `wait_for`.
    """

    def __init__(
        self,
        http: aiohttp.ClientSession,
        url: str,
        token: TokenSource,
        position: str | None = None,
        kept_events: int = 256,
    ) -> None:
        self._http = http
        self._url = url
        self._token = token
        self._log = EventLog(kept_events, queued=100_000)
        self._socket: aiohttp.ClientWebSocketResponse | None = None
        self._authenticated = asyncio.Event()
        self._accepted: dict[str, asyncio.Future[str]] = {}
        self._running: asyncio.Task[None] | None = None
        self._ended: ConnectionEnded | None = None
        self.position = position
        """Up to where the feed was received; pass it to a later connection to go on from there."""
        self.reconnections = 0
        """How often the socket was replaced."""
        self.resyncs = 0
        """How often the gateway said that events were missed."""
        self.last_failure = ""
        """Why the last socket was lost, or could not be opened."""

    async def open(self, timeout_seconds: float = 15.0) -> None:
        """Connect and authenticate.

        Raises:
            ConnectionEnded: refused for good.
            TimeoutError: not connected in time; trying has ended.
        """
        self._running = asyncio.create_task(self._run())
        try:
            async with asyncio.timeout(timeout_seconds):
                await self._until_authenticated()
        except BaseException:
            await self.close()
            raise

    async def close(self) -> None:
        """Close the connection; whoever waits on it gets `ConnectionEnded`."""
        self._end(ConnectionEnded("closed", "The connection was closed."))
        if self._running is not None:
            self._running.cancel()
            await asyncio.wait([self._running])

    @property
    def is_connected(self) -> bool:
        """Whether the socket is up and authenticated now."""
        return self._authenticated.is_set()

    async def post(self, text: str, message_id: str | None = None, timeout_seconds: float = 15.0) -> str:
        """Send a line and return its message id once it is stored; sent again over new sockets until it is.

        Args:
            message_id: the client's id of the line; the same id is the same line. A new one by default.

        Raises:
            ValueError: the line is empty or longer than 2,000 characters.
            ConnectionEnded: the connection is over.
            TimeoutError: it is not known to be stored; posting it again under the same id is harmless.
        """
        if not 0 < len(text) <= _MAX_LINE_CHARACTERS:
            raise ValueError(f"a line has 1 to {_MAX_LINE_CHARACTERS} characters")
        client_id = message_id or uuid4().hex
        accepted: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._accepted[client_id] = accepted
        try:
            async with asyncio.timeout(timeout_seconds):
                pause = _RETRY_FIRST_SECONDS
                while True:
                    await self._until_authenticated()
                    await self._send({"type": "chat:message", "id": client_id, "text": text})
                    done, _ = await asyncio.wait([accepted], timeout=_ANSWER_TIMEOUT_SECONDS)
                    if done and (answer := accepted.result()):
                        return answer
                    accepted = self._accepted[client_id] = asyncio.get_running_loop().create_future()
                    await asyncio.sleep(pause)
                    pause = min(pause * 2, _RETRY_LAST_SECONDS)
        finally:
            self._accepted.pop(client_id, None)

    async def say(self, text: str, timeout_seconds: float = 15.0) -> Reply:
        """Send a line and return the chat's first answer to it. Raises as `post` and `wait_for`."""
        async with asyncio.timeout(timeout_seconds):
            message_id = await self.post(text, timeout_seconds=timeout_seconds)
            event = await self.wait_for(
                "chat:message", lambda item: item.data.get("in_reply_to") == message_id, timeout_seconds
            )
        return reply_of(event)

    async def mark_read(self, *notification_ids: str) -> None:
        """Say that notifications were read; all of them when none is named."""
        await self._until_authenticated()
        await self._send({"type": "notification:read", "ids": list(notification_ids)})

    async def wait_for(
        self,
        name: str,
        predicate: Callable[[Event], bool] | None = None,
        timeout_seconds: float = 15.0,
        *,
        include_past: bool = True,
    ) -> Event:
        """Return the first event of a name that the predicate accepts.

        Args:
            include_past: look first at the remembered events, which came before the call.

        Raises:
            TimeoutError: there was none in time.
            ConnectionEnded: the connection is over.
        """

        def accepts(event: Event) -> bool:
            return event.name == name and (predicate is None or predicate(event))

        return await self._log.wait_for(accepts, timeout_seconds, include_past)

    async def events(self) -> AsyncGenerator[Event]:
        """Yield every event from now on, each once, until the connection is over.

        Raises:
            ConnectionEnded: at the end.
            OverflowError: events were taken too slowly.
        """
        async with self._log.queue() as queue:
            while True:
                item = await queue.get()
                if isinstance(item, Exception):
                    raise item
                yield item

    async def _until_authenticated(self) -> None:
        while not self._authenticated.is_set():
            if self._ended is not None:
                raise self._ended
            await self._authenticated.wait()
        if self._ended is not None:
            raise self._ended

    async def _send(self, frame: dict[str, Any]) -> None:
        """Send a frame; one that is lost with its socket is the caller's to send again."""
        socket = self._socket
        if socket is None:
            return
        try:
            await socket.send_str(orjson.dumps(frame).decode())
        except (ConnectionError, aiohttp.ClientError):
            self._authenticated.clear()

    async def _run(self) -> None:
        """Keep a socket up until the connection ends."""
        pause = _RETRY_FIRST_SECONDS
        while self._ended is None:
            try:
                await self._serve_socket()
                pause = _RETRY_FIRST_SECONDS
            except aiohttp.WSServerHandshakeError as error:
                self.last_failure = f"the handshake was answered with {error.status}"
                if error.status in _FINAL_STATUSES:
                    self._end(ConnectionEnded("refused", self.last_failure))
            except NotSignedIn as error:
                self._end(ConnectionEnded("unauthenticated", str(error)))
            except (aiohttp.ClientError, ApiError, OSError, TimeoutError) as error:
                self.last_failure = str(error) or type(error).__name__
            if self._ended is not None:
                return
            self.reconnections += 1
            # Everybody loses a gateway at the same moment; they should not all come back at the same one.
            await asyncio.sleep(pause * random.uniform(0.5, 1.5))  # noqa: S311 - spreads load, guards nothing
            pause = min(pause * 2, _RETRY_LAST_SECONDS)

    async def _serve_socket(self) -> None:
        timeout = aiohttp.ClientWSTimeout(ws_close=_CLOSE_TIMEOUT_SECONDS)  # pyright: ignore[reportCallIssue]
        async with self._http.ws_connect(
            self._url, max_msg_size=_MAX_FRAME_BYTES, timeout=timeout, compress=0, autoclose=True
        ) as socket:
            self._socket = socket
            await self._authenticate()
            renewing = asyncio.create_task(self._keep_alive())
            try:
                async for message in socket:
                    if message.type == aiohttp.WSMsgType.TEXT:
                        self._on_frame(orjson.loads(message.data))
                    elif message.type == aiohttp.WSMsgType.ERROR:
                        return
            finally:
                renewing.cancel()
                self._authenticated.clear()
                self._socket = None
                for client_id in list(self._accepted):
                    self._settle(client_id, "")

    async def _authenticate(self) -> None:
        await self._send({"type": "auth", "token": await self._token(), "position": self.position})

    async def _keep_alive(self) -> None:
        """Notice a dead socket, keep the position of a quiet feed young, and renew the token in time."""
        sent = await self._token()
        while True:
            await asyncio.sleep(_KEEP_ALIVE_SECONDS)
            token = await self._token()
            if token != sent:
                sent = token
                await self._send({"type": "auth", "token": token})
            await self._send({"type": "ping"})

    def _on_frame(self, frame: dict[str, Any]) -> None:
        kind = frame["type"]
        if "id" in frame and "position" in frame:
            self.position = frame["position"]
            now = asyncio.get_running_loop().time()
            self._log.add(Event(kind, frame["id"], frame["position"], frame["at"], frame["data"], now))
        elif kind == "auth:success":
            self.position = frame["position"]
            self._authenticated.set()
        elif kind == "pong":
            self.position = frame["position"] or self.position
        elif kind == RESYNC:
            self.position = frame["position"]
            self.resyncs += 1
            now = asyncio.get_running_loop().time()
            self._log.add(Event(RESYNC, "", frame["position"], "", {}, now))
        elif kind == "chat:accepted":
            self._settle(frame["id"], frame["message_id"])
        elif kind == "error":
            for client_id in [frame["id"]] if "id" in frame else list(self._accepted):
                self._settle(client_id, "")
        elif kind == "disconnect":
            self.last_failure = f"{frame['code']}: {frame['detail']}"
        elif kind == "auth:error" and frame["code"] in _FINAL_CODES:
            self._end(ConnectionEnded(frame["code"], frame["detail"]))

    def _settle(self, client_id: str, message_id: str) -> None:
        accepted = self._accepted.get(client_id)
        if accepted is not None and not accepted.done():
            accepted.set_result(message_id)

    def _end(self, error: ConnectionEnded) -> None:
        if self._ended is None:
            self._ended = error
            self._log.end(error)
            self._authenticated.set()  # wakes whoever waits, to find the end
