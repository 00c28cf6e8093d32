"""Settings of the payment orchestrator."""

from pydantic import Field

from snowrail_kit.settings import ServiceSettings


class Settings(ServiceSettings):
    """Beyond the common ones."""

    route_batch_rows: int = Field(default=500, ge=1, le=5_000)
    """Payments whose next attempt is started in one pass."""

    chain_monitor_url: str = "http://127.0.0.1:8108"
    reconcile_every_seconds: float = Field(default=300, gt=0, le=86_400)
    """How often chain and ledger are compared while they agree."""
    reconcile_check_seconds: float = Field(default=5, gt=0, le=300)
    """How often it is looked whether a comparison is due, and how often one that differs is repeated."""
    reconcile_patience_seconds: float = Field(default=120, ge=0, le=3_600)
    """How long the ledger may be late with a final block; then the asset is halted. Deficits halt at once."""
    halted_retry_seconds: float = Field(default=30, gt=0, le=3_600)
    """How often a payment of a halted asset looks whether it may start."""
