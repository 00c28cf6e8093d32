"""The feed by long polling: the same events and positions as on the WebSocket."""

import asyncio
from typing import Any
from uuid import UUID, uuid4

from snowrail_testkit import Broker, RunningService, eventually

from .support import Issuer, StartGateway, feed_event, heard, numbers_of, open_client, publish_feed


async def poll(
    gateway: RunningService, token: str, position: str | None = None, wait_seconds: float = 5
) -> dict[str, Any]:
    """Return one answer of the long poll."""
    query: dict[str, Any] = {"wait_seconds": wait_seconds} | ({"position": position} if position else {})
    answer = await gateway.http.get("/feed", params=query, headers={"Authorization": f"Bearer {token}"})
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/json"
    return answer.json()


async def waiting(gateway: RunningService, count: int) -> None:
    """Wait until a number of polls wait."""

    async def wait() -> bool:
        return len(gateway.parts.hall.registry) == count

    await eventually(wait)


async def test_a_poll_waits_for_the_next_event(
    gateway: RunningService, broker: Broker, issuer: Issuer
) -> None:
    alice = uuid4()
    polling = asyncio.create_task(poll(gateway, issuer.token(alice)))
    await waiting(gateway, 1)
    event = feed_event(alice, 1, name="tx:pending")
    await broker.probe.publish(event)
    answer = await polling
    assert answer["resync"] is False
    assert [item["id"] for item in answer["events"]] == [str(event.event_id)]
    assert answer["events"][0]["type"] == "tx:pending"
    assert answer["position"] == answer["events"][0]["position"]


async def test_polls_follow_the_feed_without_gap(
    start_gateway: StartGateway, broker: Broker, issuer: Issuer
) -> None:
    alice, bob = uuid4(), uuid4()
    async with start_gateway(recent_messages=5, replay_page_messages=4) as gateway:
        position = (await poll(gateway, issuer.token(alice), wait_seconds=0))["position"]
        for number in range(10):
            await publish_feed(broker, alice, number)
            await publish_feed(broker, bob, -1)
        received: list[int] = []
        while len(received) < 10:
            answer = await poll(gateway, issuer.token(alice), position)
            assert len(answer["events"]) <= 4
            received += numbers_of(answer["events"])
            position = answer["position"]
        assert received == list(range(10))


async def test_a_poll_goes_on_where_a_socket_was(
    gateway: RunningService, broker: Broker, issuer: Issuer
) -> None:
    alice = uuid4()
    async with open_client(gateway) as client:
        await client.authenticate(issuer.token(alice))
        await publish_feed(broker, alice, 1, 2)
        position = (await client.receive())["position"]
    answer = await poll(gateway, issuer.token(alice), position)
    assert numbers_of(answer["events"]) == [2]


async def test_an_empty_wait_moves_the_position_on(
    gateway: RunningService, broker: Broker, issuer: Issuer
) -> None:
    alice, bob = uuid4(), uuid4()
    before = await poll(gateway, issuer.token(alice), wait_seconds=0)
    await publish_feed(broker, bob, 1)
    await heard(gateway, 1)
    after = await poll(gateway, issuer.token(alice), before["position"], wait_seconds=0.05)
    assert after["events"] == []
    assert after["position"] == before["position"].replace(":0", ":1")


async def test_a_lost_position_means_reload(gateway: RunningService, issuer: Issuer) -> None:
    answer = await poll(gateway, issuer.token(uuid4()), "000000000000:5")
    assert answer == {"position": str(gateway.parts.hall.feed.position), "resync": True, "events": []}


async def test_waiting_polls_are_answered_when_the_process_ends(
    gateway: RunningService, issuer: Issuer
) -> None:
    polling = asyncio.create_task(poll(gateway, issuer.token(uuid4()), wait_seconds=30))
    await waiting(gateway, 1)
    await gateway.parts.drain()
    assert (await asyncio.wait_for(polling, 15))["events"] == []


async def test_polls_count_as_connections_of_their_user(
    start_gateway: StartGateway, broker: Broker, issuer: Issuer
) -> None:
    alice = uuid4()
    async with start_gateway(max_connections_per_user=1) as gateway:
        polling = asyncio.create_task(poll(gateway, issuer.token(alice), wait_seconds=30))
        await waiting(gateway, 1)
        refused = await gateway.http.get("/feed", headers=bearer(issuer, alice))
        assert (refused.status_code, refused.json()["code"]) == (503, "too_many_connections")
        await publish_feed(broker, alice, 1)
        await polling
        await waiting(gateway, 0)


async def test_a_poll_needs_a_token_and_sane_arguments(gateway: RunningService, issuer: Issuer) -> None:
    assert (await gateway.http.get("/feed")).status_code == 401
    for query in ({"wait_seconds": "-1"}, {"wait_seconds": "3600"}, {"position": "x" * 65}):
        answer = await gateway.http.get("/feed", params=query, headers=bearer(issuer, uuid4()))
        assert answer.status_code == 422


def bearer(issuer: Issuer, user_id: UUID) -> dict[str, str]:
    """Return the headers of a signed-in user."""
    return {"Authorization": f"Bearer {issuer.token(user_id)}"}


async def test_a_poll_reads_on_until_there_is_something_or_nothing(
    start_gateway: StartGateway, broker: Broker, issuer: Issuer
) -> None:
    alice, bob = uuid4(), uuid4()
    async with start_gateway(recent_messages=2) as gateway:
        position = (await poll(gateway, issuer.token(alice), wait_seconds=0))["position"]
        await publish_feed(broker, bob, *range(6))
        await heard(gateway, 6)
        empty = await poll(gateway, issuer.token(alice), position, wait_seconds=0)
        assert (empty["events"], empty["resync"]) == ([], False)
        assert empty["position"].endswith(":6")
        await broker.probe.client.jetstream().publish(f"feed.{alice}", b"{}")
        await heard(gateway, 7)
        malformed = await poll(gateway, issuer.token(alice), position, wait_seconds=0)
        assert malformed["events"] == []
        assert malformed["position"].endswith(":7")
