"""Set-based consumption: a pull loop, one transaction per batch, poison isolated by splitting.

The unit of work is the batch. `Consumers` declares handlers; `Consumer` runs them: it registers the batch in
the inbox, calls one handler per event type with all its new messages, writes the outbox, commits, and only
then acknowledges.
"""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any, Generic, TypeVar
from uuid import UUID

import structlog
from nats.aio.msg import Msg
from opentelemetry import trace

from snowrail_events import EVENTS, Event
from snowrail_kit import inbox
from snowrail_kit.bus import PUBLISH_ERRORS, Bus, decode_headers
from snowrail_kit.clock import Clock
from snowrail_kit.database import TRANSIENT_ERRORS, Database
from snowrail_kit.delivery import Delivery, Envelope, Outcome
from snowrail_kit.pull import PullLoop
from snowrail_kit.telemetry import (
    BATCH_MESSAGES,
    BATCH_SECONDS,
    BATCHES,
    DEAD_LETTERS,
    MESSAGES,
    context_of,
    is_sampled,
    traceparent_of,
    tracer,
)
from snowrail_kit.unit_of_work import Transaction

log = structlog.get_logger("consumer")

P = TypeVar("P")
E = TypeVar("E", bound=Event)

Handler = Callable[[list[Delivery[Any]], Transaction, P], Awaitable[None]]
Preparation = Callable[[list[Delivery[Any]], P], Awaitable[Any]]
TransactionFactory = Callable[[], AbstractAsyncContextManager[Transaction]]

_FIRST_RETRY_SECONDS = 0.2
_LAST_RETRY_SECONDS = 10.0
_FAILURES_REMEMBERED = 10_000
_PARKED_BATCH = 200
_PARKED_POLL_SECONDS = 1.0


class Unavailable(Exception):
    """Something a handler depends on cannot be reached now: the batch is tried again later, whole."""


_RETRY_WHOLE_BATCH: tuple[type[Exception], ...] = (Unavailable, *TRANSIENT_ERRORS, *PUBLISH_ERRORS)


@dataclass(frozen=True, slots=True)
class Subscription(Generic[P]):
    """One event type and what handles its batches."""

    event: type[Event]
    handle: Callable[..., Awaitable[None]]
    prepare: Callable[..., Awaitable[Any]] | None


class Consumers(Generic[P]):
    """The declaration of what a service listens to. `P` is the service's composed parts."""

    def __init__(self) -> None:
        self.subscriptions: dict[str, Subscription[P]] = {}

    def on(
        self, event: type[E], prepare: Callable[[list[Delivery[E]], P], Awaitable[Any]] | None = None
    ) -> Callable[[Callable[..., Awaitable[None]]], Callable[..., Awaitable[None]]]:
        """Declare the handler of an event type. One of several types gets all their messages in one call.

        The handler is `async (deliveries, tx, parts)`. With `prepare`, an `async (deliveries, parts)` that
        reads from outside systems before the transaction opens, the handler is
        `async (deliveries, tx, parts, prepared)`. Preparation may see duplicates; it must change nothing.
        """

        def register(handle: Callable[..., Awaitable[None]]) -> Callable[..., Awaitable[None]]:
            assert event.subject not in self.subscriptions, f"{event.subject} has two handlers"
            self.subscriptions[event.subject] = Subscription(event, handle, prepare)
            return handle

        return register


class Consumer(Generic[P]):
    """Runs a service's handlers over its durable consumer and its waiting table."""

    def __init__(
        self,
        name: str,
        consumers: Consumers[P],
        parts: P,
        bus: Bus,
        database: Database,
        transaction: TransactionFactory,
        committed: Callable[[], None],
        clock: Clock,
        batch_messages: int,
        attempts: int,
    ) -> None:
        self._name = name
        self._subscriptions = consumers.subscriptions
        self._parts = parts
        self._bus = bus
        self._database = database
        self._transaction = transaction
        self._committed = committed
        self._clock = clock
        self._batch_messages = batch_messages
        self._attempts = attempts
        self._failures: OrderedDict[UUID, int] = OrderedDict()
        self._pull = PullLoop(bus, name, batch_messages)
        self._parked_due = asyncio.Event()
        self._stopping = False

    async def run(self) -> None:
        """Handle batches until `stop`; a batch in hand is finished first."""
        await self._pull.start()
        try:
            while not self._stopping:
                messages = await self._pull.next_batch()
                if messages:
                    await self._receive(messages)
        finally:
            await self._pull.close()

    async def run_parked(self) -> None:
        """Try waiting messages when they are woken, and periodically, until `stop`."""
        while not self._stopping:
            try:
                if await self.handle_parked() == 0:
                    await asyncio.wait_for(self._parked_due.wait(), timeout=_PARKED_POLL_SECONDS)
            except TimeoutError:
                continue
            except _RETRY_WHOLE_BATCH as error:
                log.warning("waiting messages not tried", error=str(error) or type(error).__name__)
                await asyncio.sleep(_PARKED_POLL_SECONDS)
            finally:
                self._parked_due.clear()

    def stop(self) -> None:
        """Have `run` and `run_parked` return after the work in hand."""
        self._stopping = True
        self._pull.stop()
        self._parked_due.set()

    async def _receive(self, messages: list[Msg]) -> None:
        deliveries: list[Delivery[Any]] = []
        by_id: dict[UUID, list[Msg]] = {}
        for message in messages:
            try:
                delivery = self._decode(message)
            except ValueError as error:
                await self._bury_malformed(message, str(error))
                continue
            by_id.setdefault(delivery.envelope.event_id, []).append(message)
            deliveries.append(delivery)
        if deliveries:
            await self._handle_splitting(deliveries, by_id)

    def _decode(self, message: Msg) -> Delivery[Any]:
        envelope = decode_headers(message)
        subscription = self._subscriptions.get(envelope.subject)
        if subscription is None:
            raise ValueError(f"{envelope.subject} is not handled here")
        return Delivery(
            envelope=envelope,
            event=subscription.event.model_validate_json(message.data),
            body=message.data,
            traceparent=envelope.traceparent,
        )

    async def _bury_malformed(self, message: Msg, reason: str) -> None:
        try:
            async with self._database.transaction() as connection:
                await inbox.bury_malformed(connection, message, reason, self._clock.now())
        except TRANSIENT_ERRORS:
            await message.nak(delay=_LAST_RETRY_SECONDS)
            return
        DEAD_LETTERS.labels(message.subject).inc()
        log.error("malformed message buried", subject=message.subject, reason=reason[:500])
        await message.ack()

    async def _handle_splitting(self, deliveries: list[Delivery[Any]], by_id: dict[UUID, list[Msg]]) -> None:
        started = time.monotonic()
        try:
            await self._handle(deliveries)
        except _RETRY_WHOLE_BATCH as error:
            BATCHES.labels("interrupted").inc()
            log.warning(
                "batch interrupted", error=str(error) or type(error).__name__, messages=len(deliveries)
            )
            await self._redeliver(deliveries, by_id)
            return
        except Exception as error:  # what a handler did not foresee: isolate the message that causes it
            BATCHES.labels("failed").inc()
            if len(deliveries) > 1:
                middle = len(deliveries) // 2
                await self._handle_splitting(_again(deliveries[:middle]), by_id)
                await self._handle_splitting(_again(deliveries[middle:]), by_id)
            else:
                await self._failed_alone(deliveries[0], by_id, error)
            return
        BATCHES.labels("done").inc()
        BATCH_MESSAGES.observe(len(deliveries))
        BATCH_SECONDS.observe(time.monotonic() - started)
        for delivery in deliveries:
            MESSAGES.labels(delivery.envelope.subject, delivery.outcome.value).inc()
            for message in by_id.pop(delivery.envelope.event_id, ()):
                if delivery.outcome is Outcome.RETRY:
                    await message.nak(delay=delivery.after_seconds)
                else:
                    await message.ack()

    async def _redeliver(self, deliveries: Sequence[Delivery[Any]], by_id: dict[UUID, list[Msg]]) -> None:
        for delivery in deliveries:
            for message in by_id.pop(delivery.envelope.event_id, ()):
                delivered = message.metadata.num_delivered or 1
                await message.nak(delay=_backoff_seconds(delivered))

    async def _failed_alone(
        self, delivery: Delivery[Any], by_id: dict[UUID, list[Msg]], error: Exception
    ) -> None:
        event_id = delivery.envelope.event_id
        failures = self._failures.pop(event_id, 0) + 1
        log.error(
            "message failed",
            subject=delivery.envelope.subject,
            event_id=str(event_id),
            failures=failures,
            exc_info=error,
        )
        if failures < self._attempts:
            self._failures[event_id] = failures
            if len(self._failures) > _FAILURES_REMEMBERED:
                self._failures.popitem(last=False)
            for message in by_id.pop(event_id, ()):
                await message.nak(delay=_backoff_seconds(failures))
            return
        delivery.dead(f"{type(error).__name__}: {error}")
        try:
            async with self._database.transaction() as connection:
                if await inbox.register(connection, self._name, [delivery]):
                    await inbox.bury(connection, delivery, delivery.reason, self._clock.now())
        except TRANSIENT_ERRORS:
            await self._redeliver([delivery], by_id)
            return
        DEAD_LETTERS.labels(delivery.envelope.subject).inc()
        for message in by_id.pop(event_id, ()):
            await message.ack()

    async def handle_parked(self) -> int:
        """Try one batch of due waiting messages. Returns how many were due."""
        tried: list[UUID] = []
        while True:
            claimed = await self._handle_parked_batch(_PARKED_BATCH, tried)
            if claimed is not None:
                return claimed
            if await self._isolate_parked(tried) == 0:
                return 0

    async def _isolate_parked(self, tried: list[UUID]) -> int:
        """Try due waiting messages one at a time, so that one that fails keeps none of the others."""
        handled = 0
        for _ in range(_PARKED_BATCH):
            rows = await self._database.fetch(
                "SELECT event_id FROM parked_message"
                " WHERE next_try_at <= $1 AND NOT event_id = ANY($2::uuid[]) ORDER BY next_try_at LIMIT 1",
                self._clock.now(),
                tried,
            )
            if not rows:
                return handled
            event_id = rows[0]["event_id"]
            tried.append(event_id)
            if await self._handle_parked_batch(1, [], event_id) is None:
                await self._count_parked_failure(event_id)
            handled += 1
        return handled

    async def _count_parked_failure(self, event_id: UUID) -> None:
        async with self._database.transaction() as connection:
            row = await connection.fetchrow(
                "UPDATE parked_message SET failures = failures + 1,"
                " next_try_at = $2::timestamptz + interval '10 seconds'"
                " WHERE event_id = $1 RETURNING failures, attempts, subject, producer, aggregate_version,"
                " causation_id, traceparent, body, event_id",
                event_id,
                self._clock.now(),
            )
            if row is None or row["failures"] < self._attempts:
                return
            await connection.execute("DELETE FROM parked_message WHERE event_id = $1", event_id)
            await inbox.bury(
                connection, self._from_row(row), "failed from the waiting table", self._clock.now()
            )
            DEAD_LETTERS.labels(row["subject"]).inc()

    async def _handle_parked_batch(
        self, limit: int, excluded: list[UUID], only: UUID | None = None
    ) -> int | None:
        """Claim and handle due messages in one transaction. None when an unexpected error undid it."""
        try:
            async with self._transaction() as tx:
                rows = await inbox.claim_parked(tx.connection, tx.now, limit, excluded, only)
                if not rows:
                    return 0
                deliveries = [self._from_row(row) for row in rows]
                await self._apply(deliveries, tx, await self._prepare(deliveries))
                await inbox.unpark(tx.connection, [item for item in deliveries if not item.waits])
                return len(rows)
        except _RETRY_WHOLE_BATCH:
            raise
        except Exception as error:
            log.error("waiting messages failed", exc_info=error)
            return None

    def _from_row(self, row: Any) -> Delivery[Any]:
        subscription = self._subscriptions.get(row["subject"])
        event = (subscription.event if subscription else EVENTS[row["subject"]]).model_validate_json(
            row["body"]
        )
        envelope = Envelope(
            event_id=row["event_id"],
            subject=row["subject"],
            producer=row["producer"],
            version=row["aggregate_version"],
            causation_id=row["causation_id"],
            traceparent=row["traceparent"],
        )
        return Delivery(envelope, event, row["body"], row["traceparent"], parked_attempts=row["attempts"])

    async def _prepare(self, deliveries: Sequence[Delivery[Any]]) -> dict[str, Any]:
        prepared: dict[str, Any] = {}
        for subscription, group in self._by_handler(deliveries):
            if subscription.prepare is not None:
                prepared[subscription.event.subject] = await subscription.prepare(group, self._parts)
        return prepared

    def _by_handler(
        self, deliveries: Sequence[Delivery[Any]]
    ) -> list[tuple[Subscription[P], list[Delivery[Any]]]]:
        groups: dict[Any, tuple[Subscription[P], list[Delivery[Any]]]] = {}
        for delivery in deliveries:
            subscription = self._subscriptions[delivery.envelope.subject]
            # each type with a preparation is prepared, and therefore handled, by itself
            key = subscription.handle if subscription.prepare is None else subscription.event
            groups.setdefault(key, (subscription, []))[1].append(delivery)
        return list(groups.values())

    async def _handle(self, deliveries: list[Delivery[Any]]) -> None:
        spans = _start_spans(deliveries)
        try:
            prepared = await self._prepare(deliveries)
            async with self._transaction() as tx:
                fresh = await inbox.register(tx.connection, self._name, deliveries)
                await self._apply(fresh, tx, prepared)
            self._committed()
        finally:
            for span in spans:
                span.end()

    async def _apply(self, fresh: list[Delivery[Any]], tx: Transaction, prepared: dict[str, Any]) -> None:
        for subscription, group in self._by_handler(fresh):
            if subscription.prepare is None:
                await subscription.handle(group, tx, self._parts)
            else:
                # preparation saw the batch with its duplicates; handlers look their messages up in its result
                await subscription.handle(group, tx, self._parts, prepared[subscription.event.subject])
        groups = inbox.split_outcomes(fresh)
        if groups[Outcome.WAIT] and await inbox.parked_is_full(tx.connection):
            for delivery in groups.pop(Outcome.WAIT):
                delivery.retry("too many messages wait", _LAST_RETRY_SECONDS)
            groups = inbox.split_outcomes(fresh)
        await self._store_outcomes(groups, tx)
        if tx.woken and await inbox.wake_parked(tx.connection, tx.woken, tx.now):
            self._parked_due.set()
        tx.woken.clear()

    async def _store_outcomes(self, groups: dict[Outcome, list[Delivery[Any]]], tx: Transaction) -> None:
        waiting = list(groups[Outcome.WAIT])
        for delivery in groups[Outcome.RETRY]:
            if delivery.parked_attempts is None:
                await inbox.forget(tx.connection, self._name, [delivery])
            else:
                waiting.append(delivery)
        for delivery in list(waiting):
            if (delivery.parked_attempts or 0) >= inbox.PARKED_ATTEMPTS:
                waiting.remove(delivery)
                delivery.dead(f"waited in vain: {delivery.reason}")
                groups[Outcome.DEAD].append(delivery)
        if waiting:
            await inbox.park(tx.connection, waiting, tx.now)
        for delivery in groups[Outcome.DEAD]:
            await inbox.bury(tx.connection, delivery, delivery.reason, tx.now)
            DEAD_LETTERS.labels(delivery.envelope.subject).inc()


def _again(deliveries: list[Delivery[Any]]) -> list[Delivery[Any]]:
    """Return deliveries as they came: what a failed batch decided about them does not hold."""
    return [Delivery(item.envelope, item.event, item.body, item.envelope.traceparent) for item in deliveries]


def _backoff_seconds(attempt: int) -> float:
    return min(_FIRST_RETRY_SECONDS * 2 ** min(attempt - 1, 10), _LAST_RETRY_SECONDS)


def _start_spans(deliveries: Sequence[Delivery[Any]]) -> list[trace.Span]:
    """Start a span for each message whose trace is recorded, and one for the batch that links to them."""
    sampled = [delivery for delivery in deliveries if is_sampled(delivery.envelope.traceparent)]
    if not sampled:
        return []
    spans: list[trace.Span] = []
    for delivery in sampled:
        span = tracer.start_span(
            f"process {delivery.envelope.subject}",
            context=context_of(delivery.envelope.traceparent),
            kind=trace.SpanKind.CONSUMER,
            attributes={
                "messaging.system": "nats",
                "messaging.destination.name": delivery.envelope.subject,
                "messaging.message.id": str(delivery.envelope.event_id),
            },
        )
        delivery.traceparent = traceparent_of(span)
        spans.append(span)
    links = [trace.Link(span.get_span_context()) for span in spans]
    spans.append(
        tracer.start_span("batch", links=links, attributes={"messaging.batch.message_count": len(deliveries)})
    )
    return spans
