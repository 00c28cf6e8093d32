"""One unit of work: state, inbox and outbox in one transaction (money-safety rule 4)."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from snowrail_events import Event
from snowrail_kit.audit import Act
from snowrail_kit.database import Connection, Row
from snowrail_kit.delivery import Delivery
from snowrail_kit.ids import Ids
from snowrail_kit.telemetry import current_traceparent


@dataclass(slots=True, frozen=True)
class OutgoingEvent:
    """An event as the outbox stores it."""

    event_id: UUID
    subject: str
    sequence_key: str
    aggregate_id: str
    aggregate_version: int
    causation_id: UUID | None
    traceparent: str | None
    payload: bytes


@dataclass(slots=True)
class Transaction:
    """What a use case is given to work with: a connection, the time, and a way to say what happened.

    Attributes:
        connection: inside the open transaction; use cases never commit.
        now: the time of this unit of work, the same for all its rows.
    """

    connection: Connection
    now: datetime
    ids: Ids
    outgoing: list[OutgoingEvent] = field(default_factory=list[OutgoingEvent])
    woken: set[str] = field(default_factory=set[str])
    acts: list[Act] = field(default_factory=list[Act])

    def emit(
        self,
        event: Event,
        cause: "Delivery[Any] | None" = None,
        version: int = 0,
        traceparent: str | None = None,
    ) -> UUID:
        """Record an event, to be published after commit, and return its id.

        Args:
            event: the fact or command.
            cause: the message that led to it; gives causation id and trace context.
            version: version of the aggregate after this event.
            traceparent: trace to continue instead of the cause's, for work resumed from a row.
        """
        event_id = self.ids.new()
        self.outgoing.append(
            OutgoingEvent(
                event_id=event_id,
                subject=event.routing_subject(),
                sequence_key=type(event).subject,
                aggregate_id=event.aggregate_id(),
                aggregate_version=version,
                causation_id=cause.envelope.event_id if cause else None,
                traceparent=traceparent or (cause.traceparent if cause else current_traceparent()),
                payload=event.model_dump_json(exclude_none=True).encode(),
            )
        )
        return event_id

    def record(self, act: Act) -> None:
        """Have an act entered in the audit log, last of all: its writers queue until the commit."""
        self.acts.append(act)

    def wake(self, *keys: str) -> None:
        """Have messages that wait for these keys tried again after commit."""
        self.woken.update(keys)

    async def fetch(self, query: str, *arguments: Any) -> list[Row]:
        """Run a statement and return its rows."""
        return await self.connection.fetch(query, *arguments)

    async def fetch_row(self, query: str, *arguments: Any) -> Row | None:
        """Run a statement and return its first row, or None."""
        return await self.connection.fetchrow(query, *arguments)

    async def execute(self, query: str, *arguments: Any) -> None:
        """Run a statement without rows."""
        await self.connection.execute(query, *arguments)


_INSERT_OUTBOX = """
INSERT INTO outbox (event_id, subject, sequence_key, aggregate_id, aggregate_version, causation_id,
                    traceparent, payload)
SELECT * FROM unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::bigint[], $6::uuid[], $7::text[],
                     $8::bytea[])
"""


async def write_outbox(connection: Connection, events: Iterable[OutgoingEvent]) -> None:
    """Insert events into the outbox with one statement."""
    rows = list(events)
    if not rows:
        return
    await connection.execute(
        _INSERT_OUTBOX,
        [row.event_id for row in rows],
        [row.subject for row in rows],
        [row.sequence_key for row in rows],
        [row.aggregate_id for row in rows],
        [row.aggregate_version for row in rows],
        [row.causation_id for row in rows],
        [row.traceparent for row in rows],
        [row.payload for row in rows],
    )
