"""What a client missed, page by page, up to the moment from which it hears the feed live."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from snowrail_gateway.feed import Feed
from snowrail_gateway.history import StoredPage, StreamState
from snowrail_gateway.positions import InvalidPosition, Position, PositionLost, parse_position
from snowrail_gateway.recent import Entry


class StoredFeed(Protocol):
    """The feed stream as the broker keeps it."""

    async def read(self, user_id: str, first_sequence: int, limit: int) -> StoredPage:
        """Return a user's first messages at or above a sequence."""
        ...

    async def state(self) -> StreamState:
        """Return how far the stream reaches, as of some moment after the call."""
        ...


@dataclass(frozen=True, slots=True)
class Page:
    """The next messages of a user, in order.

    Attributes:
        position: where the client stands once it has these messages.
        complete: nothing is missing after them. A caller that starts to listen before it next awaits
            anything, and drops what is not above `position`, hears each message once.
    """

    entries: Sequence[Entry]
    position: Position
    complete: bool


class CatchUp:
    """Joins the stored feed and the live one without gap or duplicate.

    Messages that arrive meanwhile are kept, for all users together, in the window of recent messages; older
    ones are read from the broker until the client stands inside the window. A replica that answers such a
    read may lag behind; the window is what makes up for that.

    Args:
        page_messages: most messages in one page.
        limit_messages: most messages replayed from the broker; whoever missed more has to reload.
    """

    def __init__(self, feed: Feed, stored: StoredFeed, page_messages: int, limit_messages: int) -> None:
        self._feed = feed
        self._stored = stored
        self._page_messages = page_messages
        self._limit_messages = limit_messages

    async def locate(self, text: str) -> Position:
        """Return the position that a client names, once it is known to lie within the stream.

        Raises:
            PositionLost: it is none, belongs to another incarnation, or to what the stream never held.
            HistoryUnavailable: the broker did not say.
        """
        try:
            position = parse_position(text)
        except InvalidPosition as error:
            raise PositionLost from error
        feed = self._feed
        if position.incarnation == feed.incarnation and position.sequence > feed.position.sequence:
            feed.advance((await self._stored.state()).last_sequence)
        if position.incarnation != feed.incarnation or position.sequence > feed.position.sequence:
            raise PositionLost
        return position

    async def page(self, user_id: str, position: Position) -> Page:
        """Return what follows a position in a user's feed.

        Raises:
            PositionLost: some of it is gone, or it is more than is replayed.
            HistoryUnavailable: the broker cannot be asked now.
        """
        if position.incarnation != self._feed.incarnation:
            raise PositionLost
        entries = self._feed.recent.after(user_id, position.sequence, self._page_messages)
        if entries is None:
            return await self._stored_page(user_id, position)
        if len(entries) == self._page_messages:
            return Page(entries, Position(position.incarnation, entries[-1].sequence), complete=False)
        end = Position(position.incarnation, max(position.sequence, self._feed.recent.last))
        return Page(entries, end, complete=True)

    async def _stored_page(self, user_id: str, position: Position) -> Page:
        floor = self._feed.recent.floor
        page = await self._stored.read(user_id, position.sequence + 1, self._page_messages)
        state = await self._stored.state()
        if state.incarnation != position.incarnation or state.first_sequence > position.sequence + 1:
            raise PositionLost
        # Fewer than the stream keeps for each user: so none of them was pushed out by newer ones.
        limit = self._limit_messages
        if state.messages_per_user is not None:
            limit = min(limit, state.messages_per_user - 1)
        if len(page.entries) + page.remaining > limit:
            raise PositionLost
        last = page.entries[-1].sequence if page.entries else position.sequence
        if page.remaining == 0:
            last = max(last, floor)
        return Page(page.entries, Position(position.incarnation, last), complete=False)
