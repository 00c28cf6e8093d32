"""Outside systems: a chain's nodes, as chain-monitor reads them."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Protocol

import aiohttp
import structlog
from eth_hash.auto import keccak

from snowrail_chain.abi import (
    ESCROW_TOPICS,
    MalformedLog,
    accrued_fees_calldata,
    allowance_calldata,
    balance_of_calldata,
    decode_escrow_log,
    decode_uint256,
    log_position,
)
from snowrail_chain.addresses import NATIVE_TOKEN, checksum_address
from snowrail_chain.config import ChainConfig
from snowrail_chain.cursor import BlockLink, InconsistentBlocks
from snowrail_chain.log_query import LogQuery
from snowrail_chain.nodes import ChainNodes
from snowrail_chain.rpc import RpcBadAnswer, RpcClient, RpcError, RpcRequest, quantity
from snowrail_chain_monitor.domain import Block, BlockTransaction, LocatedEvent, Receipt
from snowrail_chain_monitor.second_opinion import Opinion, opinion_of

log = structlog.get_logger("nodes")

_LOGS_BY_HASH_BLOCKS = 8
"""Up to so many blocks, logs are asked for by block hash: a node that lags then refuses, never omits."""
_HEADS_PAUSE_FIRST_SECONDS = 1.0
_HEADS_PAUSE_LAST_SECONDS = 30.0
_HEADS_HEARTBEAT_SECONDS = 20.0


@dataclass(frozen=True, slots=True)
class Head:
    """Where a node is.

    Attributes:
        number: Height of its latest block.
        gas_price: What it suggests, in wei per gas.
        hash_at_tip: Hash of its block at the height that was asked about; nothing when it has none there.
    """

    number: int
    gas_price: int
    hash_at_tip: str | None


@dataclass(frozen=True, slots=True)
class BalanceQuery:
    """Whose balance of which token, the zero address being the native coin; EIP-55."""

    address: str
    token: str


@dataclass(frozen=True, slots=True)
class AllowanceQuery:
    """How much of the owner's token the spender may move; EIP-55."""

    owner: str
    token: str
    spender: str


@dataclass(frozen=True, slots=True)
class Funds:
    """Answers in the order of the questions, in atoms.

    Attributes:
        block_number: Latest block of the node when it was asked.
        gas_price: In wei per gas.
    """

    balances: list[int]
    allowances: list[int]
    gas_price: int
    block_number: int


@dataclass(frozen=True, slots=True)
class EscrowBalance:
    """What the escrow contract has of a token, and what of that are fees it has taken; in atoms."""

    token: str
    held: int
    fees: int


class ChainReader(Protocol):
    """Reads one chain. Every method raises `RpcError` when no node answers."""

    async def head(self, tip_number: int | None) -> Head:
        """Where the node is, and which block it has at our tip."""
        ...

    async def blocks(self, first: int, last: int) -> list[Block]:
        """Blocks of a range, lowest first. Raises `InconsistentBlocks` when the node lacks one."""
        ...

    async def events(self, blocks: Sequence[Block]) -> list[LocatedEvent]:
        """Events of the escrow in consecutive blocks. Raises `InconsistentBlocks`."""
        ...

    async def receipts(self, hashes: Sequence[str]) -> dict[str, Receipt]:
        """Receipts by hash. Raises `InconsistentBlocks` when the node lacks one."""
        ...

    async def hashes(self, numbers: Sequence[int]) -> list[str | None]:
        """Hash of the block at each height, nothing above the node's head."""
        ...

    async def opinions(self, numbers: Sequence[int], first: int, last: int) -> list[Opinion | RpcError]:
        """What each configured node says about a window of blocks, the node in use first.

        Args:
            numbers: Heights whose block hashes are asked for.
            first, last: Heights between which the escrow's logs are asked for, both included.

        Returns:
            One entry per configured node; the error where another than the node in use does not answer.
        """
        ...

    @property
    def endpoints(self) -> int:
        """How many nodes are configured."""
        ...

    async def funds(self, balances: Sequence[BalanceQuery], allowances: Sequence[AllowanceQuery]) -> Funds:
        """Balances and allowances in the latest block."""
        ...

    async def escrow_balances(
        self, tokens: Sequence[str], number: int, block_hash: str
    ) -> list[list[EscrowBalance] | RpcError]:
        """What the escrow has at a block, from each configured node, the one in use first.

        A node that has another block at this height counts as one that does not answer.
        """
        ...

    def suspect(self) -> None:
        """Say that the node failed, so that another one is taken if there is any."""
        ...

    async def close(self) -> None:
        """Close the connections."""
        ...


class NodeReader:
    """A `ChainReader` over JSON-RPC."""

    def __init__(self, chain: ChainConfig, timeout_seconds: float) -> None:
        self._escrow = chain.escrow
        self._bloom_bits = bloom_bits(chain.escrow)
        self._wanted = {"address": chain.escrow, "topics": [list(ESCROW_TOPICS)]}
        self._nodes = ChainNodes(chain.rpc_urls, chain.chain_id, timeout_seconds=timeout_seconds)
        self._log_queries: dict[str, LogQuery] = {}

    async def head(self, tip_number: int | None) -> Head:
        """See `ChainReader.head`."""
        requests = [RpcRequest("eth_blockNumber"), RpcRequest("eth_gasPrice")]
        if tip_number is not None:
            requests.append(RpcRequest("eth_getBlockByNumber", (hex(tip_number), False)))
        answers = _raise_first(await (await self._nodes.primary()).batch(requests))
        at_tip = answers[2] if tip_number is not None else None
        return Head(quantity(answers[0]), quantity(answers[1]), _hash(at_tip))

    async def blocks(self, first: int, last: int) -> list[Block]:
        """See `ChainReader.blocks`."""
        client = await self._nodes.primary()
        answers = _raise_first(
            await client.batch(
                [RpcRequest("eth_getBlockByNumber", (hex(number), True)) for number in range(first, last + 1)]
            )
        )
        if None in answers:
            raise InconsistentBlocks("the node lacks a block below its own head")
        return [_block(answer, self._bloom_bits) for answer in answers]

    async def events(self, blocks: Sequence[Block]) -> list[LocatedEvent]:
        """See `ChainReader.events`."""
        client = await self._nodes.primary()
        if len(blocks) <= _LOGS_BY_HASH_BLOCKS:
            return await self._events_of(client, blocks)
        events = await self._events_between(client, blocks[0].link.number, blocks[-1].link.number)
        # behind one address there may be several nodes, and one that lags omits what it does not know
        found = {event.block_hash for event in events}
        suspicious = [block for block in blocks if block.may_touch_escrow and block.link.hash not in found]
        return [*events, *await self._events_of(client, suspicious)]

    async def _events_of(self, client: RpcClient, blocks: Sequence[Block]) -> list[LocatedEvent]:
        filters = [{**self._wanted, "blockHash": block.link.hash} for block in blocks]
        answers = _raise_first(
            await client.batch([RpcRequest("eth_getLogs", (wanted,)) for wanted in filters])
        )
        return self._events([raw for answer in answers for raw in answer])

    async def _events_between(self, client: RpcClient, first: int, last: int) -> list[LocatedEvent]:
        query = self._log_queries.setdefault(client.url, LogQuery(self._wanted))
        return self._events(await query.between(client, first, last))

    def _events(self, logs: Sequence[dict[str, Any]]) -> list[LocatedEvent]:
        return [event for raw in logs if (event := self._event(raw)) is not None]

    async def receipts(self, hashes: Sequence[str]) -> dict[str, Receipt]:
        """See `ChainReader.receipts`."""
        if not hashes:
            return {}
        answers = await (await self._nodes.primary()).receipts(hashes)
        receipts: dict[str, Receipt] = {}
        for transaction_hash, answer in zip(hashes, answers, strict=True):
            if answer is None:
                raise InconsistentBlocks(f"the node lacks the receipt of {transaction_hash}")
            receipts[transaction_hash] = Receipt(
                block_hash=answer["blockHash"],
                succeeded=quantity(answer["status"]) == 1,
                escrow_logs=sum(1 for raw in answer["logs"] if self._event(raw) is not None),
            )
        return receipts

    async def hashes(self, numbers: Sequence[int]) -> list[str | None]:
        """See `ChainReader.hashes`."""
        return await _block_hashes(await self._nodes.primary(), numbers)

    async def opinions(self, numbers: Sequence[int], first: int, last: int) -> list[Opinion | RpcError]:
        """See `ChainReader.opinions`."""
        own = await self._opinion(await self._nodes.primary(), numbers, first, last)
        others = [
            self._opinion_elsewhere(other, numbers, first, last) for other in await self._nodes.others()
        ]
        return [own, *await asyncio.gather(*others)]

    async def _opinion_elsewhere(
        self, other: RpcClient | RpcError, numbers: Sequence[int], first: int, last: int
    ) -> Opinion | RpcError:
        if isinstance(other, RpcError):
            return other
        try:
            return await self._opinion(other, numbers, first, last)
        except (RpcError, InconsistentBlocks) as problem:
            self._nodes.suspect_other(other)
            return problem if isinstance(problem, RpcError) else RpcBadAnswer(str(problem))

    async def _opinion(self, client: RpcClient, numbers: Sequence[int], first: int, last: int) -> Opinion:
        hashes = await _block_hashes(client, numbers)
        events = await self._events_between(client, first, last) if None not in hashes else []
        return opinion_of(dict(zip(numbers, hashes, strict=True)), events)

    @property
    def endpoints(self) -> int:
        """See `ChainReader.endpoints`."""
        return self._nodes.count

    async def funds(self, balances: Sequence[BalanceQuery], allowances: Sequence[AllowanceQuery]) -> Funds:
        """See `ChainReader.funds`."""
        requests = [RpcRequest("eth_blockNumber"), RpcRequest("eth_gasPrice")]
        requests += [
            RpcRequest("eth_getBalance", (query.address, "latest"))
            if query.token == NATIVE_TOKEN
            else _read(query.token, balance_of_calldata(query.address))
            for query in balances
        ]
        requests += [
            _read(query.token, allowance_calldata(query.owner, query.spender)) for query in allowances
        ]
        answers = _raise_first(await (await self._nodes.primary()).batch(requests))
        numbers = [
            quantity(answer) if request.method == "eth_getBalance" else _word(answer)
            for request, answer in zip(requests[2:], answers[2:], strict=True)
        ]
        return Funds(
            balances=numbers[: len(balances)],
            allowances=numbers[len(balances) :],
            gas_price=quantity(answers[1]),
            block_number=quantity(answers[0]),
        )

    async def escrow_balances(
        self, tokens: Sequence[str], number: int, block_hash: str
    ) -> list[list[EscrowBalance] | RpcError]:
        """See `ChainReader.escrow_balances`."""
        client = await self._nodes.primary()
        answers: list[list[EscrowBalance] | RpcError] = [
            await self._escrow_balances(client, tokens, number, block_hash)
        ]
        for other in await self._nodes.others():
            try:
                answers.append(
                    other
                    if isinstance(other, RpcError)
                    else await self._escrow_balances(other, tokens, number, block_hash)
                )
            except RpcError as problem:
                answers.append(problem)
        return answers

    async def _escrow_balances(
        self, client: RpcClient, tokens: Sequence[str], number: int, block_hash: str
    ) -> list[EscrowBalance]:
        height = hex(number)
        requests = [RpcRequest("eth_getBlockByNumber", (height, False))]
        for token in tokens:
            requests += [
                RpcRequest("eth_getBalance", (self._escrow, height))
                if token == NATIVE_TOKEN
                else _read(token, balance_of_calldata(self._escrow), height),
                _read(self._escrow, accrued_fees_calldata(token), height),
            ]
        block, *words = _raise_first(await client.batch(requests))
        if _hash(block) != block_hash:
            raise RpcBadAnswer(f"the node has another block {number}")
        return [
            EscrowBalance(token, quantity(held) if token == NATIVE_TOKEN else _word(held), _word(fees))
            for token, held, fees in zip(tokens, words[::2], words[1::2], strict=True)
        ]

    def suspect(self) -> None:
        """See `ChainReader.suspect`."""
        self._nodes.suspect()

    async def close(self) -> None:
        """See `ChainReader.close`."""
        await self._nodes.close()

    def _event(self, raw: dict[str, Any]) -> LocatedEvent | None:
        try:
            event = decode_escrow_log(raw, self._escrow)
            position = log_position(raw)
        except MalformedLog as problem:
            raise InconsistentBlocks(f"a log that is none of the escrow's: {problem}") from problem
        if event is None or position.removed:
            return None
        return LocatedEvent(
            position.block_number, position.block_hash, position.transaction_hash, position.log_index, event
        )


class HeadListener:
    """Wakes the follower of a chain when a node announces a block. Only a hint: nothing depends on it."""

    def __init__(self, url: str, wake: Callable[[], None]) -> None:
        self._url = url
        self._wake = wake
        self._task: asyncio.Task[None] | None = None

    def ensure_started(self) -> None:
        """Start to listen; harmless when started."""
        if self._task is None:
            self._task = asyncio.create_task(self._run())

    async def close(self) -> None:
        """Stop listening."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    async def _run(self) -> None:
        pause = _HEADS_PAUSE_FIRST_SECONDS
        while True:
            try:
                async with (
                    aiohttp.ClientSession() as session,
                    session.ws_connect(self._url, heartbeat=_HEADS_HEARTBEAT_SECONDS) as socket,
                ):
                    await socket.send_json(
                        {"jsonrpc": "2.0", "id": 1, "method": "eth_subscribe", "params": ["newHeads"]}
                    )
                    async for _ in socket:
                        pause = _HEADS_PAUSE_FIRST_SECONDS
                        self._wake()
            except (aiohttp.ClientError, OSError, TimeoutError) as problem:
                log.info("no announcements of blocks", error=str(problem) or type(problem).__name__)
            await asyncio.sleep(pause)
            pause = min(pause * 2, _HEADS_PAUSE_LAST_SECONDS)


def _raise_first(answers: list[Any]) -> list[Any]:
    for answer in answers:
        if isinstance(answer, RpcError):
            raise answer
    return answers


async def _block_hashes(client: RpcClient, numbers: Sequence[int]) -> list[str | None]:
    answers = await client.batch(
        [RpcRequest("eth_getBlockByNumber", (hex(number), False)) for number in numbers]
    )
    return [_hash(answer) for answer in _raise_first(answers)]


def _hash(block: dict[str, Any] | None) -> str | None:
    return None if block is None else str(block["hash"])


def bloom_bits(address: str) -> int:
    """Return the bits that a log of this address sets in a block's bloom filter (Yellow Paper, 4.3.1)."""
    digest = keccak(bytes.fromhex(address[2:]))
    bits = 0
    for start in (0, 2, 4):
        bits |= 1 << (int.from_bytes(digest[start : start + 2], "big") % 2048)
    return bits


def _block(answer: dict[str, Any], escrow_bits: int) -> Block:
    try:
        return Block(
            link=BlockLink(quantity(answer["number"]), answer["hash"], answer["parentHash"]),
            time=datetime.fromtimestamp(quantity(answer["timestamp"]), UTC),
            base_fee=quantity(answer.get("baseFeePerGas", "0x0")),
            may_touch_escrow=quantity(answer.get("logsBloom", "0x0")) & escrow_bits == escrow_bits,
            transactions=tuple(
                BlockTransaction(
                    hash=transaction["hash"],
                    sender=checksum_address(bytes.fromhex(transaction["from"][2:])),
                    nonce=quantity(transaction["nonce"]),
                )
                for transaction in answer["transactions"]
            ),
        )
    except (KeyError, TypeError, ValueError) as problem:
        raise RpcBadAnswer(f"a block without what a block has: {problem!r}") from problem


def _read(contract: str, calldata: bytes, block: str = "latest") -> RpcRequest:
    return RpcRequest("eth_call", ({"to": contract, "data": f"0x{calldata.hex()}"}, block))


def _word(answer: Any) -> int:
    try:
        return decode_uint256(bytes.fromhex(str(answer)[2:]))
    except ValueError as problem:
        raise RpcBadAnswer(f"not a number of atoms: {answer!r}") from problem
