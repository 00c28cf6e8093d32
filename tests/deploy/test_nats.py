"""The broker's committed configuration, run by the real server with the identities of an installation."""

import asyncio
import re
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import nats
import pytest
from nats.errors import Error as NatsError
from nats.js.errors import NotFoundError

from snowrail_local.servers import free_port
from snowrail_local.servers.nats import nats_server_binary
from snowrail_topology import CONSUMES, EVENTS_STREAM, apply

START_TIMEOUT_SECONDS = 60
CLUSTER_HOSTS = ("nats-0", "nats-1", "nats-2")


@dataclass
class Server:
    """One nats-server that runs the committed files on ports of its own."""

    name: str
    folder: Path
    client: int = field(default_factory=free_port)
    monitor: int = field(default_factory=free_port)
    route: int = field(default_factory=free_port)

    @property
    def url(self) -> str:
        """Where clients connect."""
        return f"nats://127.0.0.1:{self.client}"

    @property
    def monitor_url(self) -> str:
        """Where the server tells about itself."""
        return f"http://127.0.0.1:{self.monitor}"

    def write(self, files: list[Path], identities: Path, routes: dict[str, str]) -> None:
        """Copy the configuration with ports and folders of this test in place of the container's."""
        places = {
            "0.0.0.0:4222": f"127.0.0.1:{self.client}",
            "0.0.0.0:8222": f"127.0.0.1:{self.monitor}",
            "0.0.0.0:6222": f"127.0.0.1:{self.route}",
            "/data": f"{self.folder}/data",
            "/tmp/nats.pid": f"{self.folder}/nats.pid",
            **routes,
        }
        pattern = re.compile("|".join(map(re.escape, places)))
        self.folder.mkdir()
        (self.folder / "identities.conf").symlink_to(identities)
        for file in files:
            text = pattern.sub(lambda found: places[found[0]], file.read_text())
            (self.folder / file.name).write_text(text)

    @asynccontextmanager
    async def running(self, file: str) -> AsyncGenerator[None]:
        """Run the server until the block ends."""
        process = await asyncio.create_subprocess_exec(
            nats_server_binary(),
            *("--config", self.folder / file),
            env={"SERVER_NAME": self.name},
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
        )
        try:
            yield
        finally:
            process.kill()
            await process.wait()

    async def until_healthy(self) -> None:
        """Wait for the route that the container's health check asks."""
        async with asyncio.timeout(START_TIMEOUT_SECONDS), httpx.AsyncClient() as client:
            while True:
                try:
                    if (await client.get(f"{self.monitor_url}/healthz")).status_code == 200:
                        return
                except httpx.TransportError:
                    pass
                await asyncio.sleep(0.02)


@pytest.fixture(scope="module")
def seed(installation: Path) -> str:
    """The identity that may create streams."""
    return (installation / "topology/snowrail_nats_seed").read_text()


@pytest.fixture(scope="module")
async def server(
    tmp_path_factory: pytest.TempPathFactory, repository: Path, installation: Path
) -> AsyncIterator[Server]:
    """The one server of a host."""
    server = Server("nats", tmp_path_factory.mktemp("nats") / "server")
    server.write([repository / "deploy/nats/nats.conf"], installation / "nats/identities.conf", {})
    async with server.running("nats.conf"):
        await server.until_healthy()
        yield server


async def varz(server: Server) -> dict[str, Any]:
    """What the server says about itself."""
    async with httpx.AsyncClient(timeout=30) as client:
        return (await client.get(f"{server.monitor_url}/varz")).json()


async def test_what_is_acknowledged_is_on_disk(server: Server) -> None:
    assert (await varz(server))["jetstream"]["config"]["sync_always"] is True


async def test_the_topology_job_creates_every_stream_and_consumer(server: Server, seed: str) -> None:
    await apply(server.url, seed)
    await apply(server.url, seed)
    client = await nats.connect(server.url, nkeys_seed_str=seed, inbox_prefix=b"_INBOX_topology")
    try:
        for service, subjects in CONSUMES.items():
            if subjects:
                await client.jetstream().consumer_info(EVENTS_STREAM, service)
            else:
                with pytest.raises(NotFoundError):
                    await client.jetstream().consumer_info(EVENTS_STREAM, service)
    finally:
        await client.close()


async def test_nobody_enters_without_an_identity(server: Server) -> None:
    with pytest.raises(NatsError, match=re.compile("authorization", re.IGNORECASE)):
        await nats.connect(server.url, allow_reconnect=False, connect_timeout=20)


async def test_three_servers_hold_three_copies_and_lose_one_without_notice(
    tmp_path: Path, repository: Path, installation: Path, seed: str
) -> None:
    files = [repository / "deploy/nats/nats.conf", repository / "k8s/base/nats/cluster.conf"]
    servers = [Server(host, tmp_path / host) for host in CLUSTER_HOSTS]
    routes = {f"{server.name}.nats-cluster:6222": f"127.0.0.1:{server.route}" for server in servers}
    for server in servers:
        server.write(files, installation / "nats/identities.conf", routes)
    first, *others = servers
    async with AsyncExitStack() as remaining:
        for server in others:
            await remaining.enter_async_context(server.running("cluster.conf"))
        async with first.running("cluster.conf"):
            await asyncio.gather(*(server.until_healthy() for server in servers))
            await apply(others[0].url, seed, replicas=3)
            assert [(await varz(server))["jetstream"]["config"]["sync_always"] for server in servers] == [
                True
            ] * 3
        client = await nats.connect(others[0].url, nkeys_seed_str=seed, inbox_prefix=b"_INBOX_topology")
        try:
            async with asyncio.timeout(START_TIMEOUT_SECONDS):
                while True:
                    try:
                        found = await client.jetstream(timeout=2).stream_info(EVENTS_STREAM)
                        break
                    except NatsError:
                        await asyncio.sleep(0.2)
        finally:
            await client.close()
        assert found.config.num_replicas == 3
