"""Who publishes and who consumes what: the one table from which streams, consumers and rights follow."""

from dataclasses import dataclass

from snowrail_events import EVENTS

EVENTS_STREAM = "EVENTS"
FEED_STREAM = "FEED"
FEED_SUBJECT = "feed"
TOPOLOGY_IDENTITY = "topology"

_INTENT_FACTS = (
    "intent.created.v1",
    "intent.updated.v1",
    "intent.rejected.v1",
    "intent.cancelled.v1",
)
_PAYMENT_FACTS = (
    "payment.updated.v1",
    "payment.succeeded.v1",
    "payment.failed.v1",
    "payment.blocked.v1",
    "payment.cancelled.v1",
)
_TRANSACTION_FACTS = ("transaction.included.v1", "transaction.final.v1", "transaction.orphaned.v1")
_USER_FACTS = ("user.registered.v1", "user.updated.v1")

CONSUMES: dict[str, tuple[str, ...]] = {
    "gateway": (),
    "accounts": ("device.approve.v1", "device.deny.v1", "user.set_time_zone.v1"),
    "chat": (
        "chat.message_posted.v1",
        *_USER_FACTS,
        *_INTENT_FACTS,
        *_PAYMENT_FACTS,
        "price.updated.v1",
        "gas.price_updated.v1",
        "alert.updated.v1",
        "notification.preferences_updated.v1",
        "notification.rejected.v1",
        "device.decided.v1",
        "user.rejected.v1",
    ),
    "intent": (
        "intent.create.v1",
        "intent.authorise.v1",
        "intent.cancel.v1",
        "intent.pause.v1",
        "intent.resume.v1",
        *_USER_FACTS,
        *_PAYMENT_FACTS,
        *_TRANSACTION_FACTS,
        "gas.price_updated.v1",
        "price.updated.v1",
    ),
    "payment-orchestrator": (
        "intent.due.v1",
        "intent.cancelled.v1",
        "fraud.assessed.v1",
        "fraud.reviewed.v1",
        "route.selected.v1",
        "settlement.submitted.v1",
        "settlement.included.v1",
        "settlement.executed.v1",
        "settlement.failed.v1",
        "settlement.unknown.v1",
        "settlement.orphaned.v1",
        "transaction.final.v1",
        "transaction.orphaned.v1",
    ),
    "fraud": (
        "fraud.assess.v1",
        *_USER_FACTS,
        "device.signed_in.v1",
        "payment.succeeded.v1",
        "payment.cancelled.v1",
    ),
    "routing": ("route.select.v1", "payment.succeeded.v1", "payment.failed.v1"),
    "settlement": ("settlement.execute.v1", *_TRANSACTION_FACTS),
    "chain-monitor": ("settlement.submitted.v1",),
    "notification": (
        *_USER_FACTS,
        "device.signed_in.v1",
        "intent.created.v1",
        "intent.updated.v1",
        "intent.low_balance.v1",
        *_PAYMENT_FACTS,
        "notification.mark_read.v1",
        "notification.set_preference.v1",
        "notification.set_quiet_hours.v1",
        "alert.create.v1",
        "alert.delete.v1",
        "chat.answered.v1",
        "device.decided.v1",
        "price.anomaly_detected.v1",
        "price.updated.v1",
    ),
    "rates": (),
}
"""Subjects that each service's durable consumer, named like the service, delivers."""


@dataclass(frozen=True, slots=True)
class Rights:
    """Subjects that an identity may publish to and subscribe to; everything else is denied."""

    publish: tuple[str, ...]
    subscribe: tuple[str, ...]


def rights_of(service: str) -> Rights:
    """Return exactly what a service needs: its own events, its own consumer, its own inbox."""
    publish = [
        f"{event.subject}.*" if event.subject == FEED_SUBJECT else event.subject
        for event in EVENTS.values()
        if service in event.producers
    ]
    subscribe = [f"_INBOX_{service}.>"]
    if service == "gateway":
        publish += [
            f"$JS.API.STREAM.INFO.{FEED_STREAM}",
            f"$JS.API.DIRECT.GET.{FEED_STREAM}",
            f"$JS.API.DIRECT.GET.{FEED_STREAM}.>",
            f"$JS.API.CONSUMER.CREATE.{FEED_STREAM}.>",
            f"$JS.API.CONSUMER.DELETE.{FEED_STREAM}.>",
            f"$JS.API.CONSUMER.INFO.{FEED_STREAM}.>",
            f"$JS.API.CONSUMER.MSG.NEXT.{FEED_STREAM}.>",
            f"$JS.FC.{FEED_STREAM}.>",
        ]
        return Rights(tuple(publish), tuple(subscribe))
    publish.append(f"announce.{service}")
    subscribe.append(f"republish.{service}")
    producers = sorted({name for subject in CONSUMES[service] for name in EVENTS[subject].producers})
    publish += [f"republish.{producer}" for producer in producers]
    subscribe += [f"announce.{producer}" for producer in producers]
    if CONSUMES[service]:
        publish += [
            f"$JS.API.CONSUMER.INFO.{EVENTS_STREAM}.{service}",
            f"$JS.API.CONSUMER.MSG.NEXT.{EVENTS_STREAM}.{service}",
            f"$JS.ACK.{EVENTS_STREAM}.{service}.>",
        ]
    return Rights(tuple(publish), tuple(subscribe))


TOPOLOGY_RIGHTS = Rights(
    publish=(
        "$JS.API.INFO",
        "$JS.API.STREAM.CREATE.*",
        "$JS.API.STREAM.UPDATE.*",
        "$JS.API.STREAM.INFO.*",
        "$JS.API.CONSUMER.CREATE.>",
        "$JS.API.CONSUMER.DURABLE.CREATE.>",
        "$JS.API.CONSUMER.INFO.>",
    ),
    subscribe=(f"_INBOX_{TOPOLOGY_IDENTITY}.>",),
)
"""The only identity that may create or change streams and consumers."""
