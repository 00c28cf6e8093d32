"""The client against nodes that lie, stall, break off and refuse."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import orjson
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from snowrail_chain.rpc import (
    RpcBadAnswer,
    RpcClient,
    RpcRejected,
    RpcRequest,
    RpcTimeout,
    RpcUnavailable,
    WrongChain,
    quantity,
    transaction_hash,
)
from snowrail_chain.send import SendOutcome
from snowrail_testkit import eventually

Answer = Callable[[Any], Awaitable[web.StreamResponse]]
RAW = b"\x02raw transaction"
OWN_HASH = transaction_hash(RAW)


class Node:
    """A node whose answers the test writes; it serves chain 338 until told otherwise."""

    def __init__(self) -> None:
        self.chain_id = 338
        self.answer: Answer | None = None
        self.cut_after: bytes | None = None
        self.requests: list[Any] = []
        self.busy = 0
        self.most_busy = 0

    async def handle(self, request: web.Request) -> web.StreamResponse:
        body = orjson.loads(await request.read())
        self.requests.append(body)
        self.busy += 1
        self.most_busy = max(self.most_busy, self.busy)
        try:
            if isinstance(body, dict) and body["method"] == "eth_chainId":
                return self.json({"id": body["id"], "result": hex(self.chain_id)})
            if self.cut_after is not None and request.transport is not None:
                request.transport.write(self.cut_after)
                request.transport.close()
            if self.answer is None:
                return self.json(self.echo(body))
            return await self.answer(body)
        finally:
            self.busy -= 1

    @staticmethod
    def json(document: Any) -> web.Response:
        return web.Response(body=orjson.dumps(document), content_type="application/json")

    @staticmethod
    def echo(body: Any) -> Any:
        if isinstance(body, list):
            return [Node.echo(entry) for entry in reversed(body)]
        return {"jsonrpc": "2.0", "id": body["id"], "result": body["params"]}

    def always(self, document: Any, status: int = 200) -> None:
        """Answer everything with this document, or with these bytes."""

        async def answer(body: Any) -> web.StreamResponse:
            content = document if isinstance(document, bytes) else orjson.dumps(document)
            return web.Response(body=content, status=status)

        self.answer = answer


@pytest.fixture
async def node() -> Node:
    return Node()


@pytest.fixture
async def url(node: Node) -> AsyncIterator[str]:
    application = web.Application()
    application.router.add_post("/", node.handle)
    async with TestServer(application) as server:
        yield str(server.make_url("/"))


async def test_the_chain_id_is_checked_when_connecting_and_again_on_demand(node: Node, url: str) -> None:
    async with RpcClient(url, 338) as client:
        node.chain_id = 25
        with pytest.raises(WrongChain) as refusal:
            await client.verify_chain_id()
    assert (refusal.value.expected, refusal.value.actual) == (338, 25)
    with pytest.raises(WrongChain):
        await RpcClient(url, 338).connect()


async def test_a_call_gives_its_result_or_the_nodes_error(node: Node, url: str) -> None:
    async with RpcClient(url, 338) as client:
        assert await client.call("any", 1, "two") == [1, "two"]
        node.always({"id": 0, "error": {"code": 3, "message": "execution reverted", "data": "0x0102"}})
        with pytest.raises(RpcRejected, match="execution reverted") as refusal:
            await client.read("0x1", b"")
        assert (refusal.value.code, refusal.value.data) == (3, b"\x01\x02")
        node.always({"id": 0, "error": {"code": -32000, "message": "no", "data": "0xzz"}})
        with pytest.raises(RpcRejected) as refusal:
            await client.call("any")
        assert refusal.value.data == b""


@pytest.mark.parametrize(
    ("document", "status"),
    [
        (b"<html>", 502),
        (b"", 200),
        ([], 200),
        ({"id": 0}, 200),
        ({"id": 0, "error": "text"}, 200),
    ],
)
async def test_what_is_no_answer_is_an_unknown_outcome(
    node: Node, url: str, document: Any, status: int
) -> None:
    async with RpcClient(url, 338) as client:
        node.always(document, status)
        with pytest.raises(RpcBadAnswer):
            await client.call("any")


async def test_a_slow_node_times_out(node: Node, url: str) -> None:
    async def stall(body: Any) -> web.StreamResponse:
        await asyncio.sleep(5)
        return node.json({})

    client = RpcClient(url, 338, timeout_seconds=0.1)

    async def is_connected() -> bool:
        try:
            await client.connect()
        except RpcTimeout:  # an honest answer may take longer too
            return False
        return True

    await eventually(is_connected)
    node.answer = stall
    with pytest.raises(RpcTimeout):
        await client.call("any")
    result = await client.send_raw_transaction(RAW)
    await client.close()
    assert (result.outcome, result.transaction_hash) == (SendOutcome.UNKNOWN, OWN_HASH)


async def test_a_connection_cut_off_is_an_unknown_outcome(node: Node, url: str) -> None:
    async with RpcClient(url, 338) as client:
        for answered in (b"", b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{"):
            node.cut_after = answered
            with pytest.raises(RpcBadAnswer, match="broke"):
                await client.call("any")


async def test_an_answer_too_large_is_not_read(node: Node, url: str) -> None:
    node.always({"id": 0, "result": "x" * 10_000})
    async with RpcClient(url, 338, max_answer_bytes=1_000) as client:
        with pytest.raises(RpcBadAnswer, match="1000 bytes"):
            await client.call("any")


async def test_a_node_out_of_reach_has_received_nothing() -> None:
    with pytest.raises(RpcUnavailable):
        await RpcClient("http://127.0.0.1:1", 338).connect()
    with pytest.raises(RpcUnavailable, match="not connected"):
        await RpcClient("http://127.0.0.1:1", 338).call("any")


async def test_batches_keep_their_order_and_their_bounds(node: Node, url: str) -> None:
    async with RpcClient(url, 338, max_batch_requests=10, max_concurrent_requests=2) as client:
        results = await client.batch([RpcRequest("any", (index,)) for index in range(35)])
    assert results == [[index] for index in range(35)]
    assert [len(body) for body in node.requests[1:]] == [10, 10, 10, 5]
    assert node.most_busy <= 2
    async with RpcClient(url, 338) as client:
        assert await client.batch([]) == []


async def test_entries_of_a_batch_fail_alone(node: Node, url: str) -> None:
    node.always([{"id": 2, "result": "0x2"}, {"id": 0, "error": {"code": 1, "message": "no"}}, {"id": 9}, 5])
    async with RpcClient(url, 338) as client:
        first, second, third = await client.batch([RpcRequest("any")] * 3)
    assert isinstance(first, RpcRejected)
    assert isinstance(second, RpcBadAnswer)
    assert third == "0x2"


async def test_a_refused_batch_fails_every_entry(node: Node, url: str) -> None:
    node.always({"id": None, "error": {"code": -32600, "message": "batch too large"}})
    async with RpcClient(url, 338) as client:
        results = await client.batch([RpcRequest("any")] * 3)
        sent = await client.send_raw_transactions([RAW, RAW])
    assert [str(result) for result in results] == ["batch too large (-32600)"] * 3
    assert [result.outcome for result in sent] == [SendOutcome.UNKNOWN] * 2


async def test_sending_names_the_outcome_of_each_transaction(node: Node, url: str) -> None:
    node.always(
        [
            {"id": 0, "result": OWN_HASH},
            {"id": 1, "error": {"code": -32000, "message": "nonce too low"}},
            {"id": 2, "result": f"0x{'00' * 32}"},
        ]
    )
    async with RpcClient(url, 338) as client:
        results = await client.send_raw_transactions([RAW] * 4)
    assert [result.outcome for result in results] == [
        SendOutcome.ACCEPTED,
        SendOutcome.NONCE_TOO_LOW,
        SendOutcome.UNKNOWN,
        SendOutcome.UNKNOWN,
    ]
    assert {result.transaction_hash for result in results} == {OWN_HASH}


async def test_wrong_quantities_and_bytes_are_no_answers(node: Node, url: str) -> None:
    node.always({"id": 0, "result": "xyz"})
    async with RpcClient(url, 338) as client:
        with pytest.raises(RpcBadAnswer):
            await client.block_number()
        with pytest.raises(RpcBadAnswer):
            await client.code("0x1")
    with pytest.raises(RpcBadAnswer):
        quantity(None)  # pyright: ignore[reportArgumentType]


async def test_missing_receipts_are_told_from_missing_answers(node: Node, url: str) -> None:
    node.always([{"id": 0, "result": None}, {"id": 1, "result": {"status": "0x1"}}])
    async with RpcClient(url, 338) as client:
        assert await client.receipts(["0x1", "0x2"]) == [None, {"status": "0x1"}]
        with pytest.raises(RpcBadAnswer):
            await client.receipts(["0x1", "0x2", "0x3"])
