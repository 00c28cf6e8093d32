"""Settings of the payment orchestrator."""

from pydantic import Field

from snowrail_kit.settings import ServiceSettings


class Settings(ServiceSettings):
    """Beyond the common ones."""

    route_batch_rows: int = Field(default=500, ge=1, le=5_000)
    """Payments whose next attempt is started in one pass."""
