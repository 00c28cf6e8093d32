"""Following a chain: links, ancestors, finality, sizes of ranges."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from snowrail_chain.cursor import (
    AncestorSearch,
    BlockLink,
    Forked,
    InconsistentBlocks,
    RangeSize,
    newest_final,
    require_linked,
)


def links(first: int, count: int, branch: str = "a", parent: str | None = None) -> list[BlockLink]:
    """A run of blocks; `parent` is the hash below the first."""
    below = parent or f"{branch}{first - 1}"
    blocks: list[BlockLink] = []
    for number in range(first, first + count):
        blocks.append(BlockLink(number, f"{branch}{number}", below))
        below = blocks[-1].hash
    return blocks


def test_blocks_that_follow_one_another_and_the_tip_pass() -> None:
    require_linked(None, links(5, 3))
    require_linked(links(4, 1)[0], links(5, 3))
    require_linked(links(4, 1)[0], [])
    require_linked(None, [])


def test_a_gap_or_a_wrong_parent_between_fetched_blocks_is_inconsistent() -> None:
    blocks = links(5, 3)
    with pytest.raises(InconsistentBlocks, match="block 7 does not follow block 5"):
        require_linked(None, [blocks[0], blocks[2]])
    with pytest.raises(InconsistentBlocks, match="block 7 does not follow block 6"):
        require_linked(None, [blocks[0], blocks[1], links(7, 1, "b")[0]])


def test_blocks_that_do_not_begin_above_the_tip_are_inconsistent() -> None:
    with pytest.raises(InconsistentBlocks, match="not the one above 4"):
        require_linked(links(4, 1)[0], links(6, 2))


def test_another_parent_above_the_tip_is_a_fork() -> None:
    with pytest.raises(Forked, match="known block 4"):
        require_linked(links(4, 1)[0], links(5, 2, "b"))


@pytest.mark.parametrize(
    ("tip", "confirmations", "final"), [(10, 1, 10), (10, 2, 9), (10, 10, 1), (3, 12, -8)]
)
def test_the_including_block_is_the_first_confirmation(tip: int, confirmations: int, final: int) -> None:
    assert newest_final(tip, confirmations) == final


@given(lowest=st.integers(0, 50), stored=st.integers(0, 20_000), depth=st.integers(0, 20_100))
def test_the_search_finds_the_newest_block_still_on_the_chain(lowest: int, stored: int, depth: int) -> None:
    highest = lowest + stored
    newest_on_chain = highest - depth
    search = AncestorSearch(lowest, highest)
    questions = 0
    while (asked := search.question) is not None:
        assert lowest <= asked <= highest
        search.answer(asked <= newest_on_chain)
        questions += 1
        assert questions <= 2 * max(depth, 1).bit_length() + 2
    assert search.ancestor == (newest_on_chain if newest_on_chain >= lowest else None)


def test_ranges_shrink_and_grow_within_their_bounds() -> None:
    size = RangeSize(100)
    assert size.blocks == 100
    size.failed()
    size.failed()
    assert size.blocks == 25
    for _ in range(10):
        size.failed()
    assert size.blocks == 1
    size.succeeded()
    assert size.blocks == 2
    for _ in range(10):
        size.succeeded()
    assert size.blocks == 100


def test_a_range_grows_only_after_as_many_successes_as_it_was_told() -> None:
    size = RangeSize(100, grow_after=3)
    size.failed(asked=8)
    assert size.blocks == 4
    for expected in (4, 4, 8):
        size.succeeded()
        assert size.blocks == expected
    size.succeeded()
    size.failed()
    size.succeeded()
    size.succeeded()
    assert size.blocks == 4
