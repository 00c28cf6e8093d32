"""A stand-in for the public origin that a test makes misbehave."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import orjson
from aiohttp import WSMsgType, web

USER = {"id": "u-1", "handle": "alice", "address": "0x0", "roles": ["user"]}


@dataclass
class FakePlatform:
    """Accounts and gateway in one, with all that they were sent."""

    origin: str = ""
    lifetime_seconds: float = 900
    refuse_refresh: bool = False
    refuse_sockets: int = 0
    requests: list[tuple[str, str, Any, dict[str, str]]] = field(default_factory=list[Any])
    frames: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    sockets: list[web.WebSocketResponse] = field(default_factory=list[web.WebSocketResponse])
    transports: list[asyncio.Transport] = field(default_factory=list[asyncio.Transport])
    authenticated: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(0))
    answers: dict[str, tuple[int, Any, dict[str, str]]] = field(default_factory=dict[str, Any])
    silent_messages: int = 0
    refused_messages: int = 0
    tokens: int = 0
    sequence: int = 0

    async def http(self, request: web.Request) -> web.StreamResponse:
        """Answer HTTP."""
        body = orjson.loads(await request.read() or b"null")
        self.requests.append((request.method, request.path_qs, body, dict(request.headers)))
        if request.path == "/api/auth/nonce":
            return web.json_response({"nonce": "n", "message": f"sign in {body['address']}"}, status=201)
        if request.path == "/api/auth/wallet":
            return web.json_response({**self._grant(), "device": {"id": "d-1"}}, status=201)
        if request.path == "/api/auth/refresh":
            if self.refuse_refresh:
                return web.json_response({"code": "unauthenticated", "detail": "over"}, status=401)
            return web.json_response(self._grant())
        status, content, headers = self.answers.get(request.path, (404, None, {}))
        text = content if isinstance(content, str) else orjson.dumps(content).decode()
        return web.Response(text="" if content is None else text, status=status, headers=headers)

    def _grant(self) -> dict[str, Any]:
        self.tokens += 1
        return {
            "access_token": f"token-{self.tokens}",
            "expires_in": self.lifetime_seconds,
            "refresh_token": f"refresh-{self.tokens}",
            "user": USER,
        }

    async def websocket(self, request: web.Request) -> web.StreamResponse:
        """Answer the live connection."""
        if self.refuse_sockets:
            self.refuse_sockets -= 1
            return web.Response(status=503)
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        self.sockets.append(socket)
        transport = request.transport
        assert isinstance(transport, asyncio.Transport)
        self.transports.append(transport)
        await self.send({"type": "connect", "session_id": "s"})
        async for message in socket:
            if message.type != WSMsgType.TEXT:
                break
            frame = orjson.loads(message.data)
            self.frames.append(frame)
            await self._on_frame(frame)
        return socket

    async def _on_frame(self, frame: dict[str, Any]) -> None:
        if frame["type"] == "auth":
            position = frame.get("position") or f"inc:{self.sequence}"
            await self.send({"type": "auth:success", "user": USER, "position": position})
            self.authenticated.release()
        elif frame["type"] == "ping":
            await self.send({"type": "pong", "position": f"inc:{self.sequence}"})
        elif frame["type"] == "chat:message":
            if self.silent_messages:
                self.silent_messages -= 1
                await self.sockets[-1].close()
            elif self.refused_messages:
                self.refused_messages -= 1
                await self.send({"type": "error", "code": "unavailable", "detail": "x", "id": frame["id"]})
            else:
                await self.reply(frame)

    async def reply(self, frame: dict[str, Any]) -> None:
        """Accept a line, whose answer comes first: the two take different ways."""
        card = {"card_id": "c", "kind": "help", "title": frame["text"], "rows": [], "actions": []}
        data = {"message_id": "a", "in_reply_to": f"m-{frame['id']}", "card": card, "text": frame["text"]}
        await self.emit("chat:message", data)
        await self.send({"type": "chat:accepted", "id": frame["id"], "message_id": f"m-{frame['id']}"})

    async def emit(self, name: str, data: dict[str, Any], event_id: str | None = None) -> None:
        """Send an event of the feed."""
        self.sequence += 1
        await self.send(
            {
                "type": name,
                "id": event_id or f"e-{self.sequence}",
                "position": f"inc:{self.sequence}",
                "at": "2026-01-01T00:00:00Z",
                "data": data,
            }
        )

    async def send(self, frame: dict[str, Any]) -> None:
        """Send a frame over the newest socket."""
        await self.sockets[-1].send_str(orjson.dumps(frame).decode())

    def hang_up(self) -> None:
        """Break the newest socket without a word."""
        self.transports[-1].abort()


@asynccontextmanager
async def running_platform(platform: FakePlatform | None = None) -> AsyncGenerator[FakePlatform]:
    """Run a stand-in on a free port."""
    platform = platform or FakePlatform()
    application = web.Application()
    application.router.add_get("/ws", platform.websocket)
    application.router.add_route("*", "/{path:.*}", platform.http)
    runner = web.AppRunner(application, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    platform.origin = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield platform
    finally:
        await runner.cleanup()
