"""A service running inside the test: its real application over a real port, broker and database."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx

from snowrail_kit.clock import Clock
from snowrail_kit.ids import Ids
from snowrail_kit.service import Service, build_app
from snowrail_kit.serving import create_server
from snowrail_kit.settings import ServiceSettings

START_TIMEOUT_SECONDS = 60.0
STOP_TIMEOUT_SECONDS = 60.0
ANSWER_TIMEOUT_SECONDS = 30.0


@dataclass(frozen=True)
class RunningService:
    """A started service.

    Attributes:
        parts: what its `compose` returned, for looking inside.
        runtime: its chassis.
        http: client whose base URL is the service.
        url: base URL.
    """

    parts: Any
    runtime: Any
    http: httpx.AsyncClient
    url: str


@asynccontextmanager
async def running_service(
    service: Service[Any, Any],
    settings: ServiceSettings,
    clock: Clock | None = None,
    ids: Ids | None = None,
) -> AsyncGenerator[RunningService]:
    """Run a service until the block ends, then drain it as SIGTERM would.

    Raises:
        TimeoutError: it did not start in time.
    """
    app = build_app(service, settings, clock, ids)
    server = create_server(app, settings)
    serving = asyncio.create_task(server._serve())  # pyright: ignore[reportPrivateUsage]
    try:
        async with asyncio.timeout(START_TIMEOUT_SECONDS):
            while not server.started:
                if serving.done():
                    raise RuntimeError(f"{service.name} did not start") from serving.exception()
                await asyncio.sleep(0.01)
        port = server.servers[0].sockets[0].getsockname()[1]
        url = f"http://127.0.0.1:{port}"
        async with httpx.AsyncClient(base_url=url, timeout=ANSWER_TIMEOUT_SECONDS) as client:
            yield RunningService(app.state.parts, app.state.runtime, client, url)
    finally:
        server.should_exit = True
        await asyncio.wait_for(serving, STOP_TIMEOUT_SECONDS)
