"""Tokens that the gateways of these tests believe, a client of their WebSocket, and feed events."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import jwt
import orjson
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from websockets.asyncio.client import ClientConnection, connect

from snowrail_events import FeedEventV1
from snowrail_kit.auth import Identity, identity_claims
from snowrail_testkit import Broker, RunningService, eventually

KEY_ID = "test"
ANSWER_TIMEOUT_SECONDS = 30.0

StartGateway = Callable[..., AbstractAsyncContextManager[RunningService]]


@dataclass(frozen=True)
class Issuer:
    """Signs access tokens as accounts does."""

    key: Ed25519PrivateKey
    jwks_file: Path

    def token(
        self, user_id: UUID, *, lifetime_seconds: float = 900, roles: tuple[str, ...] = ("user",)
    ) -> str:
        """Return an access token of a user."""
        now = datetime.now(UTC)
        identity = Identity(
            user_id=user_id,
            handle="alice",
            address="0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266",
            roles=frozenset(roles),
            device_id=uuid4(),
            session_id=uuid4(),
            expires_at=now + timedelta(seconds=lifetime_seconds),
        )
        claims = identity_claims(identity, now)
        return jwt.encode(claims, self.key, algorithm="EdDSA", headers={"kid": KEY_ID})


@dataclass
class Client:
    """A bare client of the WebSocket, which sees every frame."""

    socket: ClientConnection
    frames: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])

    async def send(self, kind: str, **members: Any) -> None:
        """Send a frame."""
        await self.socket.send(orjson.dumps({"type": kind, **members}).decode())

    async def receive(self) -> dict[str, Any]:
        """Return the next frame. Raises ConnectionClosed or TimeoutError."""
        async with asyncio.timeout(ANSWER_TIMEOUT_SECONDS):
            frame = orjson.loads(await self.socket.recv())
        self.frames.append(frame)
        return frame

    async def until(self, kind: str) -> dict[str, Any]:
        """Return the next frame of a type; those before it are kept in `frames`."""
        while (frame := await self.receive())["type"] != kind:
            pass
        return frame

    async def authenticate(self, token: str, position: str | None = None) -> dict[str, Any]:
        """Authenticate and return the answer."""
        await self.send("auth", token=token, position=position)
        return await self.until("auth:success")

    async def events(self, count: int) -> list[dict[str, Any]]:
        """Return the next events of the feed."""
        return [await self.receive() for _ in range(count)]


@asynccontextmanager
async def open_client(gateway: RunningService, **options: Any) -> AsyncGenerator[Client]:
    """Connect a client, whose first frame has been read."""
    url = gateway.url.replace("http", "ws") + "/ws"
    async with connect(url, compression=None, **options) as socket:
        client = Client(socket)
        assert (await client.receive())["type"] == "connect"
        yield client


async def until_live(gateway: RunningService) -> None:
    """Wait until a gateway hears the feed."""

    async def live() -> bool:
        return (await gateway.http.get("/health/ready")).status_code == 200

    await eventually(live)


async def heard(gateway: RunningService, sequence: int) -> None:
    """Wait until a gateway has read the feed as far as a message."""

    async def is_read() -> bool:
        return gateway.parts.hall.feed.recent.last >= sequence

    await eventually(is_read)


def feed_event(user_id: UUID, number: int = 0, name: str = "notification", size: int = 0) -> FeedEventV1:
    """Return an event of a user's feed."""
    return FeedEventV1(
        user_id=user_id,
        event_id=uuid4(),
        name=name,
        data={"number": number, "filler": "x" * size},
        occurred_at=datetime.now(UTC),
    )


async def publish_feed(broker: Broker, user_id: UUID, *numbers: int, size: int = 0) -> None:
    """Publish events of a user's feed, in order."""
    for number in numbers:
        await broker.probe.publish(feed_event(user_id, number, size=size))


def numbers_of(events: list[dict[str, Any]]) -> list[int]:
    """Return the numbers that `publish_feed` gave to events."""
    return [event["data"]["number"] for event in events]


async def purge_feed(broker: Broker, keep: int) -> None:
    """Remove all but the newest messages of the feed stream, as their age would."""
    # The stream forbids purging, so it is allowed fewer messages for a moment.
    jetstream = broker.probe.client.jetstream()
    config = (await jetstream.stream_info("FEED")).config
    await jetstream.update_stream(replace(config, max_msgs=keep))
    await jetstream.update_stream(config)
