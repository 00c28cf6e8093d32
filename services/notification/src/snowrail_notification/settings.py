"""Settings of notification."""

from pathlib import Path

from pydantic import Field

from snowrail_kit.settings import ServiceSettings


class Settings(ServiceSettings):
    """Beyond the common ones."""

    chains_file: Path
    """Chains and tokens, for amounts and symbols."""
    retention_days: int = Field(default=180, ge=1, le=3_650)
    prune_rows: int = Field(default=5_000, ge=1, le=100_000)
