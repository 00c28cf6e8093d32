"""The paths of the one public origin and the service that answers each.

The edge (`deploy/edge/Caddyfile`), the ingress of `k8s/` and the gateway of a local stack all follow this
table, and tests run each of them against it.
"""

from dataclasses import dataclass

from snowrail_delivery.catalogue import SERVICES


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


NOT_PUBLIC = ("metrics", "health")
"""Routes of every service that only the platform itself may call."""

ROUTES = (
    *(Route(f"/api/{service.name}", service.name, "") for service in SERVICES if service.name != "gateway"),
    Route("/api/auth", "accounts", "/auth"),
    Route("/api/user", "accounts", "/user"),
    Route("/api/intents", "intent", "/intents"),
    Route("/api/stats", "intent", "/stats"),
    Route("", "gateway", ""),
)


def resolve(path: str) -> tuple[str, str] | None:
    """The service and the path it sees for a public path, or None where the public has no business.

    Args:
        path: an absolute path, decoded and without empty or dot segments.
    """
    segments = path.split("/")[1:]
    within_service = segments[2:] if segments[0] == "api" else segments
    if within_service and within_service[0] in NOT_PUBLIC:
        return None
    for route in ROUTES:
        if path == route.prefix or path.startswith(route.prefix + "/"):
            return route.service, (route.internal_prefix + path.removeprefix(route.prefix)) or "/"
    raise ValueError(f"not an absolute path: {path}")
