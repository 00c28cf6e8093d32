"""How long commands take to be answered, typed by many users over their sockets."""

import asyncio
import itertools
import time

import orjson
import pytest
import uvloop

from snowrail_local.stack import Stack
from snowrail_testkit import eventually

from .conftest import Table
from .crowd import Chain, Member, crowd, give_money
from .stacks import measured_stack

PEOPLE = 50
PER_SECOND = 100
SECONDS = 20
GOAL = "< 100"
LINES = (
    "/pay {other} 1.5 USDC",
    "/status",
    "/history",
    "/wallet",
    "/pay {other} 1,50 USDC",
    "/contacts",
    "/schedule list",
    "/template list",
    "/pay {other} 2 USDC at tomorrow 9am --acknowledge duplicate",
    "/settings",
)


class Stopwatch:
    """When lines were sent, and when the chat's first answer to each came."""

    def __init__(self) -> None:
        self.sent: dict[str, float] = {}
        self.names: dict[str, str] = {}
        self.milliseconds: list[float] = []
        self._answered: dict[str, float] = {}

    def on_frame(self, _: Member, text: str) -> None:
        """Take a frame: the acceptance of a line, or an answer."""
        if "chat:accepted" not in text and "chat:message" not in text:
            return
        now = time.monotonic()
        frame = orjson.loads(text)
        if frame["type"] == "chat:accepted":
            self.names[frame["message_id"]] = frame["id"]
            if frame["message_id"] in self._answered:
                self._stop(frame["message_id"], self._answered.pop(frame["message_id"]))
        elif frame["type"] == "chat:message":
            message_id = frame["data"]["in_reply_to"]
            if message_id in self.names:
                self._stop(message_id, now)
            else:
                self._answered.setdefault(message_id, now)

    async def is_done(self) -> bool:
        """Return whether every line was answered."""
        return not self.sent

    def _stop(self, message_id: str, now: float) -> None:
        sent = self.sent.pop(self.names[message_id], None)
        if sent is not None:
            self.milliseconds.append(1_000 * (now - sent))


@pytest.mark.bench
def test_commands_are_answered_in_time(table: Table) -> None:
    """From the frame with the line to the frame with its card; payments take the intent service's answer."""
    with measured_stack() as stack:
        uvloop.run(_measure(stack, table))


async def _measure(stack: Stack, table: Table) -> None:
    watch = Stopwatch()
    async with crowd(stack, PEOPLE, watch.on_frame) as members:
        await give_money(Chain.of(stack), members)
        lines = itertools.cycle(LINES)
        begun = time.monotonic()
        for number in range(PER_SECOND * SECONDS):
            await asyncio.sleep(max(0.0, begun + number / PER_SECOND - time.monotonic()))
            member, other = members[number % PEOPLE], members[(number + 1) % PEOPLE]
            client_id = f"line-{number}"
            watch.sent[client_id] = time.monotonic()
            text = next(lines).format(other=other.address)
            await member.send({"type": "chat:message", "id": client_id, "text": text})
        await eventually(watch.is_done)
    assert len(watch.milliseconds) == PER_SECOND * SECONDS
    table.add_percentiles(f"command to its card, {PER_SECOND} commands/s", watch.milliseconds, GOAL)
