"""The real edge, with stand-ins behind it that say who they are and what path they were asked for."""

import asyncio
import contextlib
import json
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Coroutine
from pathlib import Path
from typing import Any

import httpx
import pytest

from snowrail_delivery.catalogue import HTTP_PORT, SERVICES
from snowrail_delivery.routes import ROUTES, resolve

START_TIMEOUT_SECONDS = 10
CADDY = Path(sys.executable).with_name("caddy")

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Coroutine[Any, Any, None]]


def stand_in(service: str) -> Handler:
    """A connection handler that answers every request with the service's name and the request line's path."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in head[1:] if line)}
        await reader.readexactly(int(headers.get("content-length", 0)))
        body = json.dumps({"service": service, "path": head[0].split(" ")[1], "headers": headers}).encode()
        writer.write(b"HTTP/1.1 200 OK\r\nServer: stand-in\r\nConnection: close\r\n")
        writer.write(b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))
        await writer.drain()
        writer.close()

    return answer


def free_port() -> int:
    """A port that nothing listens on at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="module")
def adapted(repository: Path) -> dict[str, Any]:
    """The edge's configuration as Caddy itself understands it."""
    finished = subprocess.run(
        [str(CADDY), "adapt", "--config", str(repository / "deploy/edge/Caddyfile"), "--validate"],
        check=False,
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert finished.returncode == 0, finished.stderr
    return json.loads(finished.stdout)


@pytest.fixture(scope="module")
async def upstreams() -> AsyncIterator[dict[str, str]]:
    """Where each upstream of the edge is stood in for, by the address the edge knows it under."""
    async with contextlib.AsyncExitStack() as stack:
        addresses: dict[str, str] = {}
        for service in SERVICES:
            server = await asyncio.start_server(stand_in(service.name), "127.0.0.1", 0)
            await stack.enter_async_context(server)
            addresses[f"{service.name}:{HTTP_PORT}"] = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
        yield addresses


@pytest.fixture(scope="module")
async def edge(
    adapted: dict[str, Any], upstreams: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[httpx.AsyncClient]:
    """A client of the running edge, every upstream of which is a stand-in."""
    public, health = (f"127.0.0.1:{free_port()}" for _ in range(2))
    text = json.dumps(adapted)
    for inside, outside in {**upstreams, ":8080": public, ":8081": health}.items():
        text = text.replace(f'"{inside}"', f'"{outside}"')
    configuration = tmp_path_factory.mktemp("edge") / "caddy.json"
    configuration.write_text(text)
    process = await asyncio.create_subprocess_exec(
        CADDY,
        *("run", "--config", configuration),
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        async with httpx.AsyncClient(base_url=f"http://{public}") as client:
            await until_healthy(f"http://{health}/health")
            yield client
    finally:
        process.kill()
        await process.wait()


async def until_healthy(url: str) -> None:
    """Wait for the edge's own health route, which the container's health check asks as well."""
    async with asyncio.timeout(START_TIMEOUT_SECONDS), httpx.AsyncClient() as client:
        while True:
            try:
                if (await client.get(url)).status_code == 200:
                    return
            except httpx.TransportError:
                await asyncio.sleep(0.05)


def public_paths() -> list[str]:
    """For each route: its root, something below it, and a sibling whose name merely begins alike."""
    paths = ["/ws", "/api/feed", "/api/unknown/x", "/api", "/index.html", "/api/intents/upcoming"]
    for route in ROUTES:
        paths += [route.prefix or "/", route.prefix + "/a/b", (route.prefix or "/x") + "-not"]
    return paths


@pytest.mark.parametrize("path", public_paths())
async def test_every_path_reaches_the_service_of_the_table(edge: httpx.AsyncClient, path: str) -> None:
    answer = (await edge.get(path, params={"q": "1"})).json()
    assert (answer["service"], answer["path"].removesuffix("?q=1")) == resolve(path)
    assert answer["path"].endswith("?q=1")


@pytest.mark.parametrize(
    "path",
    [
        "/metrics",
        "/health/ready",
        "/api/intent/metrics",
        "/api/intent//metrics",
        "/api//intent/metrics",
        "/api/intent/%6Detrics",
        "/api/intent/x/../metrics",
        "/api/intent/health/live",
        "/api/payment-orchestrator/health",
        "/api/Intent/Metrics",
    ],
)
async def test_what_is_for_the_platform_alone_is_not_public(edge: httpx.AsyncClient, path: str) -> None:
    raw = httpx.URL(str(edge.base_url)).copy_with(raw_path=path.encode())
    answer = await edge.send(httpx.Request("GET", raw))
    assert answer.status_code == 404


async def test_a_client_cannot_choose_the_address_it_is_seen_under(edge: httpx.AsyncClient) -> None:
    answer = (await edge.get("/api/intent/x", headers={"X-Forwarded-For": "203.0.113.9"})).json()
    assert answer["headers"]["x-forwarded-for"] == "127.0.0.1"


async def test_a_body_over_the_limit_is_refused(edge: httpx.AsyncClient) -> None:
    answer = await edge.post("/api/intent/x", content=b"x" * 4_000_001)
    assert answer.status_code == 413


def test_every_upstream_is_a_service_and_every_service_is_reached(adapted: dict[str, Any]) -> None:
    dialled = {part.split('"')[0] for part in json.dumps(adapted).split('"dial": "')[1:]}
    assert dialled == {f"{service.name}:{HTTP_PORT}" for service in SERVICES}
