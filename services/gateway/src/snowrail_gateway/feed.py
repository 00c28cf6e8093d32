"""All users' feeds as this gateway hears them: who listens, what was last, and where the stream stands."""

from datetime import datetime
from typing import Protocol

from snowrail_gateway.frames import MalformedEvent, encode_event
from snowrail_gateway.metrics import DELIVERIES, FANOUT_SECONDS, FEED_MESSAGES, MALFORMED
from snowrail_gateway.positions import Position
from snowrail_gateway.recent import Entry, Recent
from snowrail_kit.clock import Clock


class Listener(Protocol):
    """Hears one user's feed. Must not block: it is called while a message is handled."""

    def deliver(self, sequence: int, frame: str, /) -> None:
        """Take the next message, encoded for a socket. May come twice; the sequence tells."""
        ...

    def restart(self, position: Position, /) -> None:
        """Learn that messages may have been missed; hearing goes on from `position`."""
        ...


class Feed:
    """Hands each message of the stream to those who listen to its user. Encodes it once, and only then."""

    def __init__(self, recent: Recent, clock: Clock) -> None:
        self.recent = recent
        self.incarnation = ""
        self.live = False
        """Whether everything that the stream holds arrives here as it comes."""
        self._head = 0
        self._clock = clock
        self._listeners: dict[str, list[Listener]] = {}

    @property
    def started(self) -> bool:
        """Whether the stream was ever found."""
        return bool(self.incarnation)

    @property
    def position(self) -> Position:
        """Where the stream ends, as far as is known."""
        return Position(self.incarnation, max(self._head, self.recent.last))

    def advance(self, head: int) -> None:
        """Learn how far the stream reaches."""
        self._head = max(self._head, head)

    def restart(self, incarnation: str, sequence: int, head: int) -> None:
        """Begin anew after `sequence`: the stream is another one, or lost what was not heard yet."""
        is_first = not self.started
        self.incarnation = incarnation
        self._head = head
        self.recent.restart(sequence)
        if not is_first:
            for listeners in list(self._listeners.values()):
                for listener in list(listeners):
                    listener.restart(self.position)

    def dispatch(self, entry: Entry, emitted_at: datetime | None) -> None:
        """Take the next message of the stream and hand it to its user's listeners.

        Sequences of the stream are dense: a jump means that messages were removed before they came here.
        """
        if entry.sequence != self.recent.last + 1:
            self.restart(self.incarnation, entry.sequence - 1, self._head)
        self.recent.append(entry)
        FEED_MESSAGES.inc()
        listeners = self._listeners.get(entry.user_id)
        if listeners is None:
            return
        try:
            frame = encode_event(self.incarnation, entry)
        except MalformedEvent:
            MALFORMED.inc()
            return
        for listener in tuple(listeners):
            listener.deliver(entry.sequence, frame)
        DELIVERIES.inc(len(listeners))
        if emitted_at is not None:
            FANOUT_SECONDS.observe((self._clock.now() - emitted_at).total_seconds())

    def listen(self, user_id: str, listener: Listener) -> None:
        """Hand a user's messages to a listener from the next one on."""
        self._listeners.setdefault(user_id, []).append(listener)

    def forget(self, user_id: str, listener: Listener) -> None:
        """Stop handing messages to a listener; does nothing when it does not listen."""
        listeners = self._listeners.get(user_id)
        if listeners is None or listener not in listeners:
            return
        listeners.remove(listener)
        if not listeners:
            del self._listeners[user_id]
