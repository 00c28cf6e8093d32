"""An RPC node that stands in front of a development chain and behaves as badly as real ones do, on demand.

Whatever it does not spoil is answered by the chain behind it, so that transactions really execute. Run it:
`python -m snowrail_testkit.emulators.node --upstream http://127.0.0.1:48545 --port 8545`; in a test, take the
fixture `start_node_emulator`. What it does is switched over `/admin/…`, which no real node has:

    GET  /admin/behaviour   what it does now, and what it has done
    PUT  /admin/behaviour   {"modes": ["strict_nonce", "no_replacement"], "times": null, …}
    POST /admin/rollback    {"blocks": 40}: the chain loses its newest blocks, as Cronos once did

Wordings of refusals are those of geth and of ethermint, which Cronos runs.
"""

import argparse
import asyncio
import enum
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, cast

import aiohttp
import orjson
from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from snowrail_chain.rpc import transaction_hash
from snowrail_chain.signer import read_transaction, recover_sender

MAX_BODY_BYTES = 16 * 1024 * 1024
UPSTREAM_TIMEOUT_SECONDS = 30.0
SEND = "eth_sendRawTransaction"
LIMIT_EXCEEDED = -32005
SERVER_ERROR = -32000
_BLOCK_ARGUMENT = {
    "eth_getBalance": 1,
    "eth_getTransactionCount": 1,
    "eth_getCode": 1,
    "eth_call": 1,
    "eth_estimateGas": 1,
    "eth_getStorageAt": 2,
    "eth_getBlockByNumber": 0,
    "eth_getBlockReceipts": 0,
}
"""Which parameter names the block."""


class Mode(enum.StrEnum):
    """What the node does wrong; several at once are possible."""

    STRICT_NONCE = "strict_nonce"
    """Takes a transaction only with the very next nonce of its sender: gaps are refused, not queued."""
    NO_REPLACEMENT = "no_replacement"
    """Refuses another transaction at a nonce that waits in its pool, whatever it offers."""
    EVICTING = "evicting"
    """Takes a transaction, shows it in its pool for `keep_seconds`, and drops it without a word."""
    LAGGING = "lagging"
    """Is `lag_blocks` behind: old blocks, nonces, balances, and no receipts of what is newer."""
    FORGETTING = "forgetting"
    """Lies: answers that it took a transaction and never has it."""
    WRONG_NONCE = "wrong_nonce"
    """Lies: every account's nonce is off by `nonce_offset`."""
    WRONG_RECEIPT = "wrong_receipt"
    """Lies: receipts tell the opposite status, and no logs."""
    RATE_LIMITED = "rate_limited"
    """429 with Retry-After, for every request."""
    CALL_LIMITED = "call_limited"
    """200, and error -32005 for every call."""
    LOST_REPLY = "lost_reply"
    """Takes a transaction and breaks the connection before it answers."""
    FAILING_AFTERWARDS = "failing_afterwards"
    """Takes a transaction and answers with an internal error."""


class Behaviour(BaseModel):
    """The modes and their figures, as the admin route takes them.

    `times`: how often a mode spoils an answer before the node is honest again; None for ever.
    """

    model_config = ConfigDict(extra="forbid")

    modes: frozenset[Mode] = frozenset()
    times: int | None = Field(default=None, ge=1)
    lag_blocks: int = Field(default=3, ge=1)
    keep_seconds: float = Field(default=0.2, ge=0, le=3_600)
    nonce_offset: int = Field(default=1)
    retry_after_seconds: int = Field(default=1, ge=0)


class Rollback(BaseModel):
    """How many of the newest blocks leave the chain."""

    model_config = ConfigDict(extra="forbid")

    blocks: int = Field(ge=1, le=100_000)


class Refused(Exception):
    """The call is answered with a JSON-RPC error."""

    def __init__(self, code: int, message: str, data: Any = None) -> None:
        super().__init__(message)
        self.error: dict[str, Any] = {"code": code, "message": message}
        if data is not None:
            self.error["data"] = data


class _ConnectionLost(Exception):
    """The connection breaks instead of an answer."""


@dataclass(frozen=True, slots=True)
class _Kept:
    """A transaction that is shown in the pool and that nobody else has, until it is dropped."""

    raw: bytes
    sender: str
    nonce: int
    until: float


@dataclass
class NodeEmulator:
    """The node's state.

    Attributes:
        upstream: URL of the chain behind it.
        behaviour: what it does now.
        calls: how often each method was called.
        spoiled: how often each mode spoiled an answer.
        monotonic: seconds, for what is kept a while.
    """

    upstream: str
    behaviour: Behaviour = field(default_factory=Behaviour)
    calls: Counter[str] = field(default_factory=Counter[str])
    spoiled: Counter[Mode] = field(default_factory=Counter[Mode])
    monotonic: Callable[[], float] = time.monotonic
    _kept: dict[str, _Kept] = field(default_factory=dict[str, _Kept])
    _session: aiohttp.ClientSession | None = None

    async def open(self) -> None:
        """Open the connection to the chain."""
        timeout = aiohttp.ClientTimeout(total=UPSTREAM_TIMEOUT_SECONDS)
        self._session = aiohttp.ClientSession(timeout=timeout)

    async def close(self) -> None:
        """Close the connection to the chain."""
        if self._session is not None:
            await self._session.close()

    def misbehave(self, *modes: Mode, **figures: Any) -> None:
        """Take up these modes, and no others; without any, be honest."""
        self.behaviour = Behaviour(modes=frozenset(modes), **figures)

    def spoils(self, mode: Mode) -> bool:
        """Whether this answer is to be spoiled; counts it, and down where the times are bounded."""
        current = self.behaviour
        if mode not in current.modes:
            return False
        self.spoiled[mode] += 1
        if current.times is not None:
            left = current.times - 1
            self.behaviour = current.model_copy(update={"times": left}) if left else Behaviour()
        return True

    async def rollback(self, blocks: int) -> None:
        """Have the chain lose its newest blocks, and the pool what is in it."""
        await self._ask("anvil_rollback", blocks)
        await self._ask("anvil_dropAllTransactions")
        self._kept.clear()

    async def answer(self, call: dict[str, Any]) -> dict[str, Any]:
        """Answer one call.

        Raises:
            _ConnectionLost: instead of an answer.
        """
        method, parameters = str(call.get("method")), list(cast("list[Any]", call.get("params") or []))
        self.calls[method] += 1
        envelope: dict[str, Any] = {"jsonrpc": "2.0", "id": call.get("id")}
        try:
            if self.spoils(Mode.CALL_LIMITED):
                raise Refused(LIMIT_EXCEEDED, "limit exceeded")
            if method == SEND:
                return {**envelope, "result": await self._send(bytes.fromhex(parameters[0][2:]))}
            return {**envelope, "result": await self._read(method, parameters)}
        except Refused as refused:
            return {**envelope, "error": refused.error}

    async def _send(self, raw: bytes) -> str:
        """Take a raw transaction, or not."""
        own_hash, nonce, sender = transaction_hash(raw), read_transaction(raw).nonce, recover_sender(raw)
        if self.spoils(Mode.FORGETTING):
            return own_hash
        if own_hash in self._pool():
            raise Refused(SERVER_ERROR, "already known")
        await self._check_pool(own_hash, sender, nonce)
        if self.spoils(Mode.EVICTING):
            until = self.monotonic() + self.behaviour.keep_seconds
            self._kept[own_hash] = _Kept(raw, sender, nonce, until)
            return own_hash
        taken = await self._ask(SEND, f"0x{raw.hex()}")
        if self.spoils(Mode.LOST_REPLY):
            raise _ConnectionLost
        if self.spoils(Mode.FAILING_AFTERWARDS):
            raise Refused(-32603, "internal error")
        return cast("str", taken)

    async def _check_pool(self, own_hash: str, sender: str, nonce: int) -> None:
        """Refuse what strict nodes and nodes without replacement refuse."""
        modes = self.behaviour.modes
        if not modes & {Mode.STRICT_NONCE, Mode.NO_REPLACEMENT}:
            return
        known = await self._ask("eth_getTransactionByHash", own_hash)
        if known is not None and known["blockNumber"] is None:
            raise Refused(SERVER_ERROR, "tx already in mempool")
        mined = int(await self._ask("eth_getTransactionCount", sender, "latest"), 16)
        expected = int(await self._ask("eth_getTransactionCount", sender, "pending"), 16) + self._extra(
            sender
        )
        if Mode.NO_REPLACEMENT in modes and mined <= nonce < expected:
            self.spoils(Mode.NO_REPLACEMENT)
            raise Refused(SERVER_ERROR, "replacement transaction underpriced")
        if Mode.STRICT_NONCE in modes and nonce != expected:
            self.spoils(Mode.STRICT_NONCE)
            raise Refused(SERVER_ERROR, f"invalid nonce; got {nonce}, expected {expected}: invalid sequence")

    async def _read(self, method: str, parameters: list[Any]) -> Any:
        """Answer a call that changes nothing."""
        if Mode.LAGGING in self.behaviour.modes:
            return await self._read_behind(method, parameters)
        if method == "eth_getTransactionByHash" and parameters[0] in self._pool():
            return _pending(parameters[0], self._kept[parameters[0]])
        result = await self._ask(method, *parameters)
        if method == "eth_getTransactionCount":
            count = int(result, 16) + (self._extra(parameters[0]) if parameters[1:] == ["pending"] else 0)
            if self.spoils(Mode.WRONG_NONCE):
                count = max(0, count + self.behaviour.nonce_offset)
            return hex(count)
        if method == "eth_getTransactionReceipt" and result is not None and self.spoils(Mode.WRONG_RECEIPT):
            return {**result, "status": hex(1 - int(result["status"], 16)), "logs": []}
        return result

    async def _read_behind(self, method: str, parameters: list[Any]) -> Any:
        """Answer as if the newest blocks did not exist."""
        newest = int(await self._ask("eth_blockNumber"), 16)
        visible = max(0, newest - self.behaviour.lag_blocks)
        self.spoils(Mode.LAGGING)
        if method == "eth_blockNumber":
            return hex(visible)
        index = _BLOCK_ARGUMENT.get(method)
        if index is not None:
            parameters += ["latest"] * (index + 1 - len(parameters))
            block = parameters[index]
            if isinstance(block, str) and not block.startswith("0x"):
                parameters[index] = "earliest" if block == "earliest" else hex(visible)
            elif isinstance(block, str) and len(block) < 66 and int(block, 16) > visible:
                return None if method.startswith("eth_getBlock") else _refuse_unknown_block()
        if method == "eth_getLogs":
            last = parameters[0].get("toBlock", "latest")
            if not str(last).startswith("0x") or int(last, 16) > visible:
                parameters[0] = {**parameters[0], "toBlock": hex(visible)}
        result = await self._ask(method, *parameters)
        if method in ("eth_getTransactionByHash", "eth_getTransactionReceipt") and result is not None:
            block = result.get("blockNumber")
            return result if block is not None and int(block, 16) <= visible else None
        if method == "eth_getBlockByHash" and result is not None and int(result["number"], 16) > visible:
            return None
        return result

    def _pool(self) -> dict[str, _Kept]:
        """What is shown as waiting although nobody else has it; drops what is due."""
        now = self.monotonic()
        self._kept = {own_hash: kept for own_hash, kept in self._kept.items() if kept.until > now}
        return self._kept

    def _extra(self, sender: str) -> int:
        return sum(kept.sender.lower() == sender.lower() for kept in self._pool().values())

    async def _ask(self, method: str, *parameters: Any) -> Any:
        """Ask the chain behind.

        Raises:
            Refused: it answered with an error.
        """
        assert self._session is not None, "the emulator is not open"
        body = {"jsonrpc": "2.0", "id": 0, "method": method, "params": parameters}
        async with self._session.post(self.upstream, data=orjson.dumps(body), headers=_JSON) as response:
            answer = orjson.loads(await response.read())
        error = answer.get("error")
        if error is not None:
            raise Refused(error.get("code", SERVER_ERROR), error.get("message", ""), error.get("data"))
        return answer.get("result")


_JSON = {"Content-Type": "application/json"}


def _refuse_unknown_block() -> None:
    raise Refused(SERVER_ERROR, "header not found")


def _pending(own_hash: str, kept: _Kept) -> dict[str, Any]:
    signed = read_transaction(kept.raw)
    return {
        "hash": own_hash,
        "from": kept.sender,
        "to": signed.to,
        "nonce": hex(kept.nonce),
        "input": f"0x{signed.data.hex()}",
        "blockHash": None,
        "blockNumber": None,
        "type": "0x2",
    }


def build_app(emulator: NodeEmulator) -> web.Application:
    """Return the node as an application."""

    async def rpc(request: web.Request) -> web.StreamResponse:
        if emulator.spoils(Mode.RATE_LIMITED):
            body = {"jsonrpc": "2.0", "id": None, "error": {"code": LIMIT_EXCEEDED, "message": "slow down"}}
            retry_after = {"Retry-After": str(emulator.behaviour.retry_after_seconds)}
            return web.json_response(body, status=429, headers=retry_after)
        try:
            calls: Any = orjson.loads(await request.read())
        except orjson.JSONDecodeError:
            error = {"code": -32700, "message": "parse error"}
            return web.json_response({"jsonrpc": "2.0", "id": None, "error": error}, status=400)
        try:
            if isinstance(calls, dict):
                answer: Any = await emulator.answer(cast("dict[str, Any]", calls))
            else:
                answer = [await emulator.answer(call) for call in cast("list[dict[str, Any]]", calls)]
        except _ConnectionLost:
            assert request.transport is not None, "the request came over a connection"
            request.transport.abort()
            return web.Response(status=502)
        return web.Response(body=orjson.dumps(answer), content_type="application/json")

    async def show(_: web.Request) -> web.Response:
        document = emulator.behaviour.model_dump(mode="json")
        done = {"calls": dict(emulator.calls), "spoiled": dict(emulator.spoiled)}
        return web.json_response({**document, **done})

    async def change(request: web.Request) -> web.Response:
        emulator.behaviour = Behaviour.model_validate_json(await request.read())
        return web.json_response(emulator.behaviour.model_dump(mode="json"))

    async def rollback(request: web.Request) -> web.Response:
        wanted = Rollback.model_validate_json(await request.read())
        try:
            await emulator.rollback(wanted.blocks)
        except Refused as refused:
            return web.json_response(refused.error, status=409)
        return web.json_response({"blocks": wanted.blocks})

    app = web.Application(client_max_size=MAX_BODY_BYTES, middlewares=[_explain_invalid])
    app.router.add_post("/", rpc)
    app.router.add_get("/admin/behaviour", show)
    app.router.add_put("/admin/behaviour", change)
    app.router.add_post("/admin/rollback", rollback)
    return app


@web.middleware
async def _explain_invalid(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    try:
        return await handler(request)
    except ValidationError as problem:
        return web.json_response({"detail": problem.errors(include_url=False)}, status=422, dumps=_text)


def _text(value: Any) -> str:
    return orjson.dumps(value, default=str).decode()


@dataclass
class RunningNode:
    """A node emulator that serves on a port of its own.

    Attributes:
        url: its HTTP address.
    """

    emulator: NodeEmulator
    url: str
    _runner: web.AppRunner

    @classmethod
    async def start(cls, upstream: str, host: str = "127.0.0.1", port: int = 0) -> "RunningNode":
        """Serve in this event loop; port 0 takes a free one."""
        emulator = NodeEmulator(upstream)
        await emulator.open()
        runner = web.AppRunner(build_app(emulator), access_log=None)
        await runner.setup()
        site = web.TCPSite(runner, host, port)
        await site.start()
        return cls(emulator, f"http://{host}:{runner.addresses[0][1]}", runner)

    async def stop(self) -> None:
        """End it."""
        await self._runner.cleanup()
        await self.emulator.close()


async def _serve(upstream: str, host: str, port: int) -> None:
    node = await RunningNode.start(upstream, host, port)
    print(node.url, flush=True)  # noqa: T201 - whoever started it with port 0 has to learn the port
    try:
        await asyncio.Event().wait()
    finally:
        await node.stop()


def main() -> None:
    """Entry point of the command line."""
    parser = argparse.ArgumentParser(prog="python -m snowrail_testkit.emulators.node", description=__doc__)
    parser.add_argument("--upstream", required=True)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8545)
    options = parser.parse_args()
    asyncio.run(_serve(options.upstream, options.host, options.port))


if __name__ == "__main__":
    main()
