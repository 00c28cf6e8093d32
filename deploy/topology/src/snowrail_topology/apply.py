"""Create or update the streams and durable consumers. Running it again changes nothing."""

from datetime import timedelta

import nats
from nats.js.api import (
    AckPolicy,
    ConsumerConfig,
    DeliverPolicy,
    DiscardPolicy,
    RetentionPolicy,
    StorageType,
    StreamConfig,
)
from nats.js.client import JetStreamContext
from nats.js.errors import NotFoundError

from snowrail_events import EVENTS
from snowrail_topology.table import CONSUMES, EVENTS_STREAM, FEED_STREAM, FEED_SUBJECT, TOPOLOGY_IDENTITY

_EVENTS_AGE = timedelta(days=30)
_FEED_AGE = timedelta(days=7)
_DUPLICATE_WINDOW = timedelta(minutes=2)
_ACK_WAIT = timedelta(seconds=10)
_MAX_MESSAGE_BYTES = 1_000_000
DEFAULT_STREAM_BYTES = 4 * 1024**3
_MAX_ACK_PENDING = 10_000


def stream_configs(replicas: int, stream_bytes: int) -> tuple[StreamConfig, StreamConfig]:
    """Return the two streams: all events, and the users' feeds."""
    subjects = sorted(subject for subject in EVENTS if subject != FEED_SUBJECT)
    events = StreamConfig(
        name=EVENTS_STREAM,
        subjects=subjects,
        retention=RetentionPolicy.LIMITS,
        storage=StorageType.FILE,
        discard=DiscardPolicy.OLD,
        max_age=_EVENTS_AGE.total_seconds(),
        max_bytes=stream_bytes,
        max_msg_size=_MAX_MESSAGE_BYTES,
        duplicate_window=_DUPLICATE_WINDOW.total_seconds(),
        num_replicas=replicas,
        allow_atomic=True,
        deny_delete=True,
        deny_purge=True,
    )
    feed = StreamConfig(
        name=FEED_STREAM,
        subjects=[f"{FEED_SUBJECT}.*"],
        retention=RetentionPolicy.LIMITS,
        storage=StorageType.FILE,
        discard=DiscardPolicy.OLD,
        max_age=_FEED_AGE.total_seconds(),
        max_bytes=stream_bytes,
        max_msg_size=_MAX_MESSAGE_BYTES,
        max_msgs_per_subject=5_000,
        duplicate_window=_DUPLICATE_WINDOW.total_seconds(),
        num_replicas=replicas,
        allow_atomic=True,
        allow_direct=True,
        deny_delete=True,
        deny_purge=True,
    )
    return events, feed


def consumer_configs() -> list[ConsumerConfig]:
    """Return the durable pull consumer of each service that consumes."""
    return [
        ConsumerConfig(
            durable_name=service,
            filter_subjects=list(subjects),
            ack_policy=AckPolicy.EXPLICIT,
            deliver_policy=DeliverPolicy.ALL,
            ack_wait=_ACK_WAIT.total_seconds(),
            max_ack_pending=_MAX_ACK_PENDING,
            max_deliver=-1,
        )
        for service, subjects in CONSUMES.items()
        if subjects
    ]


async def apply(
    nats_url: str, seed: str, replicas: int = 1, stream_bytes: int = DEFAULT_STREAM_BYTES
) -> None:
    """Create what is missing and update what differs.

    Args:
        nats_url: where the broker listens.
        seed: nkey seed of the topology identity, the only one with the right to do this.
        replicas: copies of each stream; 3 in production.
        stream_bytes: disk reserved for each stream; the oldest events go first, outboxes still hold them.

    Raises:
        nats.errors.Error: the broker refuses or cannot be reached.
    """
    client = await nats.connect(
        nats_url,
        nkeys_seed_str=seed,
        name=TOPOLOGY_IDENTITY,
        inbox_prefix=f"_INBOX_{TOPOLOGY_IDENTITY}".encode(),
        connect_timeout=5,
        allow_reconnect=False,
    )
    try:
        jetstream = client.jetstream(timeout=10)
        for config in stream_configs(replicas, stream_bytes):
            await _apply_stream(jetstream, config)
        for config in consumer_configs():
            await jetstream.add_consumer(EVENTS_STREAM, config)
    finally:
        await client.close()


async def _apply_stream(jetstream: JetStreamContext, config: StreamConfig) -> None:
    assert config.name is not None, "a stream has a name"
    try:
        await jetstream.stream_info(config.name)
    except NotFoundError:
        await jetstream.add_stream(config)
    else:
        await jetstream.update_stream(config)
