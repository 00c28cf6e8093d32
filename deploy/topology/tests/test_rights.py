"""Least privilege, tried: every identity may do exactly what it needs, and every other pair is refused."""

import asyncio
import itertools
from collections.abc import AsyncIterator

import nats
import nats.errors
import pytest
import pytest_asyncio
from nats.aio.client import Client

from snowrail_events import EVENTS
from snowrail_testkit import Broker
from snowrail_topology import CONSUMES, EVENTS_STREAM, TOPOLOGY_IDENTITY, apply, rights_of
from snowrail_topology.apply import consumer_configs, stream_configs

ALL = [*CONSUMES, TOPOLOGY_IDENTITY]


class Session:
    """A connection under one identity that remembers what it was refused."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.refused: list[str] = []
        self.client = Client()

    async def connect(self, broker: Broker) -> None:
        await self.client.connect(
            broker.server.url,
            nkeys_seed_str=broker.identities.seeds[self.name],
            inbox_prefix=f"_INBOX_{self.name}".encode(),
            error_cb=self._on_error,
            allow_reconnect=False,
            connect_timeout=20,
        )

    async def _on_error(self, error: Exception) -> None:
        self.refused.append(str(error).lower())

    def was_refused(self, verb: str, subject: str) -> bool:
        return any(f'{verb} to "{subject}"'.lower() in text for text in self.refused)


@pytest_asyncio.fixture(loop_scope="session")
async def sessions(broker: Broker) -> AsyncIterator[dict[str, Session]]:
    """One connection per identity."""
    opened = {name: Session(name) for name in ALL}
    for session in opened.values():
        await session.connect(broker)
    yield opened
    for session in opened.values():
        await session.client.close()


async def test_only_its_producers_may_publish_an_event(sessions: dict[str, Session]) -> None:
    for subject, event in EVENTS.items():
        target = f"{subject}.someone" if subject == "feed" else subject
        for session in sessions.values():
            await session.client.publish(target, b"{}")
        for session in sessions.values():
            await session.client.flush()
        await asyncio.sleep(0.01)
        for name, session in sessions.items():
            assert session.was_refused("publish", target) is (name not in event.producers), (name, target)


async def test_only_its_service_may_use_a_consumer(sessions: dict[str, Session]) -> None:
    services = [name for name, subjects in CONSUMES.items() if subjects]
    for owner in services:
        subjects = [
            f"$JS.API.CONSUMER.MSG.NEXT.{EVENTS_STREAM}.{owner}",
            f"$JS.ACK.{EVENTS_STREAM}.{owner}.1.1.1.1.1",
        ]
        for session, subject in itertools.product(sessions.values(), subjects):
            await session.client.publish(subject, b"")
        for session in sessions.values():
            await session.client.flush()
        await asyncio.sleep(0.01)
        for name, session in sessions.items():
            for subject in subjects:
                assert session.was_refused("publish", subject) is (name != owner), (name, subject)


@pytest.mark.parametrize("subject", ["$JS.API.STREAM.CREATE.X", f"$JS.API.CONSUMER.CREATE.{EVENTS_STREAM}.x"])
async def test_only_the_topology_job_may_make_things(sessions: dict[str, Session], subject: str) -> None:
    for session in sessions.values():
        await session.client.publish(subject, b"{}")
        await session.client.flush()
    await asyncio.sleep(0.05)
    for name, session in sessions.items():
        assert session.was_refused("publish", subject) is (name != TOPOLOGY_IDENTITY), name


async def test_nobody_hears_what_is_not_theirs(sessions: dict[str, Session]) -> None:
    for name, session in sessions.items():
        for subject in (">", "payment.succeeded.v1", "_INBOX_gateway.>", "_INBOX_intent.>"):
            if f"_INBOX_{name}.>" != subject:
                await session.client.subscribe(subject)
        await session.client.flush()
    await asyncio.sleep(0.1)
    for name, session in sessions.items():
        for subject in (">", "payment.succeeded.v1", "_INBOX_gateway.>", "_INBOX_intent.>"):
            expected = f"_INBOX_{name}.>" != subject
            assert any(f'subscription to "{subject}"'.lower() in text for text in session.refused) is expected


async def test_a_stranger_is_not_let_in(broker: Broker) -> None:
    with pytest.raises(nats.errors.Error):
        await nats.connect(broker.server.url, allow_reconnect=False, connect_timeout=20)


async def test_applying_twice_changes_nothing_and_a_change_arrives(broker: Broker) -> None:
    jetstream = broker.probe.client.jetstream()
    seed = broker.identities.seeds[TOPOLOGY_IDENTITY]
    before = (await jetstream.stream_info(EVENTS_STREAM)).config
    await apply(broker.server.url, seed, stream_bytes=before.max_bytes or 0)
    assert (await jetstream.stream_info(EVENTS_STREAM)).config == before
    await apply(broker.server.url, seed, stream_bytes=64 * 1024**2)
    assert (await jetstream.stream_info(EVENTS_STREAM)).config.max_bytes == 64 * 1024**2


def test_every_event_is_in_a_stream_and_every_subject_of_a_consumer_is_an_event() -> None:
    events, feed = stream_configs(replicas=3, stream_bytes=1)
    assert {*(events.subjects or ()), "feed"} == set(EVENTS)
    assert feed.subjects == ["feed.*"]
    for config in consumer_configs():
        assert set(config.filter_subjects or ()) <= set(EVENTS)


@pytest.mark.parametrize("service", CONSUMES)
def test_no_right_is_a_wildcard_over_others(service: str) -> None:
    rights = rights_of(service)
    assert not {">", "$JS.API.>", "$JS.>", "feed.>", "_INBOX.>"} & {*rights.publish, *rights.subscribe}
