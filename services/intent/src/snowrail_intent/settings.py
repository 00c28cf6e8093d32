"""Settings of the intent service, beyond those every service has."""

from decimal import Decimal
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from snowrail_kit.settings import ServiceSettings

TokenUnits = Annotated[Decimal, Field(gt=0)]


class TokenLimitSettings(BaseModel):
    """Limits of one token, in whole units."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    per_transaction: TokenUnits
    per_day: TokenUnits
    per_month: TokenUnits | None = None
    """Where it is left out, every day of a month may be used in full."""


class LevelLimitSettings(BaseModel):
    """Limits of one KYC level: by token symbol, and the gas the platform pays for per user and UTC day."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    gas_per_day: int = Field(ge=0)
    tokens: dict[str, TokenLimitSettings]


def _limit(per_transaction: int) -> TokenLimitSettings:
    return TokenLimitSettings(
        per_transaction=Decimal(per_transaction),
        per_day=Decimal(5 * per_transaction),
        per_month=Decimal(50 * per_transaction),
    )


def _level(scale: int, gas_per_day: int) -> LevelLimitSettings:
    coin = _limit(10_000 * scale)
    dollar = _limit(1_000 * scale)
    return LevelLimitSettings(
        gas_per_day=gas_per_day, tokens={"CRO": coin, "WCRO": coin, "USDC": dollar, "USDT": dollar}
    )


def _default_limits() -> dict[int, LevelLimitSettings]:
    return {
        0: _level(1, 20_000_000),
        1: _level(5, 100_000_000),
        2: _level(50, 500_000_000),
        3: _level(500, 5_000_000_000),
    }


class Settings(ServiceSettings):
    """Each is read from `SNOWRAIL_<NAME>`; `payment_limits` as JSON."""

    chains_file: Path
    """Chains, tokens and escrow addresses."""
    chain_monitor_url: str = "http://127.0.0.1:8108"

    order_lifetime_seconds: int = Field(default=86_400, ge=60, le=366 * 86_400)
    """How long an order may execute, from when it first may."""
    order_longest_lifetime_seconds: int = Field(default=90 * 86_400, ge=60, le=366 * 86_400)
    """How far an edit may move the expiry after the first possible execution."""
    order_clock_skew_seconds: int = Field(default=300, ge=0, le=3_600)
    """How far before the present a window opens: the chain's time lags behind."""
    schedule_farthest_days: int = Field(default=366, ge=1, le=3_660)
    schedule_margin_seconds: float = Field(default=3, ge=0, le=600)
    """How long after its `not_before` an intent becomes due: the chain's time lags behind."""
    recurrence_most_occurrences: int = Field(default=1_000, ge=1, le=10_000)
    """How often one authorisation may pay, within `schedule_farthest_days`."""
    occurrence_grace_seconds: float = Field(default=3_600, ge=1, le=31 * 86_400)
    """How late an occurrence is still paid that its user wants left out when it is missed."""
    low_balance_warning_seconds: float = Field(default=86_400, ge=0, le=31 * 86_400)
    """How long before an occurrence falls due its payer is warned that it is not covered."""
    price_stale_seconds: float = Field(default=900, ge=1, le=86_400)
    """How old a price may be that a condition is judged by."""
    cancellation_settle_seconds: float = Field(default=15, ge=0, le=600)
    """How long a final cancellation of a payment in flight waits for news of an execution before it."""

    gas_ceiling_percent: int = Field(default=500, ge=100, le=100_000)
    """Highest gas price an order allows, in percent of the price when it was made."""
    gas_ceiling_least_wei: int = Field(default=10_000_000_000, ge=1)
    execution_gas_native: int = Field(default=130_000, ge=21_000)
    execution_gas_token: int = Field(default=170_000, ge=21_000)
    """Gas of one execution, for previews and for the cap on sponsored fees."""

    duplicate_window_seconds: int = Field(default=120, ge=0, le=86_400)
    payment_limits: dict[int, LevelLimitSettings] = Field(default_factory=_default_limits)
    """By KYC level. What has no limit here cannot be paid."""

    check_first_seconds: float = Field(default=2, gt=0, le=60)
    check_last_seconds: float = Field(default=60, ge=1, le=60)
    """Shortest and longest pause between two evaluations of an intent that is due and waits."""
    check_batch_intents: int = Field(default=500, ge=1, le=5_000)
    evaluation_keep_days: int = Field(default=30, ge=1, le=3_660)
    gas_sample_keep_days: int = Field(default=30, ge=1, le=3_660)
