"""Web push: RFC 8030 (protocol), RFC 8291 (encryption), RFC 8292 (who we are)."""

import asyncio
import hashlib
import os
from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error as Base64Error
from datetime import timedelta
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import jwt
import orjson
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

from snowrail_kit.clock import Clock
from snowrail_notification.channels.sending import Outgoing, Result, not_now, unknown
from snowrail_notification.domain.catalogue import Priority
from snowrail_notification.domain.deliveries import Ended

_TOKEN_LIFETIME = timedelta(hours=12)
_TTL_SECONDS = {
    Priority.LOW: 4 * 3_600,
    Priority.MEDIUM: 12 * 3_600,
    Priority.HIGH: 24 * 3_600,
    Priority.CRITICAL: 72 * 3_600,
}
_URGENCY = {
    Priority.LOW: "low",
    Priority.MEDIUM: "normal",
    Priority.HIGH: "high",
    Priority.CRITICAL: "high",
}
_MAX_PAYLOAD_BYTES = 3_800
"""Push services take 4,096 bytes, of which encryption needs about a hundred."""
_MAX_MESSAGE_CHARACTERS = 1_000
_SALT_BYTES = 16
_RECORD_BYTES = 4_096
_LAST_RECORD = b"\2"
_AUTH_BYTES = 16
_POINT_BYTES = 65


class BadSubscription(ValueError):
    """Not a subscription to a push service that is believed to be one."""


class VapidKey:
    """The key by which push services know us."""

    def __init__(self, pem: str, subject: str) -> None:
        key = load_pem_private_key(pem.encode(), password=None)
        if not isinstance(key, ec.EllipticCurvePrivateKey) or not isinstance(key.curve, ec.SECP256R1):
            raise ValueError("the VAPID key has to be a P-256 private key")
        self._key = key
        self._subject = subject
        point = key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
        self.public = urlsafe_b64encode(point).decode().rstrip("=")
        """The application server key that browsers subscribe with."""

    def authorization(self, endpoint: str, expires_at: int) -> str:
        """Return the `Authorization` header for an endpoint."""
        parts = urlsplit(endpoint)
        claims = {"aud": f"{parts.scheme}://{parts.netloc}", "exp": expires_at, "sub": self._subject}
        return f"vapid t={jwt.encode(claims, self._key, algorithm='ES256')}, k={self.public}"


def check_subscription(
    endpoint: str, public_key: str, secret: str, hosts: tuple[str, ...], over_http: bool
) -> str:
    """Return a browser's subscription as it is stored.

    The browser names the address that we then post to: only known push services are such.

    Raises:
        BadSubscription: the message says what is wrong.
    """
    parts = urlsplit(endpoint)
    host = (parts.hostname or "").lower()
    if parts.scheme != "https" and not (over_http and parts.scheme == "http"):
        raise BadSubscription("the endpoint has to be an https address")
    if not any(host == name or host.endswith(f".{name}") for name in hosts) or parts.username is not None:
        raise BadSubscription("the endpoint is none of the push services known here")
    try:
        point, auth = _decode(public_key), _decode(secret)
        ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), point)
    except (Base64Error, ValueError) as error:
        raise BadSubscription("the keys cannot be read") from error
    if len(point) != _POINT_BYTES or len(auth) != _AUTH_BYTES:
        raise BadSubscription("the keys have the wrong length")
    return orjson.dumps({"endpoint": endpoint, "p256dh": public_key, "auth": secret}).decode()


class WebPushSender:
    """Posts encrypted messages to push services. Redirects are not followed."""

    def __init__(
        self, http: aiohttp.ClientSession, key: VapidKey, clock: Clock, timeout_seconds: float
    ) -> None:
        self._http = http
        self._key = key
        self._clock = clock
        self._timeout_seconds = timeout_seconds

    async def send(self, outgoing: Outgoing) -> Result:
        """Hand a message over; the topic lets a repetition replace what was not delivered yet."""
        subscription: dict[str, str] = orjson.loads(outgoing.address)
        now = self._clock.now()
        headers = {
            "Authorization": self._key.authorization(
                subscription["endpoint"], int((now + _TOKEN_LIFETIME).timestamp())
            ),
            "Content-Encoding": "aes128gcm",
            "Content-Type": "application/octet-stream",
            "TTL": str(_TTL_SECONDS[outgoing.priority]),
            "Urgency": _URGENCY[outgoing.priority],
            "Topic": topic(outgoing),
        }
        body = encrypt(
            payload(outgoing),
            _decode(subscription["p256dh"]),
            _decode(subscription["auth"]),
            ec.generate_private_key(ec.SECP256R1()),
            os.urandom(_SALT_BYTES),
        )
        try:
            async with (
                asyncio.timeout(self._timeout_seconds),
                self._http.post(
                    subscription["endpoint"], data=body, headers=headers, allow_redirects=False
                ) as answer,
            ):
                return self._read(answer)
        except aiohttp.ClientConnectorError as error:
            return not_now(error)
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            return unknown(error)

    def _read(self, answer: aiohttp.ClientResponse) -> Result:
        status = answer.status
        if 200 <= status < 300:
            return Result(Ended.ACCEPTED, reference=answer.headers.get("Location"))
        if status in (404, 410):
            return Result(Ended.GONE, f"HTTP {status}")
        retry_after = retry_after_of(answer.headers.get("Retry-After"), self._clock)
        if status == 429 or status >= 500:
            return Result(Ended.NOT_NOW, f"HTTP {status}", retry_after=retry_after)
        return Result(Ended.REFUSED, f"HTTP {status}")


def encrypt(
    text: bytes, browser_point: bytes, secret: bytes, key: ec.EllipticCurvePrivateKey, salt: bytes
) -> bytes:
    """Return a text as one `aes128gcm` record for a browser (RFC 8188, 2; RFC 8291, 3.4).

    Args:
        browser_point: public key of the subscription, 65 bytes.
        secret: authentication secret of the subscription, 16 bytes.
        key, salt: made for this message alone.
    """
    browser = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), browser_point)
    own_point = key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    shared = key.exchange(ec.ECDH(), browser)
    keying = _hkdf(shared, secret, b"WebPush: info\0" + browser_point + own_point, 32)
    content_key = _hkdf(keying, salt, b"Content-Encoding: aes128gcm\0", 16)
    nonce = _hkdf(keying, salt, b"Content-Encoding: nonce\0", 12)
    header = salt + _RECORD_BYTES.to_bytes(4, "big") + bytes((len(own_point),)) + own_point
    return header + AESGCM(content_key).encrypt(nonce, text + _LAST_RECORD, None)


def topic(outgoing: Outgoing) -> str:
    """Return the topic of a message, the same for each attempt (at most 32 characters, RFC 8030, 5.4)."""
    digest = hashlib.sha256(outgoing.message_id.bytes).digest()[:24]
    return urlsafe_b64encode(digest).decode()


def payload(outgoing: Outgoing) -> bytes:
    """Return what the browser shows: the notification without its data, cut to what push services take."""
    content = outgoing.content
    shown: dict[str, Any] = {
        "id": str(outgoing.message_id),
        "type": content.get("type", ""),
        "title": content["title"],
        "message": content["message"][:_MAX_MESSAGE_CHARACTERS],
        "priority": outgoing.priority.value,
        "actions": content.get("actions", []),
    }
    body = orjson.dumps(shown)
    if len(body) > _MAX_PAYLOAD_BYTES:
        body = orjson.dumps({**shown, "actions": [], "message": content["message"][:200]})
    return body


def retry_after_of(header: str | None, clock: Clock) -> timedelta | None:
    """Return the pause that `Retry-After` asks for: seconds or a date (RFC 9110, 10.2.3)."""
    if header is None:
        return None
    if header.isascii() and header.isdecimal():
        return timedelta(seconds=min(int(header), 86_400))
    try:
        return max(timedelta(0), min(parsedate_to_datetime(header) - clock.now(), timedelta(days=1)))
    except (ValueError, TypeError):
        return None


def _hkdf(secret: bytes, salt: bytes, info: bytes, length: int) -> bytes:
    return HKDF(algorithm=SHA256(), length=length, salt=salt, info=info).derive(secret)


def _decode(text: str) -> bytes:
    return urlsafe_b64decode(text + "=" * (-len(text) % 4))
