"""A broker as production has it: the real topology, every identity with its own rights, and a probe."""

import asyncio
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, TypeVar
from uuid import UUID, uuid4

import nats
import nats.errors
from nats.aio.client import Client
from nats.js.api import ConsumerConfig, DeliverPolicy
from pydantic import SecretStr

from snowrail_events import Event
from snowrail_kit.bus import EVENTS_STREAM, FEED_STREAM, encode_headers
from snowrail_kit.delivery import Envelope
from snowrail_kit.settings import ServiceSettings
from snowrail_testkit.databases import TestDatabase
from snowrail_testkit.servers import JetStreamServer
from snowrail_topology import CONSUMES, TOPOLOGY_IDENTITY, apply, server_config
from snowrail_topology.identities import new_identity

E = TypeVar("E", bound=Event)
S = TypeVar("S", bound=ServiceSettings)

PROBE_IDENTITY = "probe"
"""Identity that exists in tests only: it may publish and read everything."""
COLLECT_TIMEOUT_SECONDS = 30.0
TEST_STREAM_BYTES = 128 * 1024**2


@dataclass(frozen=True)
class Identities:
    """Seeds and public keys of every identity of a broker."""

    seeds: Mapping[str, str]
    public_keys: Mapping[str, str]

    @classmethod
    def generate(cls) -> "Identities":
        """Make new keys for all services, the topology job and the probe."""
        keys = {name: new_identity() for name in (*CONSUMES, TOPOLOGY_IDENTITY, PROBE_IDENTITY)}
        return cls(
            seeds={name: seed for name, (seed, _) in keys.items()},
            public_keys={name: public for name, (_, public) in keys.items()},
        )

    def configuration(self) -> str:
        """Return the server's authorization block, with the probe as one more user."""
        block = server_config(self.public_keys)
        key = self.public_keys[PROBE_IDENTITY]
        probe = f'    {{ nkey: {key}, permissions: {{ publish: ">", subscribe: ">" }} }}\n'
        return block.replace("  users: [\n", f"  users: [\n{probe}", 1)


@dataclass
class Probe:
    """Stands for every other service: publishes their events and sees all that is published."""

    client: Client
    started_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    sequences: dict[tuple[str, str], int] = field(default_factory=dict[tuple[str, str], int])

    async def publish(
        self,
        event: Event,
        *,
        producer: str | None = None,
        event_id: UUID | None = None,
        traceparent: str | None = None,
        sequence: int | None = None,
        version: int = 0,
    ) -> UUID:
        """Publish an event under its (first) producer's name, numbered densely, and return its id."""
        source = producer or type(event).producers[0]
        subject = type(event).subject
        if sequence is None:
            sequence = self.sequences.get((source, subject), 0) + 1
            self.sequences[source, subject] = sequence
        envelope = Envelope(
            event_id=event_id or uuid4(),
            subject=subject,
            producer=source,
            sequence=None if source == "gateway" else sequence,
            version=version,
            traceparent=traceparent,
        )
        headers = encode_headers(envelope, event.aggregate_id(), datetime.now(UTC))
        stream = FEED_STREAM if subject == "feed" else EVENTS_STREAM
        body = event.model_dump_json(exclude_none=True).encode()
        await self.client.jetstream().publish(event.routing_subject(), body, stream=stream, headers=headers)
        return envelope.event_id

    async def collect(
        self, event: type[E], count: int, timeout_seconds: float = COLLECT_TIMEOUT_SECONDS
    ) -> list[E]:
        """Return the first `count` events of a type in the stream, waiting for them.

        Raises:
            TimeoutError: fewer arrived in time; the message says how many.
        """
        stream = FEED_STREAM if event.subject == "feed" else EVENTS_STREAM
        subject = "feed.*" if event.subject == "feed" else event.subject
        subscription = await self.client.jetstream().subscribe(
            subject,
            stream=stream,
            ordered_consumer=True,
            config=ConsumerConfig(deliver_policy=DeliverPolicy.ALL),
        )
        collected: list[E] = []
        try:
            async with asyncio.timeout(timeout_seconds):
                while len(collected) < count:
                    message = await subscription.next_msg(timeout=timeout_seconds)
                    collected.append(event.model_validate_json(message.data))
        except (TimeoutError, nats.errors.TimeoutError) as error:
            raise TimeoutError(f"{len(collected)} of {count} {event.subject} arrived: {collected}") from error
        finally:
            await subscription.unsubscribe()
        return collected

    async def count(self, event: type[Event]) -> int:
        """Return how many events of a type the stream holds now."""
        stream = FEED_STREAM if event.subject == "feed" else EVENTS_STREAM
        subject = "feed.*" if event.subject == "feed" else event.subject
        info = await self.client.jetstream().stream_info(stream, subjects_filter=subject)
        return sum((info.state.subjects or {}).values())


@dataclass(frozen=True)
class Broker:
    """A private broker of one test with the topology applied."""

    server: JetStreamServer
    identities: Identities
    probe: Probe

    def settings(
        self, settings: type[S], service: str, database: TestDatabase | None = None, **options: Any
    ) -> S:
        """Return a service's settings for this broker and database, its HTTP port chosen by the system."""
        return settings(
            nats_url=self.server.url,
            nats_seed=SecretStr(self.identities.seeds[service]),
            nats_monitor_url=self.server.monitor_url,
            database_url=SecretStr(database.url) if database else None,
            http_port=0,
            **options,
        )


async def connect_probe(server: JetStreamServer, identities: Identities) -> Probe:
    """Connect the probe to a broker; it reconnects when the broker is restarted."""
    client = await nats.connect(
        server.url,
        nkeys_seed_str=identities.seeds[PROBE_IDENTITY],
        inbox_prefix=b"_INBOX_probe",
        max_reconnect_attempts=-1,
        reconnect_time_wait=0.1,
    )
    return Probe(client)


@asynccontextmanager
async def running_broker(server: JetStreamServer, identities: Identities) -> AsyncGenerator[Broker]:
    """Apply the topology to a started server and lend it with a connected probe."""
    await apply(server.url, identities.seeds[TOPOLOGY_IDENTITY], stream_bytes=TEST_STREAM_BYTES)
    probe = await connect_probe(server, identities)
    try:
        yield Broker(server, identities, probe)
    finally:
        await probe.client.close()
