"""The server of every service: whom it believes about addresses, and how connections end."""

import asyncio
import socket
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import httpx
import pytest
from fastapi import FastAPI, Request, WebSocket
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from snowrail_kit import serving
from snowrail_kit.serving import Server, create_server
from snowrail_kit.settings import ServiceSettings
from snowrail_testkit import eventually


@pytest.fixture
def app() -> FastAPI:
    """An application without anything behind it."""
    app = FastAPI()

    async def drain() -> None: ...

    app.state.drain = drain

    @app.get("/address")
    async def address(request: Request) -> str:  # pyright: ignore[reportUnusedFunction]
        return request.client.host if request.client else ""

    return app


@asynccontextmanager
async def serve(app: FastAPI, trusted_proxies: str = "") -> AsyncGenerator[tuple[Server, str]]:
    """Serve an application on a free port; lend the server and its address."""
    settings = ServiceSettings(http_port=0, graceful_timeout_seconds=20, trusted_proxies=trusted_proxies)
    server = create_server(app, settings)
    running = asyncio.create_task(server._serve())  # pyright: ignore[reportPrivateUsage]

    async def started() -> bool:
        return server.started

    await eventually(started)
    yield server, f"127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    server.should_exit = True
    await asyncio.wait_for(running, 60)


@pytest.mark.parametrize(
    ("trusted", "seen"), [("", "127.0.0.1"), ("127.0.0.1", "203.0.113.9"), ("10.0.0.0/8", "127.0.0.1")]
)
async def test_only_a_trusted_proxy_says_who_the_client_is(app: FastAPI, trusted: str, seen: str) -> None:
    headers = {"X-Forwarded-For": "198.51.100.1, 203.0.113.9"}
    async with serve(app, trusted) as (_, address), httpx.AsyncClient() as client:
        answer = await client.get(f"http://{address}/address", headers=headers)
    assert answer.json() == seen


async def test_a_service_drains_before_its_connections_are_closed(app: FastAPI) -> None:
    opened: asyncio.Queue[WebSocket] = asyncio.Queue()

    @app.websocket("/ws")
    async def session(websocket: WebSocket) -> None:  # pyright: ignore[reportUnusedFunction]
        await websocket.accept()
        opened.put_nowait(websocket)
        await websocket.receive()

    async def drain() -> None:
        websocket = await opened.get()
        await websocket.send_text("draining")
        await websocket.close(1001)

    app.state.drain = drain
    async with serve(app) as (_, address):
        client = await connect(f"ws://{address}/ws")
    assert await client.recv() == "draining"
    with pytest.raises(ConnectionClosed) as closed:
        await client.recv()
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 1001


async def test_a_peer_that_reads_nothing_is_not_waited_for(
    app: FastAPI, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(serving, "CLOSE_GRACE_SECONDS", 0.2)
    stuck = asyncio.Event()

    @app.websocket("/ws")
    async def session(websocket: WebSocket) -> None:  # pyright: ignore[reportUnusedFunction]
        await websocket.accept()
        try:
            async with asyncio.timeout(0.5):
                while True:
                    await websocket.send_text("x" * 65_536)
        except TimeoutError:
            stuck.set()

    async with serve(app) as (server, address):
        host, port = address.split(":")
        with socket.create_connection((host, int(port))) as peer:
            peer.send(
                b"GET /ws HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
                b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
            )
            await asyncio.wait_for(stuck.wait(), 30)
            assert server.server_state.connections

            async def gone() -> bool:
                return not server.server_state.connections

            await eventually(gone, 10)


def test_an_idle_connection_outlives_the_pools_of_its_clients(app: FastAPI) -> None:
    longest = max(60.0, httpx.Limits().keepalive_expiry or 0)  # nginx and httpx; aiohttp keeps 15 s
    assert create_server(app, ServiceSettings(http_port=0)).config.timeout_keep_alive > longest
