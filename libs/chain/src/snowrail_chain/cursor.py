"""Following a chain block by block: links, common ancestors, finality, and how much to fetch at once.

Pure logic: whoever follows a chain keeps the blocks in a table and asks the nodes.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise


class InconsistentBlocks(ValueError):
    """What a node gave is not one chain, as after a reorganisation between two answers: fetch again."""


class Forked(Exception):
    """The chain goes on from another block than the one followed so far."""


@dataclass(frozen=True, slots=True)
class BlockLink:
    """A block and what it builds on.

    Attributes:
        number: Block height.
        hash: `0x` and 64 hexadecimal digits.
        parent_hash: Hash of the block below.
    """

    number: int
    hash: str
    parent_hash: str


def require_linked(tip: BlockLink | None, blocks: Sequence[BlockLink]) -> None:
    """Check that blocks follow one another and the last one followed so far.

    Args:
        tip: Last block followed; nothing at the very beginning.
        blocks: Fetched blocks, lowest first.

    Raises:
        InconsistentBlocks: The blocks do not follow one another, or do not begin right above the tip.
        Forked: They follow one another, but not the tip.
    """
    for below, block in pairwise(blocks):
        if block.number != below.number + 1 or block.parent_hash != below.hash:
            raise InconsistentBlocks(f"block {block.number} does not follow block {below.number}")
    if tip is None or not blocks:
        return
    if blocks[0].number != tip.number + 1:
        raise InconsistentBlocks(f"block {blocks[0].number} is not the one above {tip.number}")
    if blocks[0].parent_hash != tip.hash:
        raise Forked(f"block {blocks[0].number} does not build on the known block {tip.number}")


def newest_final(tip_number: int, confirmations: int) -> int:
    """Height up to which blocks are final when the tip counts as the first of `confirmations` blocks."""
    return tip_number - confirmations + 1


class AncestorSearch:
    """Finds the newest stored block that is still on the chain, with few questions.

    If a block is on the chain, so are all below it. The search therefore steps down from the top with
    doubling strides and then bisects: shallow forks, which are the usual ones, cost one or two questions and
    a fork of depth d about 2 * log2(d).

    Args:
        lowest: Height of the lowest stored block.
        highest: Height of the highest stored block.
    """

    def __init__(self, lowest: int, highest: int) -> None:
        self._lowest = lowest
        self._on_chain = lowest - 1
        self._off_chain = highest + 1
        self._stride = 1

    @property
    def question(self) -> int | None:
        """Height of the block to ask about next; nothing once the search has ended."""
        if self._off_chain - self._on_chain == 1:
            return None
        if self._on_chain < self._lowest:
            return max(self._lowest, self._off_chain - self._stride)
        return (self._on_chain + self._off_chain) // 2

    def answer(self, is_on_chain: bool) -> None:
        """Take the answer to `question`: whether the stored block of that height is on the chain."""
        asked = self.question
        assert asked is not None, "the search has ended"
        if is_on_chain:
            self._on_chain = asked
        else:
            self._off_chain = asked
            self._stride *= 2

    @property
    def ancestor(self) -> int | None:
        """Height of the newest stored block on the chain; nothing when none of them is. Ask at the end."""
        assert self.question is None, "the search goes on"
        return self._on_chain if self._on_chain >= self._lowest else None


class RangeSize:
    """How many blocks to fetch at once: doubled while nodes keep up, halved when they do not.

    Args:
        largest: Upper bound, in blocks; the lower bound is one block.
        grow_after: Successes in a row before it is doubled.
    """

    def __init__(self, largest: int, grow_after: int = 1) -> None:
        assert largest >= 1, "a range has at least one block"
        assert grow_after >= 1, "a range grows after at least one success"
        self._largest = largest
        self._grow_after = grow_after
        self._blocks = largest
        self._successes = 0

    @property
    def blocks(self) -> int:
        """Blocks of the next range."""
        return self._blocks

    def succeeded(self) -> None:
        """A range of this size was fetched and stored."""
        self._successes += 1
        if self._successes >= self._grow_after:
            self._successes = 0
            self._blocks = min(self._blocks * 2, self._largest)

    def failed(self, asked: int | None = None) -> None:
        """A range was too much, or a node failed for another reason.

        Args:
            asked: Blocks that were asked for, when fewer than a whole range.
        """
        self._successes = 0
        self._blocks = max(min(self._blocks, asked or self._blocks) // 2, 1)
