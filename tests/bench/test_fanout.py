"""Feed events to the sockets of a thousand and of ten thousand users, and what a connection costs.

A gateway, as a process of its own, over a broker that syncs always. Events go into the feed stream as a relay
publishes them, in atomic batches. The time begins when a batch is handed to the broker and ends when the text
of the frame is in the client's hands. The clients and the publisher share one process and its event loop.
"""

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID, uuid4

import aiohttp
import orjson
import psutil
import pytest

from snowrail_client import new_http
from snowrail_events import FeedEventV1
from snowrail_kit.bus import Bus, OutgoingMessage, encode_headers
from snowrail_kit.delivery import Envelope
from snowrail_kit.settings import ServiceSettings
from snowrail_local.servers import free_port
from snowrail_testkit import Broker, eventually
from snowrail_testkit.tokens import TokenIssuer

from .conftest import Table

PER_SECOND = 4_000
SECONDS = 10
WARM_UP_SECONDS = 2
BATCH_MESSAGES = 40
CONNECTING_AT_ONCE = 50
START_TIMEOUT_SECONDS = 60
ARRIVE_TIMEOUT_SECONDS = 60
GOAL = "< 50"


class Clients:
    """Sockets of many users, and how long events took to them."""

    def __init__(self) -> None:
        self.users = list[UUID]()
        self.milliseconds = list[float]()
        self.received = 0
        self._sockets = list[aiohttp.ClientWebSocketResponse]()
        self._reading = list[asyncio.Task[None]]()

    async def connect(self, http: aiohttp.ClientSession, url: str, issuer: TokenIssuer, count: int) -> None:
        """Connect and authenticate new users."""
        opening = asyncio.Semaphore(CONNECTING_AT_ONCE)

        async def open_one(user: UUID) -> None:
            token = issuer.headers(datetime.now(UTC), user)["Authorization"].removeprefix("Bearer ")
            async with opening:
                socket = await http.ws_connect(url, compress=0)
                await socket.send_json({"type": "auth", "token": token, "position": None})
                while (frame := await socket.receive_json(timeout=30))["type"] != "auth:success":
                    assert frame["type"] == "connect", frame
            self._sockets.append(socket)
            self._reading.append(asyncio.create_task(self._read(socket)))

        self.users = [uuid4() for _ in range(count)]
        await asyncio.gather(*(open_one(user) for user in self.users))

    async def _read(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        async for message in socket:
            received_at = time.time()
            frame = orjson.loads(message.data)
            if frame["type"] == "notification":
                self.received += 1
                if frame["data"]["measured"]:
                    self.milliseconds.append(1_000 * (received_at - frame["data"]["published_at"]))

    async def close(self) -> None:
        """End all connections."""
        for socket in self._sockets:
            await socket.close()
        await asyncio.gather(*self._reading)


@asynccontextmanager
async def gateway_process(broker: Broker, issuer: TokenIssuer, count: int) -> AsyncGenerator[tuple[str, int]]:
    """Run a gateway and lend its address and process id."""
    port = free_port()
    environment = {
        **os.environ,
        "SNOWRAIL_NATS_URL": broker.server.url,
        "SNOWRAIL_NATS_SEED": broker.identities.seeds["gateway"],
        "SNOWRAIL_NATS_MONITOR_URL": broker.server.monitor_url,
        "SNOWRAIL_JWT_PUBLIC_KEYS_FILE": str(issuer.jwks_file),
        "SNOWRAIL_HTTP_PORT": str(port),
        "SNOWRAIL_LOG_LEVEL": "ERROR",
        "SNOWRAIL_MAX_UNAUTHENTICATED_PER_ADDRESS": str(count),
        "SNOWRAIL_ADDRESS_HANDSHAKES_PER_MINUTE": str(2 * count),
        "SNOWRAIL_DRAIN_SECONDS": "0.1",
    }
    command = [sys.executable, "-m", "snowrail_kit", "run", "snowrail_gateway"]
    process = await asyncio.to_thread(subprocess.Popen, command, env=environment, stdin=subprocess.DEVNULL)
    try:
        async with aiohttp.ClientSession() as http:

            async def ready() -> bool:
                try:
                    async with http.get(f"http://127.0.0.1:{port}/health/ready") as answer:
                        return answer.status == 200
                except aiohttp.ClientError:
                    return False

            await eventually(ready, START_TIMEOUT_SECONDS)
        yield f"ws://127.0.0.1:{port}/ws", process.pid
    finally:
        process.terminate()
        await asyncio.to_thread(process.wait, 30)


@pytest.mark.bench
@pytest.mark.parametrize("count", [1_000, 10_000])
async def test_fan_out(table: Table, broker: Broker, tmp_path: Path, count: int) -> None:
    """Four thousand notifications a second, each to one of so many connected users."""
    issuer = TokenIssuer.create(tmp_path)
    relay = Bus("notification", broker.settings(ServiceSettings, "notification"))
    await relay.open()
    clients = Clients()
    async with gateway_process(broker, issuer, count) as (url, pid), new_http() as http:
        process = psutil.Process(pid)
        before = process.memory_full_info().pss
        await clients.connect(http, url, issuer, count)
        memory = (process.memory_full_info().pss - before) / count / 1_000
        await _publish(relay, clients, WARM_UP_SECONDS, measured=False)
        clients.received = 0
        cpu, begun = sum(process.cpu_times()[:2]), time.monotonic()
        published = await _publish(relay, clients, SECONDS, measured=True)

        async def arrived() -> bool:
            return clients.received >= published

        await eventually(arrived, ARRIVE_TIMEOUT_SECONDS)
        rate = published / (time.monotonic() - begun)
        cpu = sum(process.cpu_times()[:2]) - cpu
        await clients.close()
    await relay.close()
    assert len(clients.milliseconds) == published
    name = f"fan-out, {count:,} connections"
    table.add(f"{name}, rate reached", rate, "/s", f">= {PER_SECOND:,}")
    table.add_percentiles(name, clients.milliseconds, GOAL)
    table.add(f"{name}, gateway memory each", memory, "kB")
    table.add(f"{name}, gateway time each event", 1_000_000 * cpu / published, "us")


async def _publish(relay: Bus, clients: Clients, seconds: int, *, measured: bool) -> int:
    """Publish at the rate, whatever comes back. Returns how many."""
    total = PER_SECOND * seconds
    begun = time.monotonic()
    for start in range(0, total, BATCH_MESSAGES):
        await asyncio.sleep(max(0.0, begun + start / PER_SECOND - time.monotonic()))
        numbers = range(start, start + BATCH_MESSAGES)
        users = [clients.users[number * 7 % len(clients.users)] for number in numbers]
        await relay.publish_batch([_notification(user, measured=measured) for user in users])
    return total


def _notification(user: UUID, *, measured: bool) -> OutgoingMessage:
    now = datetime.now(UTC)
    event = FeedEventV1(
        user_id=user,
        event_id=uuid4(),
        name="notification",
        data={"measured": measured, "published_at": time.time(), "message": "x" * 400},
        occurred_at=now,
    )
    headers = encode_headers(Envelope(event.event_id, "feed", "notification", 1), str(user), now)
    body = event.model_dump_json().encode()
    return OutgoingMessage(event.event_id, event.routing_subject(), "feed", headers, body)
