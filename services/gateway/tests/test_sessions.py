"""Who may connect, how a session ends, and what bounds it."""

import asyncio
from collections.abc import AsyncGenerator
from typing import Any
from uuid import uuid4

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from snowrail_gateway import sessions
from snowrail_gateway.commands import Commands
from snowrail_testkit import Broker, RunningService, eventually

from .support import Client, Issuer, StartGateway, numbers_of, open_client, publish_feed

POLICY_VIOLATION, INTERNAL_ERROR, SERVICE_RESTART = 1008, 1011, 1012


async def assert_closed(client: Client, code: int) -> None:
    """Assert that the socket is closed with a code, nothing more having come."""
    with pytest.raises(ConnectionClosed) as closed:
        await client.receive()
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == code


async def assert_ended(client: Client, code: str, close_code: int) -> None:
    """Assert that the next frame says why the session ends, and that it then does."""
    frame = await client.receive()
    assert (frame["type"], frame["code"]) == ("disconnect", code)
    assert frame["detail"]
    await assert_closed(client, close_code)


async def test_success_says_who_and_from_where(gateway: RunningService, issuer: Issuer) -> None:
    alice = uuid4()
    async with open_client(gateway) as client:
        answer = await client.authenticate(issuer.token(alice, roles=("user", "admin")))
    assert answer["user"] == {
        "id": str(alice),
        "handle": "alice",
        "address": "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266",
        "roles": ["admin", "user"],
    }
    assert answer["position"] == str(gateway.parts.hall.feed.position)


async def test_a_token_that_is_not_ours_is_refused(gateway: RunningService, issuer: Issuer) -> None:
    forged = Issuer(Ed25519PrivateKey.generate(), issuer.jwks_file).token(uuid4())
    unsigned = jwt.encode({"sub": str(uuid4())}, key="", algorithm="none")
    expired = issuer.token(uuid4(), lifetime_seconds=-60)
    for token in (forged, unsigned, expired, "", "x" * 8_000):
        async with open_client(gateway) as client:
            await client.send("auth", token=token)
            assert (await client.receive())["code"] == "unauthenticated"
            await assert_ended(client, "unauthenticated", POLICY_VIOLATION)


async def test_nothing_but_authentication_before_authentication(gateway: RunningService) -> None:
    async with open_client(gateway) as client:
        await client.send("chat:message", id="1", text="/help")
        assert (await client.receive())["code"] == "unauthenticated"
        await client.send("ping")
        assert await client.receive() == {"type": "pong", "position": None}


async def test_who_does_not_authenticate_in_time_is_disconnected(start_gateway: StartGateway) -> None:
    async with start_gateway(authentication_timeout_seconds=0.1) as gateway, open_client(gateway) as client:
        await assert_ended(client, "authentication_timeout", POLICY_VIOLATION)


async def test_a_session_ends_with_its_token_unless_renewed(
    gateway: RunningService, broker: Broker, issuer: Issuer
) -> None:
    alice = uuid4()
    async with open_client(gateway) as renewed, open_client(gateway) as left:
        await renewed.authenticate(issuer.token(alice, lifetime_seconds=3))
        await renewed.authenticate(issuer.token(alice))
        await left.authenticate(issuer.token(alice, lifetime_seconds=3))
        await assert_ended(left, "token_expired", POLICY_VIOLATION)
        await publish_feed(broker, alice, 1)
        assert numbers_of(await renewed.events(1)) == [1]


async def test_a_bad_renewal_leaves_the_session_as_it_was(
    gateway: RunningService, broker: Broker, issuer: Issuer
) -> None:
    alice = uuid4()
    async with open_client(gateway) as client:
        await client.authenticate(issuer.token(alice))
        await client.send("auth", token=issuer.token(uuid4()))
        assert (await client.receive())["code"] == "wrong_user"
        await client.send("auth", token="nonsense")
        assert (await client.receive())["code"] == "unauthenticated"
        await publish_feed(broker, alice, 1)
        assert numbers_of(await client.events(1)) == [1]


async def test_only_pages_of_the_public_origin_may_connect(start_gateway: StartGateway) -> None:
    async with start_gateway(public_origin="https://pay.example/") as gateway:
        for headers in ({}, {"Origin": "https://pay.example"}):
            async with open_client(gateway, additional_headers=headers):
                pass
        for origin in (
            "https://evil.example",
            "http://pay.example",
            "https://pay.example.evil.example",
            "null",
        ):
            with pytest.raises(InvalidStatus) as refused:
                await connect(
                    gateway.url.replace("http", "ws") + "/ws", additional_headers={"Origin": origin}
                )
            assert refused.value.response.status_code == 403
            assert b"origin_denied" in refused.value.response.body


async def test_connections_are_bounded_in_total(start_gateway: StartGateway) -> None:
    async with start_gateway(max_connections=1) as gateway:
        async with open_client(gateway):
            with pytest.raises(InvalidStatus) as refused:
                await connect(gateway.url.replace("http", "ws") + "/ws")
            assert refused.value.response.status_code == 503
            assert b"too_many_connections" in refused.value.response.body

        async def free() -> bool:
            return len(gateway.parts.hall.registry) == 0

        await eventually(free)
        async with open_client(gateway):
            pass


async def test_connections_are_bounded_per_user(start_gateway: StartGateway, issuer: Issuer) -> None:
    alice = uuid4()
    async with start_gateway(max_connections_per_user=1) as gateway, open_client(gateway) as first:
        await first.authenticate(issuer.token(alice))
        async with open_client(gateway) as second:
            await second.send("auth", token=issuer.token(alice))
            assert (await second.receive())["code"] == "too_many_connections"
            await assert_ended(second, "too_many_connections", POLICY_VIOLATION)
        async with open_client(gateway) as other:
            await other.authenticate(issuer.token(uuid4()))


async def test_strangers_are_bounded_per_address(start_gateway: StartGateway, issuer: Issuer) -> None:
    async with start_gateway(max_unauthenticated_per_address=1) as gateway, open_client(gateway) as first:
        with pytest.raises(InvalidStatus) as refused:
            await connect(gateway.url.replace("http", "ws") + "/ws")
        assert b"too_many_unauthenticated" in refused.value.response.body
        await first.authenticate(issuer.token(uuid4()))
        async with open_client(gateway):
            pass


BAD_FRAMES: tuple[str | bytes, ...] = (
    "",
    "nonsense",
    "[]",
    "{}",
    '{"type":"unknown"}',
    '{"type":"ping","more":1}',
    '{"type":"chat:message","id":"","text":"x"}',
    '{"type":"chat:message","id":"1","text":""}',
    '{"type":"chat:message","id":"1","text":"' + "x" * 2_001 + '"}',
    '{"type":"notification:read","ids":["x"]}',
    '{"type":"chat:message","id":"1","text":"' + "x" * 20_000 + '"}',
    b"\x00\x01",
    "\ud800".encode("utf-8", "surrogatepass").decode("utf-8", "replace"),
)


async def test_a_bad_frame_is_answered_and_harms_nothing(gateway: RunningService, issuer: Issuer) -> None:
    async with open_client(gateway) as client:
        await client.authenticate(issuer.token(uuid4()))
        for text in BAD_FRAMES:
            await client.socket.send(text)
            answer = await client.receive()
            assert (answer["type"], answer["code"]) == ("error", "bad_frame"), text
            assert answer["detail"]
        await client.send("ping")
        assert (await client.receive())["type"] == "pong"


async def test_frames_over_the_rate_are_not_read_and_too_many_end_the_session(
    start_gateway: StartGateway, issuer: Issuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sessions, "_now", lambda: 0.0)  # no time passes in which more were allowed
    async with (
        start_gateway(frames_per_second=2, max_refused_frames=5) as gateway,
        open_client(gateway) as client,
    ):
        for _ in range(9):
            await client.send("ping")
        kinds = [await client.receive() for _ in range(9)]
        assert [frame["type"] for frame in kinds[:4]] == ["pong"] * 4
        assert {frame["code"] for frame in kinds[4:]} == {"rate_limited"}
        assert 0 < kinds[4]["retry_after_seconds"] <= 0.5
        await client.send("ping")
        await assert_ended(client, "rate_limited", POLICY_VIOLATION)


async def test_a_frame_over_the_protocol_limit_closes_the_socket(gateway: RunningService) -> None:
    async with open_client(gateway) as client:
        await client.socket.send("x" * 70_000)
        await assert_closed(client, 1009)


async def test_a_slow_client_is_dropped_and_resumes_from_its_position(
    start_gateway: StartGateway, broker: Broker, issuer: Issuer
) -> None:
    alice, numbers = uuid4(), list(range(120))
    async with start_gateway(
        outbound_limit_frames=10, replay_page_messages=5, close_timeout_seconds=30
    ) as gateway:
        async with open_client(gateway, max_queue=1) as client, open_client(gateway) as quick:
            await client.authenticate(issuer.token(alice))
            await quick.authenticate(issuer.token(alice))
            reading = asyncio.create_task(quick.events(len(numbers)))
            # Nobody reads at the other end, so the buffers fill: 120 x 100 kB are beyond what they hold.
            await publish_feed(broker, alice, *numbers, size=100_000)
            assert numbers_of(await reading) == numbers
            received = [frame async for frame in frames_until_closed(client)]
        assert received[-1]["code"] == "slow_consumer"
        seen = received[:-1]
        assert 0 < len(seen) < len(numbers)
        async with open_client(gateway) as client:
            await client.authenticate(issuer.token(alice), seen[-1]["position"])
            missed = await client.events(len(numbers) - len(seen))
        assert numbers_of([*seen, *missed]) == numbers


async def frames_until_closed(client: Client) -> AsyncGenerator[dict[str, Any]]:
    """Yield all frames up to the end of the connection."""
    while True:
        try:
            yield await client.receive()
        except ConnectionClosed:
            return


async def test_a_client_that_reads_nothing_at_all_is_cut_off(
    start_gateway: StartGateway, broker: Broker, issuer: Issuer
) -> None:
    alice = uuid4()
    async with (
        start_gateway(outbound_limit_frames=10, close_timeout_seconds=0.2) as gateway,
        open_client(gateway, max_queue=1) as client,
    ):
        await client.authenticate(issuer.token(alice))
        await publish_feed(broker, alice, *range(120), size=100_000)

        async def gone() -> bool:
            return len(gateway.parts.hall.registry) == 0

        await eventually(gone)
        client.socket.transport.abort()


async def test_when_the_process_ends_each_session_is_told(
    start_gateway: StartGateway, broker: Broker, issuer: Issuer
) -> None:
    async with start_gateway(drain_seconds=0.2) as gateway:
        clients = [await stack_client(gateway, issuer.token(uuid4())) for _ in range(5)]
    for client in clients:
        await assert_ended(client, "draining", SERVICE_RESTART)
        await client.socket.close()


async def stack_client(gateway: RunningService, token: str) -> Client:
    """Connect and authenticate a client that outlives its gateway."""
    client = Client(await connect(gateway.url.replace("http", "ws") + "/ws"))
    await client.authenticate(token)
    return client


async def test_a_draining_gateway_admits_nobody_and_is_not_ready(gateway: RunningService) -> None:
    await gateway.parts.drain()
    with pytest.raises(InvalidStatus) as refused:
        await connect(gateway.url.replace("http", "ws") + "/ws")
    assert refused.value.response.status_code == 503
    assert (await gateway.http.get("/health/ready")).status_code == 503


async def test_sessions_are_counted(gateway: RunningService, issuer: Issuer) -> None:
    async def gauge() -> dict[str, float]:
        text = (await gateway.http.get("/metrics")).text
        lines = [line for line in text.splitlines() if line.startswith("snowrail_gateway_connections{")]
        return {line.split('"')[1]: float(line.rsplit(" ", 1)[1]) for line in lines}

    before = await gauge()
    async with open_client(gateway) as client, open_client(gateway):
        await client.authenticate(issuer.token(uuid4()))
        during = await gauge()
    assert during["authenticated"] == before.get("authenticated", 0) + 1
    assert during["unauthenticated"] == before.get("unauthenticated", 0) + 1

    async def as_before() -> bool:
        return await gauge() == {"authenticated": 0, "unauthenticated": 0}

    await eventually(as_before)


async def test_a_failure_of_ours_ends_one_session_with_a_word(
    gateway: RunningService, issuer: Issuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(*_: Any) -> None:
        raise RuntimeError("a defect")

    monkeypatch.setattr(Commands, "post", fail)
    async with open_client(gateway) as client, open_client(gateway) as other:
        await other.authenticate(issuer.token(uuid4()))
        await client.authenticate(issuer.token(uuid4()))
        await client.send("chat:message", id="1", text="/help")
        await assert_ended(client, "internal_error", INTERNAL_ERROR)
        await other.send("ping")
        assert (await other.receive())["type"] == "pong"
