"""Settings every service has. Read from the environment once, checked before anything starts."""

from enum import StrEnum
from pathlib import Path

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

_SECRETS_FOLDER = Path("/run/secrets/snowrail")


class Environment(StrEnum):
    """Where a process runs."""

    LOCAL = "local"
    DEVELOPMENT = "development"
    STAGING = "staging"
    PRODUCTION = "production"


class ServiceSettings(BaseSettings):
    """Common settings, each read from `SNOWRAIL_<NAME>` or from a mounted secret of that name."""

    model_config = SettingsConfigDict(
        env_prefix="SNOWRAIL_",
        extra="ignore",
        frozen=True,
        secrets_dir=_SECRETS_FOLDER if _SECRETS_FOLDER.is_dir() else None,
    )

    environment: Environment = Environment.LOCAL
    log_level: str = Field(default="INFO", pattern="^(DEBUG|INFO|WARNING|ERROR)$")

    database_url: SecretStr | None = None
    """`postgresql://role:password@host:port/database`; the role has no DDL rights."""
    database_pool_size: int = Field(default=6, ge=2, le=100)
    database_statement_timeout_seconds: float = Field(default=15, gt=0, le=300)

    nats_url: str = "nats://127.0.0.1:4222"
    nats_seed: SecretStr | None = None
    """nkey user seed of this service's identity."""
    nats_monitor_url: str = "http://127.0.0.1:8222"
    """Where `/varz` is read at start, to refuse a broker that does not sync always."""

    http_host: str = "127.0.0.1"
    http_port: int = Field(default=8000, ge=0, le=65_535)
    http_body_limit_bytes: int = Field(default=262_144, ge=1_024, le=64 * 1024 * 1024)
    trusted_proxies: str = ""
    """Addresses and networks, comma-separated, whose X-Forwarded-For and -Proto are believed."""
    public_origin: str = "http://127.0.0.1:8080"
    """Scheme and host that browsers see: CORS, the SIWE domain and links are derived from it."""

    jwt_public_keys_file: Path | None = None
    """JWKS file with the keys that sign access tokens."""

    otlp_endpoint: str | None = None
    trace_ratio: float = Field(default=0.01, ge=0, le=1)
    """Share of new traces that are recorded; a trace that arrives sampled stays sampled."""

    consumer_batch_messages: int = Field(default=256, ge=1, le=2_000)
    consumer_attempts: int = Field(default=8, ge=1, le=100)
    relay_batch_rows: int = Field(default=500, ge=1, le=5_000)
    graceful_timeout_seconds: float = Field(default=10, gt=0, le=120)
