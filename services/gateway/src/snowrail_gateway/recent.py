"""The last messages of all feeds, kept in memory: most clients that come back missed only these."""

from collections import deque
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Entry:
    """One message of the feed stream.

    Attributes:
        sequence: its place in the stream.
        user_id: whose feed it belongs to.
        payload: JSON of a `FeedEventV1`.
    """

    sequence: int
    user_id: str
    payload: bytes


class Recent:
    """A window over the end of the stream, without gaps: every message above `floor` up to `last` is here.

    Args:
        limit_messages: most messages held.
        limit_bytes: most payload bytes held; the newest message is held whatever its size.
    """

    def __init__(self, limit_messages: int, limit_bytes: int) -> None:
        self.limit_messages = limit_messages
        self._limit_bytes = limit_bytes
        self._entries: deque[Entry] = deque()
        self._by_user: dict[str, deque[Entry]] = {}
        self._bytes = 0
        self.floor = 0
        """Every message up to this sequence is outside the window."""
        self.last = 0
        """Sequence of the newest message."""

    def __len__(self) -> int:
        return len(self._entries)

    def restart(self, sequence: int) -> None:
        """Forget everything; the next message is one above `sequence`."""
        self._entries.clear()
        self._by_user.clear()
        self._bytes = 0
        self.floor = self.last = sequence

    def append(self, entry: Entry) -> None:
        """Add the newest message and let go of the oldest ones beyond the limits."""
        assert entry.sequence > self.last, "messages come in the order of the stream"
        self._entries.append(entry)
        self._by_user.setdefault(entry.user_id, deque()).append(entry)
        self._bytes += len(entry.payload)
        self.last = entry.sequence
        while len(self._entries) > self.limit_messages or (
            self._bytes > self._limit_bytes and len(self._entries) > 1
        ):
            self._evict()

    def after(self, user_id: str, sequence: int, limit: int) -> list[Entry] | None:
        """Return a user's first `limit` messages above a sequence, or None when it is below the window."""
        if sequence < self.floor:
            return None
        found: list[Entry] = []
        for entry in reversed(self._by_user.get(user_id, ())):
            if entry.sequence <= sequence:
                break
            found.append(entry)
        found.reverse()
        return found[:limit]

    def _evict(self) -> None:
        entry = self._entries.popleft()
        of_user = self._by_user[entry.user_id]
        of_user.popleft()
        if not of_user:
            del self._by_user[entry.user_id]
        self._bytes -= len(entry.payload)
        self.floor = entry.sequence
