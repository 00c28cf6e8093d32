"""What a connection and a delivery cost, and how long an event takes from its commit to the socket."""

import asyncio
import time
from datetime import UTC, datetime
from uuid import UUID, uuid4

import aiohttp
import orjson
import psutil
import pytest

from snowrail_client import Connection, new_http
from snowrail_events import FeedEventV1
from snowrail_kit.bus import Bus, OutgoingMessage, encode_headers
from snowrail_kit.delivery import Envelope
from snowrail_kit.settings import ServiceSettings
from snowrail_local.servers import free_port
from snowrail_testkit import Broker, eventually

from .processes import GatewayProcess, gateway_process
from .support import Issuer

CONNECTIONS = 1_000
EVENTS_PER_SECOND = 1_000
SECONDS = 5
SENDERS = 100
BATCH = 20


async def connect_all(
    gateway: GatewayProcess, http: aiohttp.ClientSession, tokens: list[str]
) -> list[Connection]:
    """Open one connection per token, fifty at a time."""
    opening = asyncio.Semaphore(50)

    async def open_one(token: str) -> Connection:
        async def access_token() -> str:
            return token

        async with opening:
            connection = Connection(
                http, gateway.url.replace("http", "ws", 1) + "/ws", access_token, kept_events=8
            )
            await connection.open(60)
            return connection

    return await asyncio.gather(*(open_one(token) for token in tokens))


def outgoing(user_id: UUID) -> OutgoingMessage:
    """Return a feed event, stamped as committed now, as a relay publishes it."""
    event = FeedEventV1(
        user_id=user_id,
        event_id=uuid4(),
        name="tx:confirmed",
        data={"committed_at": time.time(), "filler": "x" * 600},
        occurred_at=datetime.now(UTC),
    )
    envelope = Envelope(event.event_id, "feed", "notification", 1)
    headers = encode_headers(envelope, str(user_id), datetime.now(UTC))
    return OutgoingMessage(
        event.event_id, event.routing_subject(), "feed", headers, orjson.dumps(event.model_dump(mode="json"))
    )


def percentiles(seconds: list[float]) -> str:
    """Return p50, p95 and p99 in milliseconds."""
    ordered = sorted(seconds)
    return (
        "  ".join(f"p{share} {1_000 * ordered[len(ordered) * share // 100]:.1f}" for share in (50, 95, 99))
        + " ms"
    )


@pytest.mark.bench
async def test_cost_of_connections_deliveries_and_lines(broker: Broker, issuer: Issuer) -> None:
    users = [uuid4() for _ in range(CONNECTIONS)]
    relay = Bus("notification", broker.settings(ServiceSettings, "notification"))
    await relay.open()
    options = {
        "max_unauthenticated_per_address": str(CONNECTIONS),
        "address_handshakes_per_minute": str(2 * CONNECTIONS),
    }
    async with gateway_process(broker, issuer, free_port(), **options) as gateway, new_http() as http:
        process = psutil.Process(gateway.pid)
        before = process.memory_full_info().pss
        connections = await connect_all(gateway, http, [issuer.token(user) for user in users])
        memory = process.memory_full_info().pss
        print(
            f"\n{CONNECTIONS} connections: {(memory - before) / CONNECTIONS / 1_000:.1f} kB each,"
            f" {memory / 1e6:.0f} MB in all"
        )
        await measure_deliveries(process, relay, users, connections)
        await measure_lines(process, connections[:SENDERS])
        await asyncio.gather(*(connection.close() for connection in connections))
    await relay.close()


async def measure_deliveries(
    process: psutil.Process, relay: Bus, users: list[UUID], connections: list[Connection]
) -> None:
    """Publish at the rate in batches, and print how long the events take."""
    count, taken, stored = EVENTS_PER_SECOND * SECONDS, list[float](), dict[str, float]()
    after_store: list[float] = []

    async def read(connection: Connection) -> None:
        async for event in connection.events():
            now = time.time()
            taken.append(now - event.data["committed_at"])
            if event.event_id in stored:
                after_store.append(max(0.0, now - stored[event.event_id]))
            else:
                after_store.append(0.0)

    readers = [asyncio.create_task(read(connection)) for connection in connections]
    await asyncio.sleep(0.1)
    cpu = sum(process.cpu_times()[:2])
    begun = time.monotonic()
    for start in range(0, count, BATCH):
        await asyncio.sleep(max(0.0, begun + start / EVENTS_PER_SECOND - time.monotonic()))
        batch = [outgoing(users[(start + offset) * 7 % len(users)]) for offset in range(BATCH)]
        await relay.publish_batch(batch)
        stored.update((str(message.event_id), time.time()) for message in batch)

    async def all_taken() -> bool:
        return len(taken) == count

    await eventually(all_taken, 30)
    cpu = sum(process.cpu_times()[:2]) - cpu
    for reader in readers:
        reader.cancel()
    rate = count / (time.monotonic() - begun)
    print(f"{count} deliveries at {rate:.0f}/s: {cpu / count * 1e6:.0f} us of CPU each")
    print(f"commit -> client      {percentiles(taken)}")
    print(f"acknowledged -> client {percentiles(after_store)}")


async def measure_lines(process: psutil.Process, connections: list[Connection]) -> None:
    """Have many users send lines one after the other, and print how long until they are stored."""
    taken: list[float] = []
    until = time.monotonic() + SECONDS

    async def send(connection: Connection) -> None:
        while time.monotonic() < until:
            begun = time.monotonic()
            await connection.post("/pay @bob 1 CRO")
            taken.append(time.monotonic() - begun)
            # Below what one connection may send.
            await asyncio.sleep(max(0.0, begun + 0.1 - time.monotonic()))

    cpu = sum(process.cpu_times()[:2])
    await asyncio.gather(*(send(connection) for connection in connections))
    cpu = sum(process.cpu_times()[:2]) - cpu
    print(
        f"{len(taken) / SECONDS:.0f} lines/s of {len(connections)} users:"
        f" {cpu / len(taken) * 1e6:.0f} us of CPU each"
    )
    print(f"sent -> accepted      {percentiles(taken)}")
