"""The key that signs access tokens, and the public keys that verify them."""

import base64
import hashlib
from datetime import datetime
from pathlib import Path
from typing import Any

import jwt
import orjson
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from jwt.algorithms import OKPAlgorithm

from snowrail_kit.auth import Identity, identity_claims

_ALGORITHM = "EdDSA"


class KeyMismatch(RuntimeError):
    """The public half of the signing key is not among the keys that services verify with."""


class SigningKey:
    """Signs access tokens with Ed25519; its key id is its RFC 7638 thumbprint."""

    def __init__(self, private: Ed25519PrivateKey) -> None:
        self._private = private
        public = OKPAlgorithm.to_jwk(private.public_key(), as_dict=True)
        self._members = {name: str(public[name]) for name in ("crv", "kty", "x")}
        digest = hashlib.sha256(orjson.dumps(self._members, option=orjson.OPT_SORT_KEYS)).digest()
        self.key_id = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()

    @classmethod
    def from_file(cls, path: Path) -> "SigningKey":
        """Load a PEM file. Raises OSError, or ValueError when it holds no Ed25519 private key."""
        private = load_pem_private_key(path.read_bytes(), password=None)
        if not isinstance(private, Ed25519PrivateKey):
            raise ValueError(f"{path} does not hold an Ed25519 key")
        return cls(private)

    @property
    def public(self) -> dict[str, str]:
        """The public half as a JSON Web Key."""
        return {**self._members, "alg": _ALGORITHM, "use": "sig", "kid": self.key_id}

    def sign(self, identity: Identity, now: datetime) -> str:
        """Return an access token for an identity."""
        return jwt.encode(
            identity_claims(identity, now), self._private, algorithm=_ALGORITHM, headers={"kid": self.key_id}
        )


def published_keys(signing_key: SigningKey, verifying_keys_file: Path | None) -> dict[str, Any]:
    """Return the JSON Web Key Set to publish: the keys that services verify with, ours among them.

    Args:
        verifying_keys_file: the JWKS that every service reads; it may hold former keys as well.

    Raises:
        KeyMismatch: the file does not hold the public half of our key.
        OSError, ValueError: it cannot be read.
    """
    if verifying_keys_file is None:
        return {"keys": [signing_key.public]}
    keys: list[dict[str, Any]] = orjson.loads(verifying_keys_file.read_bytes())["keys"]
    if not any(
        key.get("kid") == signing_key.key_id and key.get("x") == signing_key.public["x"] for key in keys
    ):
        raise KeyMismatch(
            f"{verifying_keys_file} does not hold the key {signing_key.key_id} that tokens are signed with"
        )
    return {"keys": keys}
