"""Who is calling: short-lived access tokens, signed by accounts with Ed25519 and verified everywhere."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any
from uuid import UUID

import jwt
import orjson
from fastapi import Depends, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from snowrail_kit.problems import Problem

ISSUER = "snowrail-accounts"
AUDIENCE = "snowrail"
_ALGORITHM = "EdDSA"
_LEEWAY_SECONDS = 5


@dataclass(frozen=True, slots=True)
class Identity:
    """The authenticated caller, as the access token states it.

    Attributes:
        address: EIP-55 address of the wallet that signed in.
        roles: `user`, `business`, `merchant`, `admin`.
        expires_at: when the token stops being accepted.
    """

    user_id: UUID
    handle: str
    address: str
    roles: frozenset[str]
    device_id: UUID
    session_id: UUID
    expires_at: datetime


class InvalidToken(Exception):
    """The token is malformed, expired, or not signed by a known key."""


class TokenVerifier:
    """Verifies access tokens against a JWKS file."""

    def __init__(self, keys: dict[str, Any]) -> None:
        self._keys = keys

    @classmethod
    def from_file(cls, path: Path) -> "TokenVerifier":
        """Load the public keys. Raises OSError or ValueError when the file is missing or not a JWKS."""
        jwks = jwt.PyJWKSet.from_dict(orjson.loads(path.read_bytes()))
        return cls({str(key.key_id): key.key for key in jwks.keys})

    def verify(self, token: str, now: datetime) -> Identity:
        """Return who the token says it is.

        Raises:
            InvalidToken: not acceptable; the message says why without repeating the token.
        """
        try:
            key = self._keys[str(jwt.get_unverified_header(token).get("kid"))]
            claims = jwt.decode(
                token,
                key,
                algorithms=[_ALGORITHM],
                audience=AUDIENCE,
                issuer=ISSUER,
                options={
                    "require": ["exp", "sub"],
                    "verify_exp": False,
                    "verify_iat": False,
                    "verify_nbf": False,
                },
            )
            expires_at = datetime.fromtimestamp(claims["exp"], tz=now.tzinfo)
            if (now - expires_at).total_seconds() > _LEEWAY_SECONDS:
                raise InvalidToken("the access token has expired; refresh it")
            return Identity(
                user_id=UUID(claims["sub"]),
                handle=claims["handle"],
                address=claims["address"],
                roles=frozenset(claims["roles"]),
                device_id=UUID(claims["device"]),
                session_id=UUID(claims["session"]),
                expires_at=expires_at,
            )
        except (jwt.PyJWTError, KeyError, ValueError, TypeError) as error:
            raise InvalidToken("the access token is not valid; sign in again") from error


def identity_claims(identity: Identity, issued_at: datetime) -> dict[str, Any]:
    """Return the claims of an access token for an identity."""
    return {
        "iss": ISSUER,
        "aud": AUDIENCE,
        "sub": str(identity.user_id),
        "handle": identity.handle,
        "address": identity.address,
        "roles": sorted(identity.roles),
        "device": str(identity.device_id),
        "session": str(identity.session_id),
        "iat": int(issued_at.timestamp()),
        "exp": int(identity.expires_at.timestamp()),
    }


_bearer = HTTPBearer(auto_error=False, description="Access token from POST /auth/wallet")


def current_identity(
    request: Request, credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)]
) -> Identity:
    """FastAPI dependency: the caller. Raises a 401 problem when there is no valid token."""
    if credentials is None:
        raise Problem(
            401,
            "unauthenticated",
            "Send an access token: Authorization: Bearer <token>.",
            headers={"WWW-Authenticate": "Bearer"},
        )
    runtime = request.app.state.runtime
    if runtime.verifier is None:
        raise Problem(503, "unavailable", "This service has no keys to verify tokens with.")
    try:
        return runtime.verifier.verify(credentials.credentials, runtime.clock.now())
    except InvalidToken as error:
        raise Problem(
            401,
            "unauthenticated",
            f"{error}."[0].upper() + f"{error}."[1:],
            headers={"WWW-Authenticate": "Bearer"},
        ) from error


CurrentIdentity = Annotated[Identity, Depends(current_identity)]


def require_role(*roles: str) -> Callable[[Identity], Identity]:
    """Return a FastAPI dependency that admits callers with any of these roles. Raises a 403 problem."""

    def check(identity: CurrentIdentity) -> Identity:
        if identity.roles.isdisjoint(roles):
            raise Problem(403, "role_required", f"This needs the role {' or '.join(roles)}.")
        return identity

    return check
