"""The paths of the one public origin and the service that answers each: data, and how it is read.

The only table of its kind: what stands in front of the gateways sends every path to them.
"""

import re
from dataclasses import dataclass
from urllib.parse import quote, unquote_to_bytes

SERVICES = (
    "accounts",
    "chat",
    "intent",
    "payment-orchestrator",
    "fraud",
    "routing",
    "settlement",
    "chain-monitor",
    "notification",
    "rates",
)
"""Services with an HTTP API of their own below `/api/<name>`."""

WEBHOOKS = ("/api/telegram/webhook",)
"""Paths that providers call, who prove themselves to the service."""

NOT_PUBLIC = ("internal", "metrics", "health")
"""First segments of every service's paths that only the platform itself may call."""


@dataclass(frozen=True)
class Route:
    """One subtree of the public origin.

    Attributes:
        prefix: first segments of the public path, without a trailing slash; "" is everything else.
        service: name of the service that answers.
        internal_prefix: what stands in its place in the path that the service sees.
    """

    prefix: str
    service: str
    internal_prefix: str


ROUTES = (
    *(Route(f"/api/{service}", service, "") for service in SERVICES),
    Route("/api/auth", "accounts", "/auth"),
    Route("/api/user/balance", "chain-monitor", "/user/balance"),
    Route("/api/user/history", "payment-orchestrator", "/user/history"),
    Route("/api/user", "accounts", "/user"),
    Route("/api/intents", "intent", "/intents"),
    Route("/api/stats", "intent", "/stats"),
    Route("/api/telegram", "notification", "/telegram"),
    Route("/chat", "chat", "/messages"),
    Route("/pay", "intent", "/pay"),
    Route("/fraud", "fraud", "/fraud"),
    Route("/route", "routing", "/route"),
    Route("", "gateway", ""),
)
"""The first route whose prefix fits decides."""

_UNSAFE = re.compile(r"[\x00-\x1f\x7f\\]")
_UNRESERVED_IN_PATH = "/!$&'()*+,;=:@~"


class BadPath(ValueError):
    """A path that services could read in different ways."""


def public_path(raw_path: bytes) -> str:
    """Return a request's path decoded.

    Raises:
        BadPath: it has empty or dot segments, an encoded slash, or is no UTF-8.
    """
    try:
        path = unquote_to_bytes(raw_path).decode()
    except UnicodeDecodeError as error:
        raise BadPath("the path is not UTF-8") from error
    if path.count("/") != raw_path.count(b"/") or _UNSAFE.search(path):
        raise BadPath("the path holds an encoded slash or a control character")
    segments = path.split("/")[1:]
    if any(segment in (".", "..") for segment in segments) or "" in segments[:-1]:
        raise BadPath("the path has an empty segment or one of dots")
    return path


def resolve(path: str) -> tuple[str, str] | None:
    """Return the service and the path it sees for a public path; None where the public has no business.

    Args:
        path: an absolute path, decoded and without empty or dot segments.

    Raises:
        ValueError: the path is not absolute.
    """
    segments = path.split("/")[1:]
    within_service = segments[2:] if segments[:1] == ["api"] else segments
    if within_service and within_service[0].lower() in NOT_PUBLIC:
        return None
    for route in ROUTES:
        if path == route.prefix or path.startswith(route.prefix + "/"):
            return route.service, (route.internal_prefix + path.removeprefix(route.prefix)) or "/"
    raise ValueError(f"not an absolute path: {path}")


def encode_path(path: str) -> str:
    """Return a decoded path as it is written in a request."""
    return quote(path, safe=_UNRESERVED_IN_PATH)
