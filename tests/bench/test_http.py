"""Reading over HTTP through the public origin."""

import asyncio
import time

import aiohttp
import pytest
import uvloop

from snowrail_local.stack import Stack

from .conftest import Table
from .crowd import Chain, Member, crowd, give_money
from .payments import PaymentLoad
from .stacks import measured_stack

PEOPLE = 50
INTENTS = 500
PER_SECOND = 100
SECONDS = 20
PATHS = (
    "/api/intents?limit=20",
    "/api/user/profile",
    "/api/notification/notifications?limit=20",
    "/api/chat/autocomplete?text=/pay%20%40",
)


@pytest.mark.bench
def test_http_reads(table: Table) -> None:
    """Intents, profile, notifications and autocomplete in turns, of users with ten intents each."""
    with measured_stack() as stack:
        uvloop.run(_measure(stack, table))


async def _measure(stack: Stack, table: Table) -> None:
    chain = Chain.of(stack)
    load = PaymentLoad(chain)
    milliseconds: list[float] = []
    async with crowd(stack, PEOPLE, load.on_frame) as members, aiohttp.ClientSession() as http:
        load.use(members)
        await give_money(chain, members)
        await load.prepare(INTENTS)

        async def read(member: Member, path: str) -> None:
            begun = time.monotonic()
            headers = {"Authorization": f"Bearer {member.token}"}
            async with http.get(stack.origin + path, headers=headers) as answer:
                body = await answer.read()
            assert answer.status == 200, (path, answer.status, body[:300])
            milliseconds.append(1_000 * (time.monotonic() - begun))

        begun = time.monotonic()
        async with asyncio.TaskGroup() as group:
            for number in range(PER_SECOND * SECONDS):
                await asyncio.sleep(max(0.0, begun + number / PER_SECOND - time.monotonic()))
                group.create_task(read(members[number % PEOPLE], PATHS[number % len(PATHS)]))
    table.add_percentiles(f"HTTP reads through the origin, {PER_SECOND}/s", milliseconds, "< 200")
