"""The real edge, with a stand-in for the gateway behind it that says what it was asked for."""

import asyncio
import json
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from snowrail_delivery.catalogue import HTTP_PORT
from snowrail_delivery.kubernetes import Cluster
from snowrail_gateway.edge import NOT_PUBLIC
from snowrail_local.servers import free_port

START_TIMEOUT_SECONDS = 60
CADDY = Path(sys.executable).with_name("caddy")


async def stand_in(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer a request with what was asked for."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
    headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in head[1:] if line)}
    await reader.readexactly(int(headers.get("content-length", 0)))
    body = json.dumps({"path": head[0].split(" ")[1], "headers": headers}).encode()
    writer.write(b"HTTP/1.1 200 OK\r\nServer: stand-in\r\nConnection: close\r\n")
    writer.write(b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))
    await writer.drain()
    writer.close()


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
async def edge(
    adapted: dict[str, Any], tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[httpx.AsyncClient]:
    """A client of the running edge, with a stand-in for the gateway behind it."""
    gateway = await asyncio.start_server(stand_in, "127.0.0.1", 0)
    gateway_port = gateway.sockets[0].getsockname()[1]
    public, health = free_port(), free_port()
    text = json.dumps(adapted)
    places = {
        '":8080"': f'"127.0.0.1:{public}"',
        '":8081"': f'"127.0.0.1:{health}"',
        '"name": "gateway"': '"name": "127.0.0.1"',
        '"port": "8080"': f'"port": "{gateway_port}"',
    }
    for inside, outside in places.items():
        text = text.replace(inside, outside)
    configuration = tmp_path_factory.mktemp("edge") / "caddy.json"
    configuration.write_text(text)
    process = await asyncio.create_subprocess_exec(
        CADDY,
        *("run", "--config", configuration),
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        async with gateway, httpx.AsyncClient(base_url=f"http://127.0.0.1:{public}", timeout=30) as client:
            await until_healthy(f"http://127.0.0.1:{health}/health")
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


@pytest.mark.parametrize("path", ["/", "/ws", "/api/feed", "/api/intent/x", "/api/intents", "/app.js"])
async def test_every_path_reaches_the_gateway_as_it_is(edge: httpx.AsyncClient, path: str) -> None:
    answer = await edge.get(path, params={"q": "1"})
    assert answer.json()["path"] == f"{path}?q=1"
    assert "server" not in answer.headers


@pytest.mark.parametrize(
    "path",
    [
        *(f"/{name}" for name in NOT_PUBLIC),
        *(f"/{name}/x" for name in NOT_PUBLIC),
        *(f"/api/intent/{name}" for name in NOT_PUBLIC),
        *(f"/api/payment-orchestrator/{name}/x" for name in NOT_PUBLIC),
        "/api/intent//metrics",
        "/api//intent/metrics",
        "/api/intent/%6Detrics",
        "/api/intent/x/../metrics",
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


def test_the_gateway_is_all_it_knows(adapted: dict[str, Any], cluster: Cluster) -> None:
    text = json.dumps(adapted)
    assert text.count('"handler": "reverse_proxy"') == 1
    assert f'"name": "gateway", "port": "{HTTP_PORT}"' in text
    assert cluster.named("Service")["gateway"]["spec"]["clusterIP"] == "None", "its name gives every gateway"
