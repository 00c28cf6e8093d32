"""The AsyncAPI document of a service, derived from its declaration through FastStream."""

import json
from typing import Any

from faststream.nats import JStream, NatsBroker, PullSub
from faststream.specification import AsyncAPI

from snowrail_kit.bus import EVENTS_STREAM, FEED_STREAM
from snowrail_kit.service import Service


def asyncapi_document(service: Service[Any, Any]) -> dict[str, Any]:
    """Return the AsyncAPI 3.0 document of what a service publishes and consumes."""
    broker = NatsBroker("nats://localhost:4222")
    events = JStream(EVENTS_STREAM, declare=False)
    for subscription in service.consumers.subscriptions.values():
        event = subscription.event

        async def handle(message: Any) -> None: ...

        handle.__annotations__["message"] = event
        broker.subscriber(
            event.subject,
            durable=service.name,
            stream=events,
            pull_sub=PullSub(),
            title=event.subject,
            description=event.__doc__,
        )(handle)
    for event in service.produced:
        feed = event.subject == "feed"
        broker.publisher(
            f"{event.subject}.{{user_id}}" if feed else event.subject,
            stream=JStream(FEED_STREAM, declare=False) if feed else events,
            schema=event,
            title=f"{event.subject}.publish",
            description=event.__doc__,
        )
    document = AsyncAPI(
        broker, title=f"Snowrail {service.name}", version="1", schema_version="3.0.0"
    ).to_specification()
    return json.loads(document.to_json())
