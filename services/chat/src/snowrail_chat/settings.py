"""Settings of chat, beyond those every service has."""

from pathlib import Path

from pydantic import Field

from snowrail_kit.settings import ServiceSettings


class Settings(ServiceSettings):
    """Each is read from `SNOWRAIL_<NAME>`."""

    chains_file: Path
    """Chains, tokens and escrow addresses."""
    chain_id: int | None = None
    """Chain on which commands pay; the first of the file where it is not set."""
    default_currency: str = Field(default="CRO", pattern=r"^[A-Z0-9.]{1,16}$")
    """Token that is meant where a command names none."""

    chain_monitor_url: str = "http://127.0.0.1:8108"
    intent_url: str = "http://127.0.0.1:8103"
    read_timeout_seconds: float = Field(default=1.0, gt=0, le=10)
    """How long a batch of lines waits for balances and transactions; then cards say so."""
    read_pause_seconds: float = Field(default=2.0, ge=0, le=60)
    """How long a service that did not answer is not asked again."""

    display_currency: str = Field(default="USD", pattern=r"^[A-Z]{3}$")
    price_fresh_seconds: int = Field(default=120, ge=1, le=86_400)
    """Up to which age prices, of tokens and of gas, are used without a remark."""

    rate_limit_multiplier: int = Field(default=1, ge=1, le=100_000)
    """Multiplies every rate limit of the command registry; above 1 for benches only."""
    contacts_limit: int = Field(default=500, ge=1, le=5_000)
    """Entries of one address book."""
    templates_limit: int = Field(default=100, ge=1, le=1_000)
    """Sets of payments of one user."""
    request_days: int = Field(default=7, ge=1, le=365)
    """How long a payment request can be opened."""
    waiting_notice_seconds: float = Field(default=10.0, ge=0.1, le=60)
    """After how long without an answer from the intent service a card says that it is being worked on."""
