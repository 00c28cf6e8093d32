"""The nodes of one chain: connected when first needed, chain id checked, the next taken when one fails."""

import asyncio
import time
from collections.abc import Sequence

from snowrail_chain.rpc import DEFAULT_TIMEOUT_SECONDS, RpcClient, RpcError, RpcUnavailable

ABSENT_SECONDS = 2.0
"""How long a node that could not be connected is not tried again for a second opinion."""


class ChainNodes:
    """Clients of a chain's nodes, in order of preference.

    A node's chain id is checked when it is connected and again after `suspect`.

    Args:
        urls: HTTP addresses of the nodes, the preferred one first.
        chain_id: The only chain id accepted.
        timeout_seconds: Longest time of one HTTP request.
    """

    def __init__(
        self, urls: Sequence[str], chain_id: int, *, timeout_seconds: float = DEFAULT_TIMEOUT_SECONDS
    ) -> None:
        assert urls, "a chain has at least one node"
        urls = list(dict.fromkeys(urls))  # the same address twice is one node
        self._clients = [RpcClient(url, chain_id, timeout_seconds=timeout_seconds) for url in urls]
        self._checked = [False] * len(urls)
        self._preferred = 0
        self._connecting = [asyncio.Lock() for _ in urls]
        self._absent: dict[int, tuple[float, RpcError]] = {}

    async def primary(self) -> RpcClient:
        """Return the node in use, or the next one that can be connected.

        Raises:
            RpcError: None of them answers as a node of this chain.
        """
        problem: RpcError = RpcUnavailable("no node")
        for step in range(len(self._clients)):
            index = (self._preferred + step) % len(self._clients)
            try:
                client = await self._connected(index)
            except RpcError as failure:
                problem = failure
                continue
            self._preferred = index
            return client
        raise problem

    @property
    def count(self) -> int:
        """How many nodes are configured."""
        return len(self._clients)

    async def others(self) -> list[RpcClient | RpcError]:
        """Return all nodes except the one in use, connected; or why one is not.

        One that could not be connected is left alone for a moment, so that it holds nobody up.
        """
        indexes = [index for index in range(len(self._clients)) if index != self._preferred]
        return list(await asyncio.gather(*(self._other(index) for index in indexes)))

    async def _other(self, index: int) -> RpcClient | RpcError:
        until, problem = self._absent.get(index, (0.0, RpcUnavailable("never asked")))
        if time.monotonic() < until:
            return problem
        try:
            client = await self._connected(index)
        except RpcError as failure:
            self._absent[index] = (time.monotonic() + ABSENT_SECONDS, failure)
            return failure
        self._absent.pop(index, None)
        return client

    def suspect_other(self, client: RpcClient) -> None:
        """Say that another node than the one in use has failed: it is checked anew when next asked."""
        self._checked[self._clients.index(client)] = False

    def suspect(self) -> None:
        """Say that the node in use has failed: the next one is preferred, and all are checked anew."""
        self._checked = [False] * len(self._clients)
        self._preferred = (self._preferred + 1) % len(self._clients)

    async def close(self) -> None:
        """Close all connections."""
        for client in self._clients:
            await client.close()

    async def _connected(self, index: int) -> RpcClient:
        client = self._clients[index]
        async with self._connecting[index]:
            if not self._checked[index]:
                await client.connect()
                self._checked[index] = True
        return client
