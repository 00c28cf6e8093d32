"""NATS JetStream: connection, envelope, publishing. `deploy/topology` makes the streams and consumers."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID, uuid4

import httpx
import nats.errors
import nats.js.errors
import orjson
import structlog
from faststream.nats import NatsBroker
from faststream.nats.security import NatsNKey
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.js.client import JetStreamContext

from snowrail_kit.delivery import Envelope
from snowrail_kit.settings import ServiceSettings

EVENTS_STREAM = "EVENTS"
FEED_STREAM = "FEED"
ATOMIC_BATCH_MESSAGES = 500
ATOMIC_LEAST_MESSAGES = 24
"""Below it, publishing one by one costs the broker less: it stages an atomic batch in files of its own."""
_ACK_TIMEOUT_SECONDS = 5.0
_DUPLICATE_IN_BATCH = 10201

log = structlog.get_logger("bus")

PUBLISH_ERRORS: tuple[type[Exception], ...] = (
    nats.errors.Error,
    TimeoutError,
    OSError,
)
"""Failures to publish: the outcome is unknown, the same event may be published again under its id."""


class BrokerNotDurable(RuntimeError):
    """The broker acknowledges what it has not synced to disk; a power cut would lose money events."""


@dataclass(slots=True, frozen=True)
class OutgoingMessage:
    """An encoded event on its way to the bus."""

    event_id: UUID
    subject: str
    event_type: str
    headers: dict[str, str]
    payload: bytes

    @property
    def stream(self) -> str:
        """The stream whose acknowledgement says that the event is stored."""
        return FEED_STREAM if self.event_type == "feed" else EVENTS_STREAM


def encode_headers(
    envelope: Envelope, aggregate_id: str, created_at: datetime, deduplicate: bool = True
) -> dict[str, str]:
    """Return the CloudEvents 1.0 attributes and ours as NATS headers.

    `deduplicate=False` leaves out the message id: a republished event must reach the stream again even
    though the broker remembers its first copy.
    """
    headers = {
        "ce-id": str(envelope.event_id),
        "ce-type": envelope.subject,
        "ce-source": envelope.producer,
        "ce-time": created_at.isoformat(),
        "ce-specversion": "1.0",
        "snowrail-aggregate": aggregate_id,
        "snowrail-version": str(envelope.version),
    }
    if envelope.sequence is not None:
        headers["snowrail-sequence"] = str(envelope.sequence)
    if envelope.causation_id is not None:
        headers["snowrail-causation"] = str(envelope.causation_id)
    if envelope.traceparent:
        headers["traceparent"] = envelope.traceparent
    if deduplicate:
        headers["Nats-Msg-Id"] = str(envelope.event_id)
    return headers


def decode_headers(message: Msg) -> Envelope:
    """Return the envelope of a message.

    Raises:
        ValueError: an attribute is missing or malformed; the message can never be handled.
    """
    headers = message.headers or {}
    try:
        sequence = headers.get("snowrail-sequence")
        causation = headers.get("snowrail-causation")
        return Envelope(
            event_id=UUID(headers["ce-id"]),
            subject=headers["ce-type"],
            producer=headers["ce-source"],
            sequence=int(sequence) if sequence else None,
            version=int(headers.get("snowrail-version", "0")),
            causation_id=UUID(causation) if causation else None,
            traceparent=headers.get("traceparent"),
        )
    except KeyError as error:
        raise ValueError(f"header {error} is missing") from error


class Bus:
    """One connection to NATS under the service's own identity.

    The connection reconnects for ever; publishing waits for the stream's acknowledgement, at most
    five seconds, and then the outcome is unknown.
    """

    def __init__(self, service: str, settings: ServiceSettings) -> None:
        self._service = service
        self._settings = settings
        self._client: Client | None = None
        self._jetstream: JetStreamContext | None = None
        self._on_reconnect: list[Callable[[], None]] = []
        seed = settings.nats_seed.get_secret_value() if settings.nats_seed else None
        self.broker = NatsBroker(
            settings.nats_url,
            name=service,
            security=NatsNKey.from_seed(seed) if seed else None,
            inbox_prefix=f"_INBOX_{service}",
            allow_reconnect=True,
            max_reconnect_attempts=-1,
            reconnect_time_wait=1,
            connect_timeout=2,
            ping_interval=10,
            max_outstanding_pings=2,
            pending_size=16 * 1024 * 1024,
            graceful_timeout=settings.graceful_timeout_seconds,
            reconnected_cb=self._reconnected,
            disconnected_cb=self._disconnected,
            error_cb=self._failed,
            logger=None,
        )

    async def open(self) -> None:
        """Connect, after checking that the broker syncs always.

        Raises:
            BrokerNotDurable: the broker's `sync_interval` is not `always`.
        """
        await require_sync_always(self._settings.nats_monitor_url)
        self._client = await self.broker.connect()
        self._jetstream = self._client.jetstream(
            timeout=_ACK_TIMEOUT_SECONDS, publish_async_max_pending=1_000
        )

    async def close(self) -> None:
        """Flush and close the connection."""
        await self.broker.stop()

    @property
    def client(self) -> Client:
        """The connection, for subscriptions of the chassis."""
        assert self._client is not None, "the bus is not open"
        return self._client

    @property
    def jetstream(self) -> JetStreamContext:
        """JetStream over the connection."""
        assert self._jetstream is not None, "the bus is not open"
        return self._jetstream

    @property
    def is_connected(self) -> bool:
        """Whether the connection is up now."""
        return self._client is not None and self._client.is_connected

    def on_reconnect(self, callback: Callable[[], None]) -> None:
        """Have a function called after each reconnection."""
        self._on_reconnect.append(callback)

    async def publish(self, message: OutgoingMessage) -> None:
        """Publish one event and wait for the stream to have it. Raises one of `PUBLISH_ERRORS`."""
        await self.jetstream.publish(
            message.subject,
            message.payload,
            stream=message.stream,
            headers=message.headers,
            timeout=_ACK_TIMEOUT_SECONDS,
        )

    async def publish_batch(self, messages: Sequence[OutgoingMessage]) -> str:
        """Publish events of one stream in order, as atomic batches (ADR-50) where there are many.

        A batch that holds an event the stream already has is refused as a whole; its events are then
        published one by one, so that the duplicates are dropped and the others stored.

        Returns:
            `atomic` or `single`: the way most of them went.

        Raises:
            one of `PUBLISH_ERRORS`: some events may be stored, the outcome is unknown.
        """
        mode = "single"
        for start in range(0, len(messages), ATOMIC_BATCH_MESSAGES):
            chunk = messages[start : start + ATOMIC_BATCH_MESSAGES]
            if len(chunk) >= ATOMIC_LEAST_MESSAGES and await self._publish_atomically(chunk):
                mode = "atomic"
            else:
                await self._publish_singly(chunk)
        return mode

    async def _publish_atomically(self, chunk: Sequence[OutgoingMessage]) -> bool:
        batch_id = uuid4().hex
        last = len(chunk)
        for position, message in enumerate(chunk[:-1], start=1):
            headers = {**message.headers, "Nats-Batch-Id": batch_id, "Nats-Batch-Sequence": str(position)}
            await self.client.publish(message.subject, message.payload, headers=headers)
        headers = {
            **chunk[-1].headers,
            "Nats-Batch-Id": batch_id,
            "Nats-Batch-Sequence": str(last),
            "Nats-Batch-Commit": "1",
        }
        answer = await self.client.request(
            chunk[-1].subject, chunk[-1].payload, timeout=_ACK_TIMEOUT_SECONDS, headers=headers
        )
        body = orjson.loads(answer.data)
        error = body.get("error")
        if error is None:
            if body.get("count") != last:
                raise nats.errors.Error(f"the stream stored {body.get('count')} of {last} events")
            return True
        if error.get("err_code") == _DUPLICATE_IN_BATCH:
            return False
        raise nats.js.errors.APIError.from_error(error)

    async def _publish_singly(self, chunk: Sequence[OutgoingMessage]) -> None:
        futures = [
            await self.jetstream.publish_async(
                message.subject, message.payload, stream=message.stream, headers=message.headers
            )
            for message in chunk
        ]
        await asyncio.wait_for(asyncio.gather(*futures), timeout=_ACK_TIMEOUT_SECONDS)

    async def _reconnected(self) -> None:
        log.info("bus reconnected")
        for callback in self._on_reconnect:
            callback()

    async def _disconnected(self) -> None:
        log.warning("bus disconnected")

    async def _failed(self, error: Exception) -> None:
        log.warning("bus error", error=str(error) or type(error).__name__)


async def require_sync_always(monitor_url: str) -> None:
    """Check that the broker syncs every acknowledged message to disk.

    Raises:
        BrokerNotDurable: it does not, or does not say so.
        httpx.HTTPError: the monitoring port cannot be reached.
    """
    async with httpx.AsyncClient(timeout=5) as client:
        answer = await client.get(f"{monitor_url.rstrip('/')}/varz")
        answer.raise_for_status()
    config = answer.json().get("jetstream", {}).get("config", {})
    if not config.get("sync_always"):
        raise BrokerNotDurable("set jetstream.sync_interval to always: acknowledged events would be lost")
