"""A node that passes everything on to a real one, and lies where it was told to."""

from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import orjson
from aiohttp import web
from aiohttp.test_utils import TestServer

Lie = Callable[[str, list[Any], Any], Any]
"""Given method, parameters and true result of a call: the result that is passed on instead."""

Problem = dict[str, Any]


class LyingNode:
    """JSON-RPC over HTTP in front of another node.

    Attributes:
        lies: applied to every result, in order.
        refuse: an error for a call, if it is to be refused.
        is_away: every request is answered with HTTP 503.
        asked: methods of all calls.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self.lies: list[Lie] = []
        self.refuse: Callable[[str, list[Any]], Problem | None] = lambda _method, _parameters: None
        self.is_away = False
        self.asked: list[str] = []
        self.url = ""

    async def handle(self, request: web.Request) -> web.Response:
        """Answer a call or a batch of calls."""
        if self.is_away:
            return web.Response(status=503, text="away")
        body = orjson.loads(await request.read())
        calls = body if isinstance(body, list) else [body]
        self.asked += [call["method"] for call in calls]
        async with aiohttp.ClientSession() as session, session.post(self._url, json=body) as response:
            answer = orjson.loads(await response.read())
        listed: list[dict[str, Any]] = answer if isinstance(answer, list) else [answer]
        answers = {entry["id"]: entry for entry in listed}
        told = [self._tell(call, answers[call["id"]]) for call in calls]
        return web.Response(
            body=orjson.dumps(told if isinstance(body, list) else told[0]), content_type="application/json"
        )

    def _tell(self, call: dict[str, Any], answer: dict[str, Any]) -> dict[str, Any]:
        method, parameters = call["method"], list(call.get("params", []))
        refusal = self.refuse(method, parameters)
        if refusal is not None:
            return {"jsonrpc": "2.0", "id": call["id"], "error": refusal}
        if "result" not in answer:
            return answer
        result = answer["result"]
        for lie in self.lies:
            result = lie(method, parameters, result)
        return {**answer, "result": result}


@asynccontextmanager
async def lying_node(url: str) -> AsyncGenerator[LyingNode]:
    """Run a node in front of another one; it tells the truth at first."""
    node = LyingNode(url)
    application = web.Application(client_max_size=64 * 1024 * 1024)
    application.router.add_post("/", node.handle)
    async with TestServer(application) as server:
        node.url = str(server.make_url("/"))
        yield node


def leave_out_logs(method: str, _parameters: list[Any], result: Any) -> Any:
    """There are no logs anywhere, and no block has any by its bloom filter."""
    if method == "eth_getLogs":
        return []
    if method == "eth_getBlockByNumber" and result is not None:
        return {**result, "logsBloom": "0x" + "0" * 512}
    if method == "eth_getTransactionReceipt" and result is not None:
        return {**result, "logs": []}
    return result


def inflate_deposits(method: str, _parameters: list[Any], result: Any) -> Any:
    """Every deposit is a thousand times what it is."""
    return [_inflated(entry) for entry in result] if method == "eth_getLogs" else result


def _inflated(entry: dict[str, Any]) -> dict[str, Any]:
    words = [entry["data"][start : start + 64] for start in range(2, len(entry["data"]), 64)]
    if len(words) != 3:
        return entry
    token, amount, deposited = words
    larger = [f"{int(value, 16) * 1_000:064x}" for value in (amount, deposited)]
    return {**entry, "data": "0x" + token + "".join(larger)}


def other_blocks_above(height: int) -> Lie:
    """Above a height there are other blocks, which follow one another; logs and receipts fit them."""

    def forge(value: str) -> str:
        return "0x" + bytes(byte ^ 0xFF for byte in bytes.fromhex(value[2:])).hex()

    def lie(method: str, _parameters: list[Any], result: Any) -> Any:
        if method == "eth_getBlockByNumber" and result is not None:
            number = int(result["number"], 16)
            changed = dict(result)
            if number > height:
                changed["hash"] = forge(result["hash"])
            if number > height + 1:
                changed["parentHash"] = forge(result["parentHash"])
            return changed
        if method == "eth_getLogs" and result is not None:
            logs: list[dict[str, Any]] = result
            return [
                {**entry, "blockHash": forge(entry["blockHash"])}
                if int(entry["blockNumber"], 16) > height
                else entry
                for entry in logs
            ]
        return result

    return lie


def stuck_at(height: int) -> Lie:
    """The node has no block above a height."""

    def lie(method: str, parameters: list[Any], result: Any) -> Any:
        if method == "eth_blockNumber":
            return hex(min(int(result, 16), height))
        if method == "eth_getBlockByNumber" and int(parameters[0], 16) > height:
            return None
        if method == "eth_getLogs":
            return [entry for entry in result if int(entry["blockNumber"], 16) <= height]
        return result

    return lie
