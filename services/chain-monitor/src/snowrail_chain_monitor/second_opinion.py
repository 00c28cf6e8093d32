"""Whether independently configured nodes say the same about blocks that are about to be final. Pure.

One node that lies, or that was taken over, can name a block that is not on the chain, invent a log in a
block that is, or leave one out. So block hashes and the escrow's logs of a window of blocks are asked for
again from every node, and compared with what was stored.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from snowrail_chain_monitor.domain import LocatedEvent, escrow_log
from snowrail_events.parts import EscrowLog

LogEvidence = frozenset[tuple[str, str, EscrowLog]]
"""Block hash, transaction hash and content of the escrow's logs in one block."""

REQUIRED_NODES = 2
"""Nodes that must agree where as many are configured."""


@dataclass(frozen=True, slots=True)
class Window:
    """Consecutive blocks as they are stored.

    Attributes:
        first, last: Heights, both included.
        hashes: Block hash by height: of `last`, and of every block with a transaction that concerns us.
        logs: The escrow's logs by height, where there are any.
    """

    first: int
    last: int
    hashes: Mapping[int, str]
    logs: Mapping[int, LogEvidence]


@dataclass(frozen=True, slots=True)
class Opinion:
    """What one node says about a window.

    Attributes:
        hashes: Block hash by each height of the window's `hashes`; nothing where it has no block yet.
        logs: The escrow's logs by height, where there are any.
    """

    hashes: Mapping[int, str | None]
    logs: Mapping[int, LogEvidence]

    @property
    def is_behind(self) -> bool:
        """Whether the node has not all of the window's blocks, so that it cannot be compared."""
        return None in self.hashes.values()


class Ruling(StrEnum):
    """What follows from the opinions.

    AGREED: final. DISPUTED: nodes contradict each other. MISREAD: the nodes agree with each other on the
    blocks, and on other logs than those stored. MOVED: they agree on other blocks, which is a rollback.
    LACKING: fewer nodes answer than must agree.
    """

    AGREED = "agreed"
    DISPUTED = "disputed"
    MISREAD = "misread"
    MOVED = "moved"
    LACKING = "lacking"


@dataclass(frozen=True, slots=True)
class Verdict:
    """The ruling, the height up to which it is final at most, and what is in the way."""

    ruling: Ruling
    agreed_to: int
    problem: str | None = None


def log_evidence(
    numbers: Mapping[str, int], logs: Iterable[tuple[str, str, EscrowLog]]
) -> dict[int, LogEvidence]:
    """Return logs (block hash, transaction hash, content) by height, given the height of each block hash."""
    found: dict[int, set[tuple[str, str, EscrowLog]]] = {}
    for block_hash, transaction_hash, entry in logs:
        found.setdefault(numbers[block_hash], set()).add((block_hash, transaction_hash, entry))
    return {number: frozenset(entries) for number, entries in found.items()}


def opinion_of(hashes: Mapping[int, str | None], events: Iterable[LocatedEvent]) -> Opinion:
    """Return what a node said as an opinion."""
    located = list(events)
    numbers = {event.block_hash: event.block_number for event in located}
    logs = (
        (event.block_hash, event.transaction_hash, escrow_log(event.log_index, event.event))
        for event in located
    )
    return Opinion(hashes, log_evidence(numbers, logs))


def first_difference(window: Window, opinion: Opinion) -> int | None:
    """Return the lowest height at which a node says something else than what is stored."""
    for number in sorted({*window.hashes, *window.logs, *opinion.logs}):
        if number in window.hashes and opinion.hashes.get(number) != window.hashes[number]:
            return number
        if window.logs.get(number, frozenset()) != opinion.logs.get(number, frozenset()):
            return number
    return None


def weigh(window: Window, own: Opinion, others: Sequence[Opinion | None], *, go_on_without: bool) -> Verdict:
    """Weigh what the nodes say.

    Args:
        window: What is stored.
        own: The node in use, asked again.
        others: Every other configured node; nothing for one that does not answer.
        go_on_without: Whether one node's word is enough while the others do not answer.
    """
    before = window.first - 1
    if own.is_behind:
        return Verdict(Ruling.LACKING, before, "the node in use has lost blocks it had")
    heard = [own, *(other for other in others if other is not None and not other.is_behind)]
    differences = [first_difference(window, opinion) for opinion in heard]
    found = [number for number in differences if number is not None]
    enough = len(heard) >= min(REQUIRED_NODES, len(others) + 1)
    if found:
        disputed = min(found)
        unanimous = None not in differences and all(opinion == own for opinion in heard)
        if unanimous and enough:
            ruling = Ruling.MISREAD if dict(own.hashes) == dict(window.hashes) else Ruling.MOVED
            return Verdict(ruling, disputed - 1, f"block {disputed} is not stored as the nodes have it")
        agreed_to = disputed - 1 if enough else before
        return Verdict(Ruling.DISPUTED, agreed_to, f"nodes do not agree on block {disputed}")
    if not enough and not go_on_without:
        return Verdict(
            Ruling.LACKING,
            before,
            f"{len(heard)} of {len(others) + 1} nodes answer for block {window.last}, {REQUIRED_NODES} must",
        )
    return Verdict(Ruling.AGREED, window.last)
