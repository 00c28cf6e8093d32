"""Answers of the broker to reads of the stream: complete, empty, or not to be believed."""

import asyncio
from uuid import uuid4

import pytest
from nats.aio.client import Client
from nats.aio.msg import Msg

from snowrail_gateway.history import HistoryUnavailable, StoredPage, _Answer  # pyright: ignore[reportPrivateUsage]
from snowrail_gateway.subscription import _sequences_of  # pyright: ignore[reportPrivateUsage]
from snowrail_testkit import Broker, RunningService

from .support import publish_feed


def message(data: bytes = b"", **headers: str) -> Msg:
    """Return a message of an answer; underscores stand for hyphens."""
    return Msg(
        Client(), headers={name.replace("_", "-"): value for name, value in headers.items()}, data=data
    )


def entry(sequence: int, previous: int) -> Msg:
    """Return one stored message as the broker sends it in a batch."""
    return message(b"x", Nats_Sequence=str(sequence), Nats_Last_Sequence=str(previous))


def end(last: int, remaining: int = 0) -> Msg:
    """Return the end of a batch."""
    return message(Status="204", Nats_Last_Sequence=str(last), Nats_Num_Pending=str(remaining))


async def outcome(*messages: Msg, limit: int = 10) -> StoredPage:
    """Return what an answer of these messages amounts to. Raises HistoryUnavailable or TimeoutError."""
    answer = _Answer("alice", limit, asyncio.get_running_loop().create_future())
    for item in messages:
        answer.add(item)
    return await asyncio.wait_for(answer.done, 0.05)


async def test_a_complete_batch() -> None:
    page = await outcome(entry(3, 0), entry(9, 3), end(9, remaining=4), end(9))
    assert [item.sequence for item in page.entries] == [3, 9]
    assert page.remaining == 4


async def test_nothing_found() -> None:
    assert await outcome(message(Status="404")) == StoredPage((), 0)


@pytest.mark.parametrize(
    "messages",
    [
        (entry(3, 0), entry(9, 5), end(9)),
        (entry(9, 3), end(9)),
        (entry(3, 0), end(9)),
        (entry(3, 0), message(b"x", Nats_Sequence="4"), end(4)),
        (message(Status="408"),),
        (message(Status="503"),),
        (entry(1, 0), entry(2, 1), entry(3, 2), end(3)),
    ],
    ids=["gap", "first lost", "last lost", "old server", "bad request", "nobody there", "too many"],
)
async def test_an_incomplete_answer_is_none(messages: tuple[Msg, ...]) -> None:
    with pytest.raises(HistoryUnavailable):
        await outcome(*messages, limit=1 if len(messages) == 4 else 10)


@pytest.mark.parametrize(
    "reply",
    [
        "$JS.ACK.FEED.gateway_x.1.17.4.1795159368124439721.2",
        "$JS.ACK.hub.hash.FEED.gateway_x.1.17.4.17.2.tail",
    ],
)
def test_sequences_are_read_with_and_without_a_domain(reply: str) -> None:
    assert _sequences_of(reply) == (17, 4)


async def test_a_crowd_shares_questions_about_the_stream(gateway: RunningService, broker: Broker) -> None:
    history = gateway.parts.history
    before = await history.state()
    await publish_feed(broker, uuid4(), 1)
    states = await asyncio.gather(*(history.state() for _ in range(100)))
    assert {state.last_sequence for state in states} == {before.last_sequence + 1}
    assert (before.incarnation, before.messages_per_user) == (states[0].incarnation, 5_000)
