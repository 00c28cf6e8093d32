"""Addresses at rest, and links that only we can make: keys derived from the one secret of the channels."""

import hashlib
import hmac
import os
from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error as Base64Error
from uuid import UUID

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

_NONCE_BYTES = 12
_MAC_BYTES = 16


class Unsealable(ValueError):
    """Not sealed with this key for this contact, or altered since."""


class Sealing:
    """Seals addresses (AES-256-GCM), hashes them for look-up, and signs tokens (HMAC-SHA-256).

    Args:
        secret: at least 32 unpredictable characters.
    """

    def __init__(self, secret: str) -> None:
        self._cipher = AESGCM(_derive(secret, b"seal"))
        self._lookup_key = _derive(secret, b"lookup")
        self._token_key = _derive(secret, b"token")
        self.webhook_secret = _derive(secret, b"telegram webhook").hex()
        """What the provider of the webhook sends along to prove itself."""

    def seal(self, contact_id: UUID, address: str) -> bytes:
        """Return an address as it is stored."""
        nonce = os.urandom(_NONCE_BYTES)
        return nonce + self._cipher.encrypt(nonce, address.encode(), contact_id.bytes)

    def unseal(self, contact_id: UUID, sealed: bytes) -> str:
        """Return a stored address. Raises Unsealable."""
        try:
            return self._cipher.decrypt(
                sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], contact_id.bytes
            ).decode()
        except (InvalidTag, ValueError) as error:
            raise Unsealable("the address cannot be read with this secret") from error

    def lookup(self, channel: str, address: str) -> bytes:
        """Return by what an address is found again without being readable."""
        return _mac(self._lookup_key, channel.encode(), address.encode())

    def sign(self, purpose: str, payload: bytes) -> str:
        """Return a token of letters, digits, `-` and `_` that carries a payload for one purpose."""
        signature = _mac(self._token_key, purpose.encode(), payload)[:_MAC_BYTES]
        return urlsafe_b64encode(payload + signature).decode().rstrip("=")

    def verify(self, purpose: str, token: str) -> bytes | None:
        """Return the payload of a token that was signed for this purpose; None for any other text."""
        try:
            raw = urlsafe_b64decode(token + "=" * (-len(token) % 4))
        except (Base64Error, ValueError):
            return None
        payload, signature = raw[:-_MAC_BYTES], raw[-_MAC_BYTES:]
        expected = _mac(self._token_key, purpose.encode(), payload)[:_MAC_BYTES]
        return payload if hmac.compare_digest(signature, expected) else None


def _derive(secret: str, purpose: bytes) -> bytes:
    derivation = HKDF(algorithm=SHA256(), length=32, salt=None, info=b"snowrail notification " + purpose)
    return derivation.derive(secret.encode())


def _mac(key: bytes, *parts: bytes) -> bytes:
    return hmac.new(key, b"\0".join(parts), hashlib.sha256).digest()
