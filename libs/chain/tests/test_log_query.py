"""Logs over many blocks from nodes that limit results, span or time, each in its own words."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager

import orjson
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from hypothesis import given, settings
from hypothesis import strategies as st

from snowrail_chain.log_query import LogQuery, asked_too_much
from snowrail_chain.rpc import (
    RpcBadAnswer,
    RpcClient,
    RpcError,
    RpcRejected,
    RpcTimeout,
    RpcTooLarge,
    RpcUnavailable,
)
from snowrail_testkit import eventually

Refuse = Callable[[int, int], tuple[int, str] | None]
"""Error code and words for a query of so many blocks and results, if it is refused."""


@asynccontextmanager
async def node(
    logs: list[int], refuse: Refuse, asked: list[int], answers_within_blocks: int | None = None
) -> AsyncGenerator[RpcClient]:
    """A node with one log in each listed block; `asked` gets the span of each query.

    Args:
        answers_within_blocks: for queries of more blocks it takes longer than a hasty client waits.
    """

    async def handle(request: web.Request) -> web.Response:
        body = orjson.loads(await request.read())
        if body["method"] == "eth_chainId":
            return web.Response(body=orjson.dumps({"id": body["id"], "result": hex(338)}))
        first, last = (int(body["params"][0][name], 16) for name in ("fromBlock", "toBlock"))
        asked.append(last - first + 1)
        if answers_within_blocks is not None and last - first + 1 > answers_within_blocks:
            await asyncio.sleep(1)
        found = [{"blockNumber": hex(number)} for number in logs if first <= number <= last]
        refusal = refuse(last - first + 1, len(found))
        answer = {"error": {"code": refusal[0], "message": refusal[1]}} if refusal else {"result": found}
        return web.Response(body=orjson.dumps({"id": body["id"], **answer}))

    application = web.Application()
    application.router.add_post("/", handle)
    async with (
        TestServer(application) as server,
        RpcClient(str(server.make_url("/")), 338, timeout_seconds=30) as client,
    ):
        yield client


@asynccontextmanager
async def hasty(url: str) -> AsyncGenerator[RpcClient]:
    """A client that waits half a second, once it is connected."""
    client = RpcClient(url, 338, timeout_seconds=0.5)

    async def is_connected() -> bool:
        try:
            await client.connect()
        except RpcTimeout:
            return False
        return True

    await eventually(is_connected)
    yield client
    await client.close()


@settings(max_examples=20, deadline=None)
@given(
    logs=st.lists(st.integers(0, 999), unique=True).map(sorted),
    most_results=st.integers(1, 50),
    most_blocks=st.integers(1, 1_500),
)
def test_every_log_is_found_once_and_in_order_whatever_the_limits(
    logs: list[int], most_results: int, most_blocks: int
) -> None:
    def refuse(blocks: int, results: int) -> tuple[int, str] | None:
        if blocks > most_blocks:
            return -32602, f"block range is too wide, at most {most_blocks}"
        if results > most_results:
            return -32005, f"query returned more than {most_results} results"
        return None

    async def ask() -> list[int]:
        asked: list[int] = []
        async with node(logs, refuse, asked) as client:
            query = LogQuery({}, 1_000)
            found = [int(raw["blockNumber"], 16) for raw in await query.between(client, 0, 999)]
            refused = sum(1 for span in asked if span > most_blocks)
            assert refused <= 11 + len(asked) / 4, "it learns what the node refuses"
            return found

    assert asyncio.run(ask()) == logs


def never(_blocks: int, _results: int) -> None:
    """Refuse nothing."""


async def test_a_part_grows_again_once_the_node_keeps_up() -> None:
    asked: list[int] = []
    limit = 10

    def refuse(blocks: int, _: int) -> tuple[int, str] | None:
        return (-32000, "block range limit") if blocks > limit else None

    async with node([], refuse, asked) as client:
        query = LogQuery({}, 64)
        await query.between(client, 0, 63)
        assert query.blocks <= 16
        limit = 100
        await query.between(client, 0, 1_000)
        assert query.blocks == 64


async def test_a_timeout_makes_the_next_query_smaller_and_is_not_repeated_at_once() -> None:
    asked: list[int] = []
    async with node([3], never, asked, answers_within_blocks=30) as client, hasty(client.url) as impatient:
        query = LogQuery({}, 100)
        with pytest.raises(RpcTimeout):
            await query.between(impatient, 0, 99)
        with pytest.raises(RpcTimeout):
            await query.between(impatient, 0, 99)
        assert len(await query.between(client, 0, 99)) == 1
        assert asked[:3] == [100, 50, 25]


async def test_one_block_that_is_too_much_is_said_so() -> None:
    async with node([1], lambda _, results: (-32005, "too many results") if results else None, []) as client:
        with pytest.raises(RpcRejected):
            await LogQuery({}, 8).between(client, 0, 7)


@pytest.mark.parametrize(
    ("problem", "smaller_helps"),
    [
        (RpcRejected(-32005, "whatever"), True),
        (RpcRejected(-32602, "eth_getLogs is limited to a 10,000 range"), True),
        (RpcRejected(-32000, "query timeout exceeded"), True),
        (RpcRejected(-32614, "eth_getLogs is limited to 1024 block range"), True),
        (RpcRejected(-32000, "maximum [from, to] blocks distance: 2000 exceeded"), True),
        (RpcRejected(-32601, "the method does not exist"), False),
        (RpcTimeout("slow"), True),
        (RpcTooLarge("much"), True),
        (RpcBadAnswer("broken"), False),
        (RpcUnavailable("away"), False),
    ],
)
def test_refusals_are_told_from_failures(problem: RpcError, smaller_helps: bool) -> None:
    assert asked_too_much(problem) is smaller_helps
