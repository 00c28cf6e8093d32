"""A broker that is killed, stalls or is replaced: the feed goes on without a gap, or says that it cannot."""

import asyncio
from uuid import UUID, uuid4

import pytest

from snowrail_gateway.history import History, HistoryUnavailable, StreamState
from snowrail_gateway.sessions import Session
from snowrail_testkit import Broker, RunningService, eventually
from snowrail_topology import TOPOLOGY_IDENTITY, apply

from .support import (
    Client,
    Issuer,
    StartGateway,
    feed_event,
    numbers_of,
    open_client,
    publish_feed,
    until_live,
)

pytestmark = pytest.mark.faults


async def publish_patiently(broker: Broker, user_id: UUID, number: int) -> None:
    """Publish an event of the feed, again under its id until the broker has it."""
    event = feed_event(user_id, number)

    async def published() -> bool:
        try:
            await broker.probe.publish(event, event_id=event.event_id)
        except Exception:
            return False
        return True

    await eventually(published, 20)


async def collect(client: Client, count: int) -> list[int]:
    """Return the numbers of the next distinct events."""
    seen: dict[str, int] = {}
    while len(seen) < count:
        frame = await client.receive()
        assert frame["type"] == "notification"
        seen.setdefault(frame["id"], frame["data"]["number"])
    return list(seen.values())


async def test_a_killed_broker_costs_no_event_and_no_order(
    start_gateway: StartGateway, broker: Broker, issuer: Issuer
) -> None:
    alice = uuid4()
    async with (
        start_gateway() as one,
        start_gateway() as two,
        open_client(one) as first,
        open_client(two) as second,
    ):
        await first.authenticate(issuer.token(alice))
        await second.authenticate(issuer.token(alice))
        reading = [asyncio.create_task(collect(client, 60)) for client in (first, second)]
        for number in range(60):
            if number in (20, 40):
                await asyncio.to_thread(broker.server.kill)
                asyncio.get_running_loop().call_later(0.5, broker.server.start)
            await publish_patiently(broker, alice, number)
        async with asyncio.timeout(60):
            assert await asyncio.gather(*reading) == [list(range(60))] * 2


async def test_a_broker_that_stalls_is_noticed_and_nothing_is_lost(
    gateway: RunningService, broker: Broker, issuer: Issuer
) -> None:
    alice = uuid4()
    async with open_client(gateway) as client:
        await client.authenticate(issuer.token(alice))
        await asyncio.to_thread(broker.server.pause)

        async def noticed() -> bool:
            return (await gateway.http.get("/health/ready")).status_code == 503

        await eventually(noticed)
        await asyncio.to_thread(broker.server.resume)
        await publish_patiently(broker, alice, 1)
        assert await collect(client, 1) == [1]
        await until_live(gateway)


async def test_a_consumer_that_the_broker_lost_is_made_anew(
    gateway: RunningService, broker: Broker, issuer: Issuer
) -> None:
    alice = uuid4()
    async with open_client(gateway) as client:
        await client.authenticate(issuer.token(alice))
        await publish_feed(broker, alice, 1)
        assert await collect(client, 1) == [1]
        jetstream = broker.probe.client.jetstream()
        for consumer in await jetstream.consumers_info("FEED"):
            assert consumer.name.startswith("gateway_")
            await jetstream.delete_consumer("FEED", consumer.name)
        await publish_feed(broker, alice, 2, 3)
        assert await collect(client, 2) == [2, 3]


async def test_messages_lost_on_the_way_are_fetched_again(
    gateway: RunningService, broker: Broker, issuer: Issuer
) -> None:
    alice = uuid4()
    async with open_client(gateway) as client:
        await client.authenticate(issuer.token(alice))
        jetstream = broker.probe.client.jetstream()
        [consumer] = await jetstream.consumers_info("FEED")
        assert consumer.config.deliver_subject is not None
        # A forged heartbeat that counts one message more than arrived: the last one was lost.
        await broker.probe.client.publish(
            consumer.config.deliver_subject, b"", headers={"Status": "100", "Nats-Last-Consumer": "1"}
        )

        async def anew() -> bool:
            names = [info.name for info in await jetstream.consumers_info("FEED")]
            return len(names) == 1 and names[0] != consumer.name

        await eventually(anew)
        await until_live(gateway)
        await publish_feed(broker, alice, 1)
        assert await collect(client, 1) == [1]


async def test_another_stream_under_the_same_name_means_reload(
    gateway: RunningService, broker: Broker, issuer: Issuer
) -> None:
    alice = uuid4()
    async with open_client(gateway) as client:
        before = await client.authenticate(issuer.token(alice))
        await broker.probe.client.jetstream().delete_stream("FEED")
        await apply(broker.server.url, broker.identities.seeds[TOPOLOGY_IDENTITY], stream_bytes=128 * 1024**2)
        resync = await client.receive()
        assert resync["type"] == "resync"
        assert resync["position"].split(":")[0] != before["position"].split(":")[0]
        await publish_feed(broker, alice, 1)
        assert numbers_of(await client.events(1)) == [1]


async def test_what_was_missed_cannot_be_read_while_the_broker_is_away(
    start_gateway: StartGateway, broker: Broker, issuer: Issuer
) -> None:
    alice = uuid4()
    async with start_gateway(recent_messages=1) as gateway:
        async with open_client(gateway) as client:
            position = (await client.authenticate(issuer.token(alice)))["position"]
        await publish_feed(broker, alice, 1, 2, 3)
        await asyncio.to_thread(broker.server.pause)
        async with open_client(gateway) as client:
            await client.send("auth", token=issuer.token(alice), position=position)
            assert (await client.receive())["type"] == "auth:success"
            assert (await client.receive())["code"] == "unavailable"
        await asyncio.to_thread(broker.server.resume)
        await until_live(gateway)
        async with open_client(gateway) as client:
            await client.authenticate(issuer.token(alice), position)
            assert numbers_of(await client.events(3)) == [1, 2, 3]


async def test_a_message_that_cannot_be_handled_does_not_end_the_feed(
    gateway: RunningService, broker: Broker, issuer: Issuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    alice = uuid4()
    async with open_client(gateway) as client:
        await client.authenticate(issuer.token(alice))
        deliver, failures = Session.deliver, ["the first"]

        def failing(session: Session, sequence: int, frame: str) -> None:
            if failures:
                raise RuntimeError(failures.pop())
            deliver(session, sequence, frame)

        monkeypatch.setattr(Session, "deliver", failing)
        await publish_feed(broker, alice, 1, 2)
        assert numbers_of(await client.events(1)) == [2]


async def test_a_broker_that_answers_nonsense_is_asked_again(
    gateway: RunningService, broker: Broker, issuer: Issuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    alice = uuid4()
    state, failures = History.state, [KeyError("created"), HistoryUnavailable("later")]

    async def failing(history: History) -> StreamState:
        if failures:
            raise failures.pop()
        return await state(history)

    monkeypatch.setattr(History, "state", failing)
    async with open_client(gateway) as client:
        await client.authenticate(issuer.token(alice))
        await asyncio.to_thread(broker.server.restart)
        await publish_patiently(broker, alice, 1)
        assert await collect(client, 1) == [1]
    assert not failures
