"""The feed over WebSockets: live, and after coming back."""

from uuid import uuid4

import pytest

from snowrail_testkit import Broker, RunningService

from .support import (
    Issuer,
    StartGateway,
    feed_event,
    heard,
    numbers_of,
    open_client,
    publish_feed,
    purge_feed,
)


async def test_an_event_reaches_every_socket_of_its_user_and_no_other(
    gateway: RunningService, broker: Broker, issuer: Issuer
) -> None:
    alice, bob = uuid4(), uuid4()
    async with open_client(gateway) as first, open_client(gateway) as second, open_client(gateway) as other:
        await first.authenticate(issuer.token(alice))
        await second.authenticate(issuer.token(alice))
        await other.authenticate(issuer.token(bob))
        event = feed_event(alice, 7, name="tx:confirmed")
        await broker.probe.publish(event)
        await publish_feed(broker, bob, 8)
        received = await first.receive()
        assert received == await second.receive()
        assert received["type"] == "tx:confirmed"
        assert received["id"] == str(event.event_id)
        assert received["data"]["number"] == 7
        assert received["at"]
        assert numbers_of([await other.receive()]) == [8]


async def test_a_client_that_comes_back_receives_what_it_missed_once_and_in_order(
    gateway: RunningService, broker: Broker, issuer: Issuer
) -> None:
    alice, bob = uuid4(), uuid4()
    async with open_client(gateway) as client:
        await client.authenticate(issuer.token(alice))
        await publish_feed(broker, alice, 1, 2)
        position = (await client.events(2))[-1]["position"]
    await publish_feed(broker, alice, 3)
    await publish_feed(broker, bob, 100)
    await publish_feed(broker, alice, 4, 5)
    async with open_client(gateway) as client:
        answer = await client.authenticate(issuer.token(alice), position)
        assert answer["position"] == position
        await publish_feed(broker, alice, 6)
        assert numbers_of(await client.events(4)) == [3, 4, 5, 6]


async def test_what_the_window_no_longer_holds_is_read_from_the_broker(
    start_gateway: StartGateway, broker: Broker, issuer: Issuer
) -> None:
    alice, bob = uuid4(), uuid4()
    async with start_gateway(recent_messages=5, replay_page_messages=3) as gateway:
        async with open_client(gateway) as client:
            position = (await client.authenticate(issuer.token(alice)))["position"]
        for number in range(20):
            await publish_feed(broker, alice, number)
            await publish_feed(broker, bob, -number)
        async with open_client(gateway) as client:
            await client.authenticate(issuer.token(alice), position)
            await publish_feed(broker, alice, 20)
            assert numbers_of(await client.events(21)) == list(range(21))


async def test_a_gateway_that_was_just_started_knows_the_recent_past(
    start_gateway: StartGateway, broker: Broker, issuer: Issuer
) -> None:
    alice = uuid4()
    async with start_gateway() as gateway, open_client(gateway) as client:
        position = (await client.authenticate(issuer.token(alice)))["position"]
    await publish_feed(broker, alice, 1, 2, 3)
    async with start_gateway() as gateway, open_client(gateway) as client:
        assert len(gateway.parts.hall.feed.recent) == 3
        await client.authenticate(issuer.token(alice), position)
        assert numbers_of(await client.events(3)) == [1, 2, 3]


async def test_positions_hold_on_every_gateway(
    start_gateway: StartGateway, broker: Broker, issuer: Issuer
) -> None:
    alice = uuid4()
    async with start_gateway() as one, start_gateway() as two:
        async with open_client(one) as client, open_client(two) as other:
            await client.authenticate(issuer.token(alice))
            await other.authenticate(issuer.token(alice))
            await publish_feed(broker, alice, 1)
            event = await client.receive()
            assert event == await other.receive()
        await publish_feed(broker, alice, 2)
        async with open_client(two) as client:
            await client.authenticate(issuer.token(alice), event["position"])
            await publish_feed(broker, alice, 3)
            assert numbers_of(await client.events(2)) == [2, 3]


@pytest.mark.parametrize("position", ["000000000000:1", "nonsense", "{incarnation}:999999"])
async def test_a_position_that_is_not_of_this_stream_means_reload(
    gateway: RunningService, broker: Broker, issuer: Issuer, position: str
) -> None:
    alice = uuid4()
    await publish_feed(broker, alice, 1)
    await heard(gateway, 1)
    incarnation = gateway.parts.hall.feed.incarnation
    async with open_client(gateway) as client:
        answer = await client.authenticate(
            issuer.token(alice), position.replace("{incarnation}", incarnation)
        )
        resync = await client.receive()
        assert resync == {"type": "resync", "position": answer["position"]}
        await publish_feed(broker, alice, 2)
        assert numbers_of(await client.events(1)) == [2]


async def test_who_missed_more_than_is_replayed_reloads(
    start_gateway: StartGateway, broker: Broker, issuer: Issuer
) -> None:
    alice = uuid4()
    async with start_gateway(recent_messages=1, replay_limit_messages=5) as gateway:
        async with open_client(gateway) as client:
            position = (await client.authenticate(issuer.token(alice)))["position"]
        await publish_feed(broker, alice, *range(7))
        await heard(gateway, 7)
        async with open_client(gateway) as client:
            await client.authenticate(issuer.token(alice), position)
            resync = await client.receive()
            assert resync["type"] == "resync"
            assert resync["position"].endswith(":7")
            await publish_feed(broker, alice, 7)
            assert numbers_of(await client.events(1)) == [7]


async def test_a_position_before_what_the_stream_still_holds_means_reload(
    start_gateway: StartGateway, broker: Broker, issuer: Issuer
) -> None:
    alice, bob = uuid4(), uuid4()
    async with start_gateway(recent_messages=1) as gateway:
        async with open_client(gateway) as client:
            position = (await client.authenticate(issuer.token(alice)))["position"]
        await publish_feed(broker, alice, 1, 2)
        await publish_feed(broker, bob, 3, 4)
        await heard(gateway, 4)
        await purge_feed(broker, keep=3)
        async with open_client(gateway) as client:
            await client.authenticate(issuer.token(alice), position)
            assert (await client.receive())["type"] == "resync"


async def test_a_malformed_message_of_the_feed_harms_nobody(
    gateway: RunningService, broker: Broker, issuer: Issuer
) -> None:
    alice = uuid4()
    async with open_client(gateway) as client:
        await client.authenticate(issuer.token(alice))
        await broker.probe.client.jetstream().publish(f"feed.{alice}", b'{"no":"event"}')
        await publish_feed(broker, alice, 1)
        assert numbers_of(await client.events(1)) == [1]


async def test_ping_tells_the_position_reached(
    gateway: RunningService, broker: Broker, issuer: Issuer
) -> None:
    alice, bob = uuid4(), uuid4()
    async with open_client(gateway) as client, open_client(gateway) as other:
        await client.authenticate(issuer.token(alice))
        await other.authenticate(issuer.token(bob))
        await publish_feed(broker, bob, 1)
        position = (await other.receive())["position"]
        await client.send("ping")
        assert await client.receive() == {"type": "pong", "position": position}
