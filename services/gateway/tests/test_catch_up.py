"""The join of the stored and the live feed, over every interleaving that hypothesis can think of."""

from collections.abc import Coroutine, Generator
from dataclasses import dataclass, field
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from snowrail_gateway.catch_up import CatchUp, Page
from snowrail_gateway.feed import Feed
from snowrail_gateway.history import StoredPage, StreamState
from snowrail_gateway.positions import Position, PositionLost
from snowrail_gateway.recent import Entry, Recent
from snowrail_testkit import FakeClock

INCARNATION = "0123456789ab"
USER, OTHER = "alice", "bob"
PAGE = 3
LIMIT = 40


def payload(sequence: int) -> bytes:
    """Return a feed event that carries its own sequence."""
    return b'{"name":"n","event_id":"e","occurred_at":"t","data":%d}' % sequence


class Pause:
    """Something to await that hands control to whoever drives the coroutine."""

    def __await__(self) -> Generator[None, None, None]:
        yield


@dataclass
class Stream:
    """The broker's stream: keeps a number of messages per user, answers reads after a pause."""

    per_user: int = 1_000
    incarnation: str = INCARNATION
    entries: list[Entry] = field(default_factory=list[Entry])
    first: int = 1
    last: int = 0

    def publish(self, user: str) -> None:
        self.last += 1
        self.entries.append(Entry(self.last, user, payload(self.last)))
        of_user = [entry for entry in self.entries if entry.user_id == user]
        if len(of_user) > self.per_user:
            self.entries.remove(of_user[0])

    def expire(self) -> None:
        """Drop the oldest message, as age and size do."""
        if self.first <= self.last:
            self.entries = [entry for entry in self.entries if entry.sequence > self.first]
            self.first += 1

    async def read(self, user_id: str, first_sequence: int, limit: int) -> StoredPage:
        await Pause()
        found = [e for e in self.entries if e.user_id == user_id and e.sequence >= first_sequence]
        await Pause()
        return StoredPage(found[:limit], max(len(found) - limit, 0))

    async def state(self) -> StreamState:
        await Pause()
        return StreamState(self.incarnation, self.first, self.last, self.per_user)


@dataclass
class Session:
    """Follows the protocol of a listener: replays pages, then hears live, dropping what it has."""

    feed: Feed
    catch_up: CatchUp
    start: Position
    received: list[int] = field(default_factory=list[int])
    lost: bool = False
    live: bool = False
    sequence: int = 0

    def deliver(self, sequence: int, _frame: str, /) -> None:
        if sequence > self.sequence:
            self.sequence = sequence
            self.received.append(sequence)

    def restart(self, _position: Position, /) -> None:
        self.lost = True

    async def join(self) -> None:
        position = self.start
        while True:
            try:
                page: Page = await self.catch_up.page(USER, position)
            except PositionLost:
                self.lost = True
                return
            self.received.extend(entry.sequence for entry in page.entries)
            position = page.position
            if page.complete:
                self.sequence = position.sequence
                self.feed.listen(USER, self)
                self.live = True
                return
            await Pause()  # the socket takes what was queued


def step(joining: Coroutine[Any, Any, None]) -> bool:
    """Let a coroutine run up to its next pause; return whether it goes on after it."""
    try:
        joining.send(None)
    except StopIteration:
        return False
    return True


def new_feed(recent_messages: int) -> Feed:
    """Return a feed that has heard nothing, of an empty stream."""
    feed = Feed(Recent(recent_messages, 1_000_000), FakeClock())
    feed.restart(INCARNATION, 0, 0)
    return feed


OPERATIONS = st.lists(
    st.sampled_from(("join", "join", "join", "publish", "hear", "turn over", "expire", "expire all")),
    max_size=40,
)
"""`join` lets the client go on to its next pause; `turn over` fills the window with somebody else's."""


@settings(max_examples=1_000, deadline=None)
@given(
    before=st.lists(st.booleans(), max_size=30),
    heard=st.integers(min_value=0, max_value=30),
    behind=st.integers(min_value=0, max_value=12),
    recent_messages=st.integers(min_value=1, max_value=6),
    per_user=st.integers(min_value=3, max_value=60),
    operations=OPERATIONS,
)
def test_each_message_comes_once_and_in_order_or_the_client_reloads(
    before: list[bool],
    heard: int,
    behind: int,
    recent_messages: int,
    per_user: int,
    operations: list[str],
) -> None:
    stream, feed = Stream(per_user), new_feed(recent_messages)
    published: list[int] = []

    def publish(user: str) -> None:
        stream.publish(user)
        if user == USER:
            published.append(stream.last)

    def hear() -> None:
        following = [entry for entry in stream.entries if entry.sequence > feed.recent.last]
        if following:
            feed.dispatch(following[0], None)

    for is_mine in before:
        publish(USER if is_mine else OTHER)
    for _ in range(heard):
        hear()
    session = Session(
        feed, CatchUp(feed, stream, PAGE, LIMIT), Position(INCARNATION, max(stream.last - behind, 0))
    )
    joining, going_on = session.join(), True
    for operation in operations:
        if operation == "publish":
            publish(USER)
        elif operation == "turn over":
            publish(USER)
            for _ in range(recent_messages):
                publish(OTHER)
            while feed.recent.last < stream.last:
                hear()
        elif operation == "hear":
            hear()
        elif operation == "expire":
            stream.expire()
        elif operation == "expire all":
            while stream.first <= feed.recent.last:
                stream.expire()
        elif going_on:
            going_on = step(joining)
    for _ in range(10_000):
        if not going_on:
            break
        going_on = step(joining)
    publish(OTHER)  # what was removed at the very end shows with the message after it
    while feed.recent.last < stream.last:
        hear()
    missed = [sequence for sequence in published if sequence > session.start.sequence]
    assert session.live or session.lost
    if not session.lost:
        assert session.received == missed
    else:
        assert session.received == sorted(set(session.received))
