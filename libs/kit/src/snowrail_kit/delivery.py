"""One received message on its way through a handler, and what the handler decided about it."""

from dataclasses import dataclass, field
from enum import Enum
from typing import Generic, TypeVar
from uuid import UUID

from snowrail_events import Event

E = TypeVar("E", bound=Event)
E_co = TypeVar("E_co", bound=Event, covariant=True)


class Outcome(Enum):
    """What becomes of a message after its batch."""

    DONE = "done"
    RETRY = "retry"
    WAIT = "wait"
    DEAD = "dead"


@dataclass(slots=True, frozen=True)
class Envelope:
    """CloudEvents attributes and ours, as carried in the headers of a message.

    Attributes:
        event_id: the same for every copy of the event.
        subject: event type.
        producer: service that made it.
        sequence: dense number per (producer, subject); None from a producer without a database.
        version: version of the aggregate; for staleness only, jumps are normal.
        traceparent: W3C trace context of the work that emitted it.
    """

    event_id: UUID
    subject: str
    producer: str
    sequence: int | None = None
    version: int = 0
    causation_id: UUID | None = None
    traceparent: str | None = None


@dataclass(slots=True)
class Delivery(Generic[E]):
    """A message inside a batch. A handler that says nothing has handled it.

    A handler may instead `retry` (later, from the bus), `wait_for` something that has not arrived yet, or
    declare the message `dead`. Whatever it says holds only if the batch commits.
    """

    envelope: Envelope
    event: E
    body: bytes
    traceparent: str | None = None
    """Trace context for what this message causes."""
    outcome: Outcome = Outcome.DONE
    reason: str = ""
    after_seconds: float = 0.0
    key: str = ""
    parked_attempts: int | None = field(default=None)
    """How often it was tried from the waiting table; None when it came from the bus."""

    @property
    def waits(self) -> bool:
        """Whether it is to be tried again."""
        return self.outcome in (Outcome.RETRY, Outcome.WAIT)

    def retry(self, reason: str, after_seconds: float = 1.0) -> None:
        """Have the message redelivered after a delay in seconds; nothing it did may remain."""
        self.outcome, self.reason, self.after_seconds = Outcome.RETRY, reason, after_seconds

    def wait_for(self, key: str, reason: str) -> None:
        """Keep the message until `Transaction.wake(key)`, or the next periodic try."""
        self.outcome, self.key, self.reason = Outcome.WAIT, key, reason

    def dead(self, reason: str) -> None:
        """Put the message among the dead letters: it cannot be handled, however often it is tried."""
        self.outcome, self.reason = Outcome.DEAD, reason
