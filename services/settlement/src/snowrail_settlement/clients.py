"""Outside systems: a chain's nodes, as lanes use them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from snowrail_chain.config import ChainConfig
from snowrail_chain.nodes import ChainNodes
from snowrail_chain.rpc import RpcError, RpcRejected, RpcRequest, quantity
from snowrail_chain.send import SendResult


@dataclass(frozen=True, slots=True)
class Network:
    """A node's latest block.

    Attributes:
        height: Its number.
        base_fee: Wei per gas; on chains without one, what the node suggests.
    """

    height: int
    base_fee: int


@dataclass(frozen=True, slots=True)
class Account:
    """A signer by a node's latest block.

    Attributes:
        nonce: Next nonce.
        pending_nonce: Next nonce with what waits in the node's pool.
        balance: Wei.
    """

    nonce: int
    pending_nonce: int
    balance: int


class Node(Protocol):
    """What a lane needs of a chain's nodes. Every method raises `RpcError` when no node can be reached."""

    async def network(self) -> Network:
        """The latest block."""
        ...

    async def account(self, address: str) -> Account:
        """An account by the latest block."""
        ...

    async def knows_any(self, hashes: Sequence[str]) -> bool:
        """Whether the node has a transaction of one of these hashes, in a block or in its pool."""
        ...

    async def contracts_among(self, addresses: Sequence[str]) -> set[str]:
        """Those of these addresses that have code."""
        ...

    async def send(self, raw: bytes) -> SendResult:
        """Send a signed transaction. Once it may have left, a missing answer is the outcome UNKNOWN."""
        ...

    async def simulate(
        self, sender: str, escrow: str, calls: Sequence[bytes], gas: int
    ) -> list[bytes | None]:
        """Revert data of each call by itself, in the latest block; nothing for calls that do not revert.

        A call that fails without revert data proves nothing and counts as one that does not revert.
        """
        ...

    def suspect(self) -> None:
        """Say that the node failed, so that another one is taken if there is any."""
        ...

    async def close(self) -> None:
        """Close the connections."""
        ...


class RpcNode:
    """A `Node` over JSON-RPC."""

    def __init__(self, chain: ChainConfig, timeout_seconds: float) -> None:
        self._nodes = ChainNodes(chain.rpc_urls, chain.chain_id, timeout_seconds=timeout_seconds)

    async def network(self) -> Network:
        """See `Node.network`."""
        client = await self._nodes.primary()
        block, price = _raise_first(
            await client.batch(
                [RpcRequest("eth_getBlockByNumber", ("latest", False)), RpcRequest("eth_gasPrice")]
            )
        )
        return Network(quantity(block["number"]), quantity(block.get("baseFeePerGas") or price))

    async def account(self, address: str) -> Account:
        """See `Node.account`."""
        client = await self._nodes.primary()
        answers = _raise_first(
            await client.batch(
                [
                    RpcRequest("eth_getTransactionCount", (address, "latest")),
                    RpcRequest("eth_getTransactionCount", (address, "pending")),
                    RpcRequest("eth_getBalance", (address, "latest")),
                ]
            )
        )
        nonce, pending_nonce, balance = (quantity(answer) for answer in answers)
        return Account(nonce, pending_nonce, balance)

    async def knows_any(self, hashes: Sequence[str]) -> bool:
        """See `Node.knows_any`."""
        client = await self._nodes.primary()
        answers = _raise_first(
            await client.batch([RpcRequest("eth_getTransactionByHash", (value,)) for value in hashes])
        )
        return any(answer is not None for answer in answers)

    async def contracts_among(self, addresses: Sequence[str]) -> set[str]:
        """See `Node.contracts_among`."""
        client = await self._nodes.primary()
        answers = _raise_first(
            await client.batch([RpcRequest("eth_getCode", (address, "latest")) for address in addresses])
        )
        return {address for address, code in zip(addresses, answers, strict=True) if code != "0x"}

    async def send(self, raw: bytes) -> SendResult:
        """See `Node.send`."""
        client = await self._nodes.primary()
        return await client.send_raw_transaction(raw)

    async def simulate(
        self, sender: str, escrow: str, calls: Sequence[bytes], gas: int
    ) -> list[bytes | None]:
        """See `Node.simulate`."""
        client = await self._nodes.primary()
        answers = await client.batch(
            [
                RpcRequest(
                    "eth_call",
                    ({"from": sender, "to": escrow, "data": f"0x{data.hex()}", "gas": hex(gas)}, "latest"),
                )
                for data in calls
            ]
        )
        reverts: list[bytes | None] = []
        for answer in answers:
            if isinstance(answer, RpcError) and not isinstance(answer, RpcRejected):
                raise answer
            reverts.append(answer.data if isinstance(answer, RpcRejected) and answer.data else None)
        return reverts

    def suspect(self) -> None:
        """See `Node.suspect`."""
        self._nodes.suspect()

    async def close(self) -> None:
        """See `Node.close`."""
        await self._nodes.close()


def _raise_first(answers: Sequence[object]) -> list[Any]:
    for answer in answers:
        if isinstance(answer, RpcError):
            raise answer
    return list(answers)
