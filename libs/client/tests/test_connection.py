"""The live connection over everything that happens to sockets."""

import asyncio

import aiohttp
import pytest

from snowrail_client import Connection, ConnectionEnded, Event, SnowrailClient
from snowrail_client import connection as module
from snowrail_client.events import EventLog

from .fake_platform import FakePlatform


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_RETRY_FIRST_SECONDS", 0.01)
    monkeypatch.setattr(module, "_RETRY_LAST_SECONDS", 0.05)


async def test_the_answer_to_a_line_is_found_whichever_comes_first(
    client: SnowrailClient, platform: FakePlatform
) -> None:
    await client.connect()
    reply = await client.say("/help")
    assert reply.card.title == reply.text == "/help"
    replies = await asyncio.gather(*(client.say(f"/help {n}") for n in range(20)))
    assert [reply.text for reply in replies] == [f"/help {n}" for n in range(20)]


async def test_a_lost_socket_is_replaced_and_the_feed_goes_on_from_its_position(
    client: SnowrailClient, platform: FakePlatform
) -> None:
    connection = await client.connect()
    await platform.emit("tx:pending", {})
    await connection.wait_for("tx:pending")
    for _ in range(3):
        await platform.authenticated.acquire()
        platform.hang_up()
        await platform.authenticated.acquire()
        platform.authenticated.release()
    assert platform.frames[-1]["position"] == "inc:1"
    await platform.emit("tx:confirmed", {})
    event = await connection.wait_for("tx:confirmed")
    assert event.position == connection.position == "inc:2"
    assert connection.reconnections == 3


async def test_an_event_that_comes_again_is_told_once(client: SnowrailClient, platform: FakePlatform) -> None:
    connection = await client.connect()
    names: list[str] = []

    async def read() -> None:
        async for event in connection.events():
            names.append(event.name)
            if event.name == "last":
                return

    reading = asyncio.create_task(read())
    await asyncio.sleep(0)
    for name, event_id in (("first", "1"), ("first", "1"), ("second", "2"), ("first", "1"), ("last", "3")):
        await platform.emit(name, {}, event_id)
    await asyncio.wait_for(reading, 30)
    assert names == ["first", "second", "last"]
    assert connection.position == "inc:5"


async def test_a_line_whose_fate_is_unknown_is_sent_again_under_its_id(
    client: SnowrailClient, platform: FakePlatform
) -> None:
    await client.connect()
    platform.silent_messages, platform.refused_messages = 2, 2
    reply = await client.say("/pay")
    sent = [frame["id"] for frame in platform.frames if frame["type"] == "chat:message"]
    assert len(sent) == 5
    assert len(set(sent)) == 1
    assert reply.message_id == f"m-{sent[0]}"


async def test_a_refused_handshake_is_tried_again(client: SnowrailClient, platform: FakePlatform) -> None:
    platform.refuse_sockets = 3
    connection = await client.connect()
    assert connection.is_connected
    assert connection.last_failure == "the handshake was answered with 503"


async def test_resync_is_told_in_its_place(client: SnowrailClient, platform: FakePlatform) -> None:
    connection = await client.connect()
    await platform.send({"type": "resync", "position": "new:7"})
    await connection.wait_for("resync")
    assert (connection.resyncs, connection.position) == (1, "new:7")


async def test_a_pong_moves_the_position_of_a_quiet_feed(
    client: SnowrailClient, platform: FakePlatform, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_KEEP_ALIVE_SECONDS", 0.05)
    connection = await client.connect()
    platform.sequence = 9
    async with asyncio.timeout(30):
        while connection.position != "inc:9":  # noqa: ASYNC110 - the other side's ping
            await asyncio.sleep(0.01)


async def test_the_socket_is_authenticated_again_with_a_renewed_token(
    client: SnowrailClient, platform: FakePlatform, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_KEEP_ALIVE_SECONDS", 0.05)
    await client.connect()
    await platform.authenticated.acquire()
    await client.refresh()
    await asyncio.wait_for(platform.authenticated.acquire(), 30)
    [first, second] = [frame for frame in platform.frames if frame["type"] == "auth"]
    assert (first["token"], second["token"]) == ("token-1", "token-2")
    assert len(platform.sockets) == 1


async def test_a_closed_connection_lets_nobody_wait(client: SnowrailClient, platform: FakePlatform) -> None:
    connection = await client.connect()
    waiting = asyncio.create_task(connection.wait_for("never"))
    await asyncio.sleep(0)
    await connection.close()
    for attempt in (waiting, connection.post("/help"), connection.wait_for("never")):
        with pytest.raises(ConnectionEnded):
            await attempt
    with pytest.raises(ConnectionEnded):
        async for _ in connection.events():
            pass


async def test_another_users_socket_is_the_end(client: SnowrailClient, platform: FakePlatform) -> None:
    connection = await client.connect()
    await platform.send({"type": "auth:error", "code": "wrong_user", "detail": "No."})
    with pytest.raises(ConnectionEnded) as ended:
        await connection.wait_for("never")
    assert ended.value.code == "wrong_user"


async def test_nobody_there_is_a_timeout(client: SnowrailClient) -> None:
    async def token() -> str:
        return "t"

    async with aiohttp.ClientSession() as http:
        connection = Connection(http, "ws://127.0.0.1:1/ws", token)
        with pytest.raises(TimeoutError):
            await connection.open(timeout_seconds=0.2)


@pytest.mark.parametrize("text", ["", "x" * 2_001])
async def test_a_line_of_a_bad_length_is_refused_here(client: SnowrailClient, text: str) -> None:
    connection = await client.connect()
    with pytest.raises(ValueError, match="characters"):
        await connection.post(text)


async def test_waiting_has_an_end(client: SnowrailClient) -> None:
    connection = await client.connect()
    with pytest.raises(TimeoutError):
        await connection.wait_for("never", timeout_seconds=0.05)


def event(number: int, name: str = "n") -> Event:
    """Return an event."""
    return Event(name, str(number), f"inc:{number}", "", {"number": number}, 0.0)


async def test_the_past_is_looked_at_when_asked_for() -> None:
    log = EventLog(kept=2, queued=10)
    for number in range(3):
        log.add(event(number))
    assert (await log.wait_for(lambda item: True, 1, include_past=True)).event_id == "1"
    with pytest.raises(TimeoutError):
        await log.wait_for(lambda item: True, 0.01, include_past=False)


async def test_who_falls_behind_is_told() -> None:
    log = EventLog(kept=2, queued=3)
    async with log.queue() as queue:
        for number in range(5):
            log.add(event(number))
        items = [queue.get_nowait() for _ in range(queue.qsize())]
    assert [item.event_id for item in items if isinstance(item, Event)] == ["0", "1", "2"]
    assert isinstance(items[-1], OverflowError)
