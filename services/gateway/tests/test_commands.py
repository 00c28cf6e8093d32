"""What users send becomes events on the bus, stored before it is accepted."""

import asyncio
from contextlib import AsyncExitStack
from uuid import UUID, uuid4

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider

from snowrail_events import ChatMessagePostedV1, NotificationMarkReadV1
from snowrail_kit.bus import EVENTS_STREAM, Bus, OutgoingMessage
from snowrail_kit.ids import derived_id
from snowrail_testkit import Broker, RunningService, eventually

from .support import Issuer, StartGateway, open_client


async def test_a_message_is_stored_when_it_is_accepted(
    gateway: RunningService, broker: Broker, issuer: Issuer
) -> None:
    alice = uuid4()
    async with open_client(gateway) as client:
        await client.authenticate(issuer.token(alice, roles=("user", "business")))
        await client.send("chat:message", id="m-1", text="/pay @bob 1 CRO")
        accepted = await client.receive()
        assert await broker.probe.count(ChatMessagePostedV1) == 1
    message_id = derived_id("message", alice, "m-1")
    assert accepted == {"type": "chat:accepted", "id": "m-1", "message_id": str(message_id)}
    [event] = await broker.probe.collect(ChatMessagePostedV1, 1)
    assert event.message_id == message_id
    assert event.user_id == alice
    assert event.handle == "alice"
    assert event.address == "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266"
    assert event.roles == ("business", "user")
    assert event.text == "/pay @bob 1 CRO"
    stored = await broker.probe.client.jetstream().get_msg(EVENTS_STREAM, 1)
    assert stored.headers is not None
    assert stored.headers["ce-source"] == "gateway"
    assert "snowrail-sequence" not in stored.headers
    assert stored.headers["ce-id"] == stored.headers["Nats-Msg-Id"] == str(message_id)


async def test_a_message_sent_again_is_the_same_message(
    gateway: RunningService, broker: Broker, issuer: Issuer
) -> None:
    alice, bob = uuid4(), uuid4()
    async with open_client(gateway) as first, open_client(gateway) as second, open_client(gateway) as other:
        for client, user in ((first, alice), (second, alice), (other, bob)):
            await client.authenticate(issuer.token(user))
            await client.send("chat:message", id="same", text="/help")
        accepted = [await client.receive() for client in (first, second, other)]
        await first.send("chat:message", id="same", text="/help")
        accepted.append(await first.receive())
    assert {frame["type"] for frame in accepted} == {"chat:accepted"}
    assert accepted[0] == accepted[1] == accepted[3]
    assert accepted[2]["message_id"] != accepted[0]["message_id"]
    assert await broker.probe.count(ChatMessagePostedV1) == 2


async def test_notifications_read_are_published(
    gateway: RunningService, broker: Broker, issuer: Issuer
) -> None:
    alice, read = uuid4(), (uuid4(), uuid4())
    async with open_client(gateway) as client:
        await client.authenticate(issuer.token(alice))
        await client.send("notification:read", ids=[str(item) for item in read])
        [event] = await broker.probe.collect(NotificationMarkReadV1, 1)
    assert (event.user_id, event.notification_ids) == (alice, read)


async def test_concurrent_messages_share_a_publication(
    gateway: RunningService, broker: Broker, issuer: Issuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    batches: list[int] = []
    publish_batch = Bus.publish_batch

    async def counted(bus: Bus, messages: list[OutgoingMessage]) -> str:
        batches.append(len(messages))
        return await publish_batch(bus, messages)

    monkeypatch.setattr(Bus, "publish_batch", counted)

    async def post(number: int) -> UUID:
        async with open_client(gateway) as client:
            await client.authenticate(issuer.token(uuid4()))
            ready.append(number)
            await everybody.wait()
            await client.send("chat:message", id=str(number), text="/help")
            return UUID((await client.until("chat:accepted"))["message_id"])

    ready: list[int] = []
    everybody = asyncio.Event()
    posting = [asyncio.create_task(post(number)) for number in range(60)]

    async def all_ready() -> bool:
        return len(ready) == len(posting)

    await eventually(all_ready)
    everybody.set()
    accepted = await asyncio.gather(*posting)
    stored = await broker.probe.collect(ChatMessagePostedV1, len(posting))
    assert {event.message_id for event in stored} == set(accepted)
    assert sum(batches) == len(posting)
    assert len(batches) < len(posting) / 2


async def test_a_message_that_the_broker_does_not_acknowledge_is_not_accepted_and_may_be_sent_again(
    gateway: RunningService, broker: Broker, issuer: Issuer
) -> None:
    async with open_client(gateway) as client:
        await client.authenticate(issuer.token(uuid4()))
        await asyncio.to_thread(broker.server.pause)
        await client.send("chat:message", id="m-1", text="/help")
        refused = await client.receive()
        await asyncio.to_thread(broker.server.resume)
        assert (refused["type"], refused["code"], refused["id"]) == ("error", "unavailable", "m-1")
        await client.send("chat:message", id="m-1", text="/help")
        assert (await client.receive())["type"] == "chat:accepted"
    assert await broker.probe.count(ChatMessagePostedV1) == 1


async def test_a_message_starts_a_trace_of_its_own(
    start_gateway: StartGateway, broker: Broker, issuer: Issuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    provider = TracerProvider()
    monkeypatch.setattr("snowrail_gateway.commands.tracer", provider.get_tracer("test"))
    assert not trace.get_current_span().get_span_context().is_valid
    async with start_gateway() as gateway, open_client(gateway) as client:
        await client.authenticate(issuer.token(uuid4()))
        for number in (1, 2):
            await client.send("chat:message", id=str(number), text="/help")
            await client.until("chat:accepted")
    jetstream = broker.probe.client.jetstream()
    traces: set[str] = set()
    for sequence in (1, 2):
        message = await jetstream.get_msg(EVENTS_STREAM, sequence)
        assert message.headers is not None
        traces.add(message.headers["traceparent"].split("-")[1])
    assert len(traces) == 2


async def test_more_lines_than_may_wait_are_refused_at_once(
    start_gateway: StartGateway, broker: Broker, issuer: Issuer
) -> None:
    async with start_gateway(publish_waiting_messages=1) as gateway, AsyncExitStack() as stack:
        clients = [await stack.enter_async_context(open_client(gateway)) for _ in range(3)]
        for client in clients:
            await client.authenticate(issuer.token(uuid4()))
        await asyncio.to_thread(broker.server.pause)
        for client in clients:
            await client.send("chat:message", id="1", text="/help")
            await asyncio.sleep(0.1)
        refused = await clients[-1].receive()
        await asyncio.to_thread(broker.server.resume)
        assert (refused["code"], refused["detail"]) == ("unavailable", "Not accepted: too many wait.")
        for client in clients[:-1]:
            assert (await client.receive())["type"] == "chat:accepted"
