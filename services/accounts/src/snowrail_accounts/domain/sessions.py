"""Sessions: a family of refresh tokens, each used once; a second use ends the family."""

import hashlib
import ipaddress
from base64 import urlsafe_b64encode
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum

REFRESH_TOKEN_BYTES = 32
_IPV6_SITE_BITS = 64


class RefreshOutcome(Enum):
    """What presenting a refresh token leads to."""

    ROTATED = "rotated"
    UNKNOWN = "unknown"
    REUSED = "reused"
    EXPIRED = "expired"
    ENDED = "ended"


@dataclass(frozen=True, slots=True)
class RefreshState:
    """A refresh token as stored, and the session it belongs to."""

    used_at: datetime | None
    expires_at: datetime
    session_ended_at: datetime | None
    session_expires_at: datetime


def decide_refresh(state: RefreshState | None, now: datetime) -> RefreshOutcome:
    """Return what follows from a refresh token that was presented.

    A used token means that two parties hold it, one of them a thief; who is who cannot be told, so both have
    to sign in again (RFC 9700, section 4.14.2).
    """
    if state is None:
        return RefreshOutcome.UNKNOWN
    if state.session_ended_at is not None:
        return RefreshOutcome.ENDED
    if state.used_at is not None:
        return RefreshOutcome.REUSED
    if now >= min(state.expires_at, state.session_expires_at):
        return RefreshOutcome.EXPIRED
    return RefreshOutcome.ROTATED


def refresh_token_expiry(now: datetime, idle_lifetime: timedelta, session_expires_at: datetime) -> datetime:
    """Return until when a new refresh token may be used: never beyond its session."""
    return min(now + idle_lifetime, session_expires_at)


def encode_token(randomness: bytes) -> str:
    """Return random bytes as the token that a client keeps."""
    return urlsafe_b64encode(randomness).decode().rstrip("=")


def token_hash(token: str) -> bytes:
    """Return what is stored of a token: its SHA-256. The token has 256 random bits, so no salt is needed."""
    return hashlib.sha256(token.encode()).digest()


def network_key(host: str) -> str:
    """Return the network address that attempts are counted under: an IPv6 site counts as one.

    Anything that is not an IP address counts under its own text.
    """
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return host[:64]
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:
            return str(address.ipv4_mapped)
        return str(ipaddress.IPv6Network((address, _IPV6_SITE_BITS), strict=False))
    return str(address)
