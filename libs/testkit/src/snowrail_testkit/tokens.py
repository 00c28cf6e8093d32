"""Access tokens that a service of a test believes, signed as accounts signs them."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from uuid import UUID, uuid4

import jwt
import orjson
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from jwt.algorithms import OKPAlgorithm

from snowrail_kit.auth import Identity, identity_claims

KEY_ID = "test"
USUAL_LIFETIME = timedelta(minutes=15)


@dataclass(frozen=True)
class TokenIssuer:
    """Signs access tokens.

    Attributes:
        jwks_file: to be given to services as `jwt_public_keys_file`.
    """

    key: Ed25519PrivateKey
    jwks_file: Path

    @classmethod
    def create(cls, folder: Path) -> "TokenIssuer":
        """Make a key, and write its public half into a folder."""
        key = Ed25519PrivateKey.generate()
        public = OKPAlgorithm.to_jwk(key.public_key(), as_dict=True)
        file = folder / "jwks.json"
        file.write_bytes(orjson.dumps({"keys": [{**public, "kid": KEY_ID, "alg": "EdDSA", "use": "sig"}]}))
        return cls(key, file)

    def headers(
        self,
        now: datetime,
        user_id: UUID,
        *,
        handle: str = "alice",
        address: str = "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266",
        roles: Collection[str] = ("user",),
    ) -> dict[str, str]:
        """Return the headers of a request by a user, valid for a quarter of an hour from `now`."""
        identity = Identity(
            user_id, handle, address, frozenset(roles), uuid4(), uuid4(), expires_at=now + USUAL_LIFETIME
        )
        claims = identity_claims(identity, now)
        token = jwt.encode(claims, self.key, algorithm="EdDSA", headers={"kid": KEY_ID})
        return {"Authorization": f"Bearer {token}"}
