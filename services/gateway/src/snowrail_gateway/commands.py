"""What users send, as events. The gateway says who sent it and decides nothing."""

from uuid import UUID

from opentelemetry import trace
from opentelemetry.context import Context

from snowrail_events import ChatMessagePostedV1, Event, NotificationMarkReadV1
from snowrail_gateway.frames import MarkRead, PostMessage
from snowrail_gateway.publishing import Publisher
from snowrail_kit.auth import Identity
from snowrail_kit.bus import OutgoingMessage, encode_headers
from snowrail_kit.clock import Clock
from snowrail_kit.delivery import Envelope
from snowrail_kit.ids import Ids, derived_id
from snowrail_kit.telemetry import traceparent_of, tracer

_PRODUCER = "gateway"


class Commands:
    """Publishes what users send. A trace starts here and goes on through everything the event causes."""

    def __init__(self, publisher: Publisher, clock: Clock, ids: Ids) -> None:
        self._publisher = publisher
        self._clock = clock
        self._ids = ids

    async def post(self, identity: Identity, frame: PostMessage) -> UUID:
        """Publish a chat message and return its id, the same for each retry of the client.

        Raises:
            NotAccepted: it may not have been stored; the client may send it again.
        """
        message_id = derived_id("message", identity.user_id, frame.id)
        event = ChatMessagePostedV1(
            message_id=message_id,
            user_id=identity.user_id,
            handle=identity.handle,
            address=identity.address,
            roles=tuple(sorted(identity.roles)),
            text=frame.text,
            posted_at=self._clock.now(),
            device_id=identity.device_id,
        )
        await self._publish(event, event_id=message_id)
        return message_id

    async def mark_read(self, identity: Identity, frame: MarkRead) -> None:
        """Publish that notifications were read. Raises NotAccepted."""
        event = NotificationMarkReadV1(
            user_id=identity.user_id, notification_ids=frame.ids, read_at=self._clock.now()
        )
        await self._publish(event, event_id=self._ids.new())

    async def _publish(self, event: Event, event_id: UUID) -> None:
        subject = type(event).subject
        # A trace of its own: the span of a long-lived connection is nobody's parent.
        with tracer.start_span(f"{subject} publish", context=Context(), kind=trace.SpanKind.PRODUCER) as span:
            envelope = Envelope(
                event_id=event_id, subject=subject, producer=_PRODUCER, traceparent=traceparent_of(span)
            )
            headers = encode_headers(envelope, event.aggregate_id(), self._clock.now())
            body = event.model_dump_json(exclude_none=True).encode()
            await self._publisher.publish(OutgoingMessage(event_id, subject, subject, headers, body))
