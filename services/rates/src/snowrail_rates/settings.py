"""Settings of rates."""

from decimal import Decimal

from pydantic import Field, SecretStr

from snowrail_kit.settings import ServiceSettings


class Settings(ServiceSettings):
    """Beyond the common ones."""

    price_provider_url: str = "https://api.coingecko.com"
    price_provider_key: SecretStr | None = None
    """Sent as `x-cg-demo-api-key` where it is set."""
    price_provider_ids: dict[str, str] = Field(
        default={
            "CRO": "crypto-com-chain",
            "WCRO": "crypto-com-chain",
            "USDC": "usd-coin",
            "USDT": "tether",
        }
    )
    """The provider's id of each token symbol."""
    price_currencies: tuple[str, ...] = ("USD",)
    refresh_seconds: float = Field(default=30, ge=1, le=3_600)
    heartbeat_seconds: float = Field(default=60, ge=1, le=86_400)
    """How often an unchanged price is published again, well before its readers call it stale."""
    deviation_share: Decimal = Field(default=Decimal("0.2"), gt=0, le=10)
    quote_age_seconds: float = Field(default=900, ge=30, le=86_400)
    history_days: int = Field(default=90, ge=1, le=3_650)
