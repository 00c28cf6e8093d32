"""Gateways that are killed or replaced under a client: each event comes once, each line is stored once."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from uuid import UUID, uuid4

import aiohttp
import pytest

from snowrail_client import Connection, Event
from snowrail_events import ChatMessagePostedV1
from snowrail_local.servers import free_port
from snowrail_testkit import Broker

from .processes import gateway_process
from .support import Issuer, publish_feed

pytestmark = pytest.mark.faults

EVENTS = 120
LINES = 20


@asynccontextmanager
async def connected(url: str, token: str) -> AsyncGenerator[Connection]:
    """Lend an open connection of the client library."""

    async def access_token() -> str:
        return token

    async with aiohttp.ClientSession() as http:
        connection = Connection(http, url.replace("http", "ws", 1) + "/ws", access_token)
        await connection.open()
        try:
            yield connection
        finally:
            await connection.close()


async def read(connection: Connection, count: int) -> list[Event]:
    """Return the next events."""
    events: list[Event] = []
    async for event in connection.events():
        events.append(event)
        if len(events) == count:
            break
    return events


async def publish_slowly(broker: Broker, user_id: UUID) -> None:
    """Publish the events of the test over a few seconds."""
    for number in range(EVENTS):
        await publish_feed(broker, user_id, number)
        await asyncio.sleep(0.03)


@pytest.mark.parametrize("kill", [True, False], ids=["killed", "drained"])
async def test_a_client_goes_on_over_restarts_of_its_gateway(
    broker: Broker, issuer: Issuer, kill: bool
) -> None:
    alice = uuid4()
    async with (
        gateway_process(broker, issuer, free_port()) as gateway,
        connected(gateway.url, issuer.token(alice)) as connection,
    ):
        reading = asyncio.create_task(read(connection, EVENTS))
        publishing = asyncio.create_task(publish_slowly(broker, alice))
        for _ in range(2):
            await asyncio.sleep(0.5)
            await gateway.stop(kill=kill)
            await gateway.start()
        await publishing
        events = await asyncio.wait_for(reading, 60)
        assert [event.data["number"] for event in events] == list(range(EVENTS))
        assert connection.reconnections >= 2
        assert connection.resyncs == 0


async def test_lines_sent_while_gateways_die_are_stored_once(broker: Broker, issuer: Issuer) -> None:
    alice = uuid4()
    async with (
        gateway_process(broker, issuer, free_port()) as gateway,
        connected(gateway.url, issuer.token(alice)) as connection,
    ):

        async def post_all() -> list[str]:
            posted: list[str] = []
            for number in range(LINES):
                posted.append(await connection.post(f"/help {number}", timeout_seconds=30))
                await asyncio.sleep(0.1)
            return posted

        posting = asyncio.create_task(post_all())
        for _ in range(2):
            await asyncio.sleep(0.4)
            await gateway.stop(kill=True)
            await gateway.start()
        posted = await asyncio.wait_for(posting, 60)
        stored = await broker.probe.collect(ChatMessagePostedV1, LINES)
        assert [str(event.message_id) for event in stored] == posted
        assert [event.text for event in stored] == [f"/help {number}" for number in range(LINES)]
        assert await broker.probe.count(ChatMessagePostedV1) == LINES
