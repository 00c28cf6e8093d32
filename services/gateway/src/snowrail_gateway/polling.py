"""The feed by long polling, for clients that WebSockets do not reach."""

import asyncio

from snowrail_gateway.frames import MalformedEvent, encode_event
from snowrail_gateway.metrics import MALFORMED, RESYNCS
from snowrail_gateway.positions import Position, PositionLost
from snowrail_gateway.sessions import Hall

MAX_WAIT_SECONDS = 55.0


class Poll:
    """One request that waits for its user's next event."""

    def __init__(self, hall: Hall, user_id: str) -> None:
        self._hall = hall
        self._user_id = user_id
        self._after = 0
        self._over = asyncio.Event()

    def deliver(self, sequence: int, _frame: str, /) -> None:
        """End the wait if the event is one that the client has not."""
        if sequence > self._after:
            self._over.set()

    def restart(self, _position: Position, /) -> None:
        """End the wait: the client has to reload."""
        self._over.set()

    def drain(self) -> None:
        """End the wait: the process ends."""
        self._over.set()

    async def answer(self, asked: str | None, wait_seconds: float) -> str:
        """Return the JSON of what follows a position, waiting for it if there is nothing yet.

        Args:
            asked: position that the client names; None starts at the end of the feed.
            wait_seconds: longest wait.

        Raises:
            HistoryUnavailable: what was missed cannot be read now.
        """
        feed, catch_up = self._hall.feed, self._hall.catch_up
        try:
            position = feed.position if asked is None else await catch_up.locate(asked)
            page = await catch_up.page(self._user_id, position)
            while not page.entries and not page.complete:
                page = await catch_up.page(self._user_id, page.position)
            if not page.entries:
                self._after = page.position.sequence
                feed.listen(self._user_id, self)
                await self._wait(wait_seconds)
                page = await catch_up.page(self._user_id, page.position)
        except PositionLost:
            RESYNCS.inc()
            return f'{{"position":"{feed.position}","resync":true,"events":[]}}'
        finally:
            feed.forget(self._user_id, self)
        frames: list[str] = []
        for entry in page.entries:
            try:
                frames.append(encode_event(page.position.incarnation, entry))
            except MalformedEvent:
                MALFORMED.inc()
        return f'{{"position":"{page.position}","resync":false,"events":[{",".join(frames)}]}}'

    async def _wait(self, seconds: float) -> None:
        try:
            await asyncio.wait_for(self._over.wait(), seconds)
        except TimeoutError:
            return
