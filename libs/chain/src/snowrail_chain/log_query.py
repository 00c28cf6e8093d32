"""`eth_getLogs` over many blocks, in parts no larger than the node answers.

Nodes limit the number of results, the span of blocks or the time of one query, each by its own measure and in
its own words. So a part shrinks when it was too much, and grows again while the node keeps up.
"""

import re
from collections.abc import Mapping
from typing import Any, cast

from snowrail_chain.cursor import RangeSize
from snowrail_chain.rpc import RpcBadAnswer, RpcClient, RpcError, RpcRejected, RpcTimeout, RpcTooLarge

DEFAULT_LARGEST_BLOCKS = 2_000
DEFAULT_GROW_AFTER = 4
"""Answered parts before a larger one is tried: at most one query in five is refused."""

_LIMIT_EXCEEDED = -32005
_TOO_MUCH = re.compile(
    r"too (many|large|wide|big)|more than|exceed|limit|range|time[d -]?out|query timeout", re.IGNORECASE
)


def asked_too_much(problem: RpcError) -> bool:
    """Whether a node would answer a smaller query: fewer results, a shorter span, or less work."""
    if isinstance(problem, RpcRejected):
        return problem.code == _LIMIT_EXCEEDED or _TOO_MUCH.search(problem.message) is not None
    return isinstance(problem, RpcTimeout | RpcTooLarge)


class LogQuery:
    """Asks one node for logs. It remembers how much the node answers at once.

    Args:
        wanted: Address and topics of the filter, as JSON-RPC spells them.
        largest_blocks: Most blocks in one query.
    """

    def __init__(self, wanted: Mapping[str, Any], largest_blocks: int = DEFAULT_LARGEST_BLOCKS) -> None:
        self._wanted = dict(wanted)
        self._size = RangeSize(largest_blocks, grow_after=DEFAULT_GROW_AFTER)

    @property
    def blocks(self) -> int:
        """Blocks of the next query."""
        return self._size.blocks

    async def between(self, client: RpcClient, first: int, last: int) -> list[dict[str, Any]]:
        """Return the logs of blocks `first` to `last`, both included, in chain order.

        Raises:
            RpcError: The node does not answer, or refuses even one block. After a timeout nothing is asked
                again here; the next query is smaller.
        """
        found: list[dict[str, Any]] = []
        begin = first
        while begin <= last:
            end = min(last, begin + self._size.blocks - 1)
            ends = {"fromBlock": hex(begin), "toBlock": hex(end)}
            try:
                answer = await client.call("eth_getLogs", {**self._wanted, **ends})
            except RpcError as problem:
                if not asked_too_much(problem):
                    raise
                self._size.failed(end - begin + 1)
                if begin == end or isinstance(problem, RpcTimeout):
                    raise
                continue
            if not isinstance(answer, list):
                raise RpcBadAnswer("logs that are no list")
            self._size.succeeded()
            found += cast("list[dict[str, Any]]", answer)
            begin = end + 1
        return found
