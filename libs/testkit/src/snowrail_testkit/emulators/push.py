"""A push service (RFC 8030) with a browser behind it, which really decrypts what it is sent (RFC 8291).

It checks what real ones check: the application server's token (RFC 8292), TTL, the shape of a topic, and the
size. Messages with the topic of one that still waits take its place.
"""

import asyncio
import os
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any
from uuid import uuid4

import jwt
import orjson
from aiohttp import web
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from snowrail_testkit.emulators.holding import Hold, Holding

MAX_BODY_BYTES = 4_096
MAX_TOPIC_CHARACTERS = 32
_LATEST_HOURS = 24
_HEADER_BYTES = 21
_LAST_RECORD = 2


class PushMode(StrEnum):
    """What the service does with messages of a subscription."""

    NORMAL = "normal"
    GONE = "gone"
    RATE_LIMITED = "rate_limited"
    SERVER_ERROR = "server_error"
    REPLY_LOST = "reply_lost"
    """The message is taken; the connection breaks before the answer."""


@dataclass(frozen=True, slots=True)
class Pushed:
    """A message as the browser reads it."""

    data: Any
    ttl_seconds: int
    topic: str | None
    urgency: str | None


@dataclass
class Subscription:
    """A browser's subscription, with the keys that never leave the browser."""

    key: ec.EllipticCurvePrivateKey
    auth: bytes
    endpoint: str
    mode: PushMode = PushMode.NORMAL
    failures: int | None = None
    retry_after_seconds: int = 1
    attempts: int = 0
    waiting: list[Pushed] = field(default_factory=list[Pushed])

    def to_json(self) -> dict[str, Any]:
        """Return what `PushSubscription.toJSON()` gives."""
        return {
            "endpoint": self.endpoint,
            "expirationTime": None,
            "keys": {"p256dh": _encode(self._point), "auth": _encode(self.auth)},
        }

    @property
    def _point(self) -> bytes:
        return self.key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)

    def take_mode(self) -> PushMode:
        """Return the mode for one message, counting it down where it is bounded."""
        self.attempts += 1
        mode = self.mode
        if self.failures is not None:
            self.failures -= 1
            if self.failures <= 0:
                self.mode, self.failures = PushMode.NORMAL, None
        return mode

    def decrypt(self, body: bytes) -> bytes:
        """Return the plaintext of a single-record `aes128gcm` body.

        Raises:
            ValueError: it is not one, or not for this subscription.
        """
        salt, key_length = body[:16], body[20]
        sender_point = body[_HEADER_BYTES : _HEADER_BYTES + key_length]
        sender = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), sender_point)
        shared = self.key.exchange(ec.ECDH(), sender)
        info = b"WebPush: info\0" + self._point + sender_point
        secret = _hkdf(shared, self.auth, info, 32)
        content_key = _hkdf(secret, salt, b"Content-Encoding: aes128gcm\0", 16)
        nonce = _hkdf(secret, salt, b"Content-Encoding: nonce\0", 12)
        try:
            record = AESGCM(content_key).decrypt(nonce, body[_HEADER_BYTES + key_length :], None)
        except InvalidTag as error:
            raise ValueError("not encrypted for this subscription") from error
        text = record.rstrip(b"\0")
        if not text or text[-1] != _LAST_RECORD:
            raise ValueError("the record is not the last one")
        return text[:-1]


@dataclass
class PushService:
    """The service: subscriptions by the last segment of their endpoint.

    Attributes:
        answer_after_seconds: how long a message that was taken waits for its answer.
        hold: where messages are kept waiting for good.
    """

    url: str = ""
    answer_after_seconds: float = 0
    hold: Hold = field(default_factory=Hold)
    subscriptions: dict[str, Subscription] = field(default_factory=dict[str, Subscription])

    def subscribe(self) -> Subscription:
        """Return a new browser's subscription."""
        name = uuid4().hex
        subscription = Subscription(
            ec.generate_private_key(ec.SECP256R1()), os.urandom(16), f"{self.url}/push/{name}"
        )
        self.subscriptions[name] = subscription
        return subscription

    async def take(self, request: web.Request) -> web.StreamResponse:
        """Take one message."""
        subscription = self.subscriptions.get(request.match_info["name"])
        if subscription is None:
            return web.Response(status=404)
        body = await request.read()
        refusal = self._refusal(request, body)
        if refusal is not None:
            return refusal
        mode = subscription.take_mode()
        if mode is PushMode.GONE:
            return web.Response(status=410)
        if mode is PushMode.RATE_LIMITED:
            after = str(subscription.retry_after_seconds)
            return web.Response(status=429, headers={"Retry-After": after})
        if mode is PushMode.SERVER_ERROR:
            return web.Response(status=503)
        await self.hold.reach(Holding.BEFORE_TAKING)
        topic = request.headers.get("Topic")
        if topic is not None:
            subscription.waiting = [item for item in subscription.waiting if item.topic != topic]
        subscription.waiting.append(
            Pushed(
                orjson.loads(subscription.decrypt(body)),
                int(request.headers["TTL"]),
                topic,
                request.headers.get("Urgency"),
            )
        )
        await self.hold.reach(Holding.AFTER_TAKING)
        await asyncio.sleep(self.answer_after_seconds)
        if mode is PushMode.REPLY_LOST:
            assert request.transport is not None, "the request is being answered"
            request.transport.abort()
            await asyncio.sleep(0)
        return web.Response(status=201, headers={"Location": f"{self.url}/message/{uuid4().hex}"})

    def _refusal(self, request: web.Request, body: bytes) -> web.Response | None:
        if not request.headers.get("TTL", "").isdecimal():
            return web.Response(status=400, text="TTL is missing")
        if request.headers.get("Content-Encoding") != "aes128gcm":
            return web.Response(status=415)
        if len(request.headers.get("Topic", "")) > MAX_TOPIC_CHARACTERS:
            return web.Response(status=400, text="the topic is too long")
        if len(body) > MAX_BODY_BYTES:
            return web.Response(status=413)
        try:
            self._check_token(request.headers["Authorization"])
        except (KeyError, ValueError, jwt.PyJWTError) as error:
            return web.Response(status=403, text=f"{type(error).__name__}: {error}")
        return None

    def _check_token(self, header: str) -> None:
        scheme, _, rest = header.partition(" ")
        if scheme != "vapid":
            raise ValueError("not the vapid scheme")
        fields = dict(item.strip().split("=", 1) for item in rest.split(","))
        point = urlsafe_b64decode(fields["k"] + "=" * (-len(fields["k"]) % 4))
        key = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), point)
        claims = jwt.decode(
            fields["t"], key, algorithms=["ES256"], audience=self.url, options={"verify_exp": False}
        )
        if not claims["sub"].startswith(("mailto:", "https:")):
            raise ValueError("the subject is no way to reach anybody")
        lifetime = claims["exp"] - datetime.now(UTC).timestamp()
        if lifetime > _LATEST_HOURS * 3_600 + 60:
            raise ValueError("the token lives too long")


@asynccontextmanager
async def running_push_service() -> AsyncGenerator[PushService]:
    """Run a push service on a free port until the block ends."""
    service = PushService()
    app = web.Application()
    app.router.add_post("/push/{name}", service.take)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.5)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        service.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        yield service
    finally:
        await runner.cleanup()


def _hkdf(secret: bytes, salt: bytes, info: bytes, length: int) -> bytes:
    return HKDF(algorithm=SHA256(), length=length, salt=salt, info=info).derive(secret)


def _encode(value: bytes) -> str:
    return urlsafe_b64encode(value).decode().rstrip("=")
