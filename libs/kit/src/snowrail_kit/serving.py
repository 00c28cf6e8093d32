"""The HTTP and WebSocket server of a service, every bound of it set."""

import socket

import uvicorn
from fastapi import FastAPI
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from snowrail_kit.settings import ServiceSettings

MAX_CONNECTIONS = 20_000
MAX_WEBSOCKET_FRAME_BYTES = 65_536
WEBSOCKET_PING_SECONDS = 20
CLOSE_GRACE_SECONDS = 5.0
"""How long a peer may take to read what was sent before its WebSocket was closed."""
IDLE_CONNECTION_SECONDS = 75
"""How long an HTTP connection is kept between requests.

Longer than any client or proxy keeps one it may use again (httpx 5 s, aiohttp 15 s, nginx 60 s): a server
that closes first meets a request already under way. That has no answer then, and a POST cannot be sent
again unasked.
"""


class BoundedWebSocketProtocol(WebSocketsSansIOProtocol):
    """A WebSocket whose peer is not waited for without end once the application is done with it.

    Closing a transport flushes it first; a peer that has stopped reading would keep its buffer for ever.
    """

    async def run_asgi(self) -> None:
        """Run the application for this connection, then see the connection end."""
        await super().run_asgi()
        self.loop.call_later(CLOSE_GRACE_SECONDS, self.transport.abort)


class Server(uvicorn.Server):
    """A server that lets its service drain while connections are still open."""

    def __init__(self, app: FastAPI, config: uvicorn.Config) -> None:
        super().__init__(config)
        self._app = app

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Drain the service, then close what is left open."""
        await self._app.state.drain()
        await super().shutdown(sockets)


def create_server(app: FastAPI, settings: ServiceSettings) -> Server:
    """Return the server of a service's application; `run()` serves until SIGTERM or SIGINT."""
    return Server(
        app,
        uvicorn.Config(
            app,
            host=settings.http_host,
            port=settings.http_port,
            loop="uvloop",
            http="httptools",
            ws=BoundedWebSocketProtocol,
            ws_max_size=MAX_WEBSOCKET_FRAME_BYTES,
            ws_ping_interval=WEBSOCKET_PING_SECONDS,
            ws_ping_timeout=WEBSOCKET_PING_SECONDS,
            ws_per_message_deflate=False,
            access_log=False,
            log_level="warning",
            lifespan="on",
            proxy_headers=bool(settings.trusted_proxies),
            forwarded_allow_ips=settings.trusted_proxies,
            timeout_keep_alive=IDLE_CONNECTION_SECONDS,
            timeout_graceful_shutdown=int(settings.graceful_timeout_seconds),
            limit_concurrency=MAX_CONNECTIONS,
            server_header=False,
        ),
    )
