"""Settings of the gateway."""

from pydantic import Field

from snowrail_kit.settings import ServiceSettings


def _local_upstreams() -> dict[str, str]:
    ports = {
        "accounts": 8101,
        "chat": 8102,
        "intent": 8103,
        "payment-orchestrator": 8104,
        "fraud": 8105,
        "routing": 8106,
        "settlement": 8107,
        "chain-monitor": 8108,
        "notification": 8109,
        "rates": 8110,
    }
    return {service: f"http://127.0.0.1:{port}" for service, port in ports.items()}


class Settings(ServiceSettings):
    """What bounds the gateway, and where the services are that it passes requests on to."""

    http_body_limit_bytes: int = Field(default=4_000_000, ge=1_024, le=64 * 1024 * 1024)

    upstreams: dict[str, str] = Field(default_factory=_local_upstreams)
    """Base URL of each service behind the public origin, as JSON; the default is a local stack."""
    upstream_connect_timeout_seconds: float = Field(default=2, gt=0, le=60)
    upstream_answer_timeout_seconds: float = Field(default=70, gt=0, le=600)

    address_requests_per_minute: int = Field(default=100, ge=1)
    """HTTP requests of one client address."""
    address_handshakes_per_minute: int = Field(default=1_000, ge=1)
    """WebSocket handshakes of one client address; whole offices come back at once after a restart."""
    webhook_requests_per_minute: int = Field(default=3_000, ge=1)
    """Calls of providers' webhooks from one client address; a provider has few of them, for all its users."""
    user_requests_per_hour: int = Field(default=1_000, ge=1)
    """HTTP requests of one signed-in user."""
    rate_limit_keys: int = Field(default=50_000, ge=1)
    """Addresses and users remembered; beyond them the one that was quiet longest is forgotten."""

    max_connections: int = Field(default=12_000, ge=1)
    max_connections_per_user: int = Field(default=20, ge=1)
    """WebSockets and long polls of one user."""
    max_unauthenticated_per_address: int = Field(default=200, ge=1)
    """WebSockets of one client address that have not said who they are yet."""
    authentication_timeout_seconds: float = Field(default=10, gt=0, le=60)
    max_frame_bytes: int = Field(default=16_384, ge=1_024, le=65_536)
    frames_per_second: float = Field(default=20, gt=0)
    """Of one connection, with a burst of twice as many."""
    max_refused_frames: int = Field(default=100, ge=1)
    """Frames over the rate in a row after which the connection is closed."""
    outbound_limit_frames: int = Field(default=1_000, ge=10)
    outbound_limit_bytes: int = Field(default=1_048_576, ge=65_536)
    close_timeout_seconds: float = Field(default=5, gt=0, le=60)
    """How long a client may take to read what is left before its connection ends."""
    drain_seconds: float = Field(default=2, ge=0, le=60)
    """Time over which the sessions are closed when the process is asked to end."""

    recent_messages: int = Field(default=20_000, ge=1)
    recent_bytes: int = Field(default=32 * 1024 * 1024, ge=1)
    replay_page_messages: int = Field(default=100, ge=1, le=500)
    replay_limit_messages: int = Field(default=1_000, ge=1)
    """Most messages replayed from the broker to a client that comes back; one that missed more reloads."""
    publish_waiting_messages: int = Field(default=10_000, ge=1)
