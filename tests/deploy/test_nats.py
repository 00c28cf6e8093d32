"""The broker's committed configuration, run by the real server with the identities of an installation."""

import asyncio
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import nats
import pytest
from nats.errors import Error as NatsError
from nats.js.errors import NotFoundError

from snowrail_delivery.secrets import create
from snowrail_local.servers import free_port
from snowrail_local.servers.nats import nats_server_binary
from snowrail_topology import CONSUMES, EVENTS_STREAM, apply

START_TIMEOUT_SECONDS = 10


@pytest.fixture(scope="module")
async def broker(tmp_path_factory: pytest.TempPathFactory, repository: Path) -> AsyncIterator[dict[str, Any]]:
    """A running server: its URL, its monitor, and the folder of secrets."""
    folder = tmp_path_factory.mktemp("nats")
    create(folder / "secrets", "postgres:5432")
    port, monitor = free_port(), free_port()
    text = (repository / "deploy/nats/nats.conf").read_text()
    for inside, outside in {
        "0.0.0.0:4222": f"127.0.0.1:{port}",
        "0.0.0.0:8222": f"127.0.0.1:{monitor}",
    }.items():
        text = text.replace(inside, outside)
    (folder / "nats.conf").write_text(
        text.replace('"/data"', f'"{folder}/data"').replace("/tmp/", f"{folder}/")
    )
    (folder / "identities.conf").symlink_to(folder / "secrets/nats/identities.conf")
    process = await asyncio.create_subprocess_exec(
        nats_server_binary(),
        *("-c", folder / "nats.conf"),
        env={"SERVER_NAME": "nats"},
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        monitor_url = f"http://127.0.0.1:{monitor}"
        await until_healthy(f"{monitor_url}/healthz")
        yield {"url": f"nats://127.0.0.1:{port}", "monitor": monitor_url, "secrets": folder / "secrets"}
    finally:
        process.kill()
        await process.wait()


async def until_healthy(url: str) -> None:
    """Wait for the route that the container's health check asks."""
    async with asyncio.timeout(START_TIMEOUT_SECONDS), httpx.AsyncClient() as client:
        while True:
            try:
                if (await client.get(url)).status_code == 200:
                    return
            except httpx.TransportError:
                await asyncio.sleep(0.02)


async def test_what_is_acknowledged_is_on_disk(broker: dict[str, Any]) -> None:
    async with httpx.AsyncClient() as client:
        varz = (await client.get(f"{broker['monitor']}/varz")).json()
    assert varz["jetstream"]["config"]["sync_always"] is True


async def test_the_topology_job_creates_every_stream_and_consumer(broker: dict[str, Any]) -> None:
    seed = (broker["secrets"] / "topology/snowrail_nats_seed").read_text()
    await apply(broker["url"], seed)
    await apply(broker["url"], seed)
    client = await nats.connect(broker["url"], nkeys_seed_str=seed, inbox_prefix=b"_INBOX_topology")
    try:
        for service, subjects in CONSUMES.items():
            if subjects:
                await client.jetstream().consumer_info(EVENTS_STREAM, service)
            else:
                with pytest.raises(NotFoundError):
                    await client.jetstream().consumer_info(EVENTS_STREAM, service)
    finally:
        await client.close()


async def test_nobody_enters_without_an_identity(broker: dict[str, Any]) -> None:
    with pytest.raises(NatsError, match=re.compile("authorization", re.IGNORECASE)):
        await nats.connect(broker["url"], allow_reconnect=False)
