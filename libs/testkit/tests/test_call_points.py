"""Processes that die before or after a call, as the call board says."""

import asyncio
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from snowrail_testkit import call_points
from snowrail_testkit.call_board import Call, CallBoard, KillPoint, Order, Side

COUNTER = call_points._Counter  # pyright: ignore[reportPrivateUsage]
LABELS = call_points._statement_labels  # pyright: ignore[reportPrivateUsage]


def in_child(work: Callable[[], None]) -> int:
    """Run something in a forked process and return its exit status."""
    child = os.fork()
    if child == 0:
        try:
            work()
        finally:
            os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def three_calls(board: CallBoard, made: Path) -> Callable[[], None]:
    """Return work that makes three calls, each of which leaves a line."""

    async def work() -> None:
        counter = COUNTER("intent", board)
        for number in range(3):

            async def answer(number: int = number) -> int:
                with made.open("a") as file:
                    file.write(f"{number}\n")
                return number

            await counter.call(["read"], answer, lambda result: "rows" if result else "none")

    return lambda: asyncio.run(work())


@pytest.mark.parametrize(
    ("point", "calls"),
    [
        (KillPoint("read", Side.BEFORE), 0),
        (KillPoint("read", Side.BEFORE, occurrence=3), 2),
        (KillPoint("read", Side.AFTER, "none"), 1),
        (KillPoint("read", Side.AFTER, "rows"), 2),
        (KillPoint("read", Side.AFTER, "rows", occurrence=2), 3),
    ],
)
def test_a_process_dies_where_it_is_told_to_and_its_successor_does_not(
    tmp_path: Path, point: KillPoint, calls: int
) -> None:
    board, made = CallBoard(tmp_path), tmp_path / "made"
    made.touch()
    board.give(Order(1, kills={"intent": point}))
    assert in_child(three_calls(board, made)) == call_points.ENDED_STATUS
    assert len(made.read_text().split()) == calls
    assert board.has_ended(1, "intent")
    assert in_child(three_calls(board, made)) == 0
    assert len(made.read_text().split()) == calls + 3


def test_others_live_and_calls_are_written_down(tmp_path: Path) -> None:
    board, made = CallBoard(tmp_path), tmp_path / "made"
    board.give(Order(7, is_recording=True, kills={"chat": KillPoint("read", Side.BEFORE)}))
    assert in_child(three_calls(board, made)) == 0
    assert board.calls(7, "intent") == [
        Call("read", "none", 1, 1),
        Call("read", "rows", 2, 1),
        Call("read", "rows", 3, 2),
    ]
    assert not board.calls(7, "chat")
    assert not board.has_ended(7, "chat")


def test_a_commit_is_named_after_the_messages_it_commits() -> None:
    told: list[str] = []
    assert LABELS("BEGIN;", (), told) == ["pool: BEGIN;"]
    subjects = ["b.v1", "a.v1", "b.v1"]
    insert = "\nWITH fresh AS (\n    INSERT INTO inbox (x)"
    assert LABELS(insert, ("me", [], [], subjects), told) == ["inbox a.v1", "inbox b.v1"]
    assert LABELS("INSERT INTO outbox (x)", ([], [], ["c.v1"]), told) == ["outbox c.v1"]
    assert LABELS("COMMIT;", (), told) == ["commit of received a.v1", "commit of received b.v1"]
    LABELS("BEGIN;", (), told)
    LABELS("INSERT INTO outbox (x)", ([], [], ["c.v1"]), told)
    assert LABELS("COMMIT;", (), told) == ["commit of told c.v1"]
