"""Settings of fraud, beyond those of every service."""

from pathlib import Path
from typing import Self

from pydantic import Field, model_validator

from snowrail_fraud.domain.rules import RuleSet, Thresholds
from snowrail_fraud.domain.scoring import Cutoffs
from snowrail_kit.settings import ServiceSettings


class Settings(ServiceSettings):
    """Each is read from `SNOWRAIL_<NAME>`. Scores, weights and shares are thousandths."""

    fraud_review_score: int = 600
    fraud_block_score: int = 900
    fraud_rule_weights: dict[str, int] = Field(default_factory=dict[str, int])
    """Other weights than the usual ones, by reason code, as a JSON object."""

    fraud_hour_payments: int = Field(default=60, ge=1)
    """Payments per hour from which on velocity counts against a payer."""
    fraud_day_payments: int = Field(default=300, ge=1)
    fraud_business_factor: int = Field(default=100, ge=1)
    """How many times more a user with the role `business` may pay before it counts."""
    fraud_amount_ratio: int = Field(default=10_000, ge=1_000)
    """An amount above this many thousandths of the payer's average is unusual."""
    fraud_hour_ratio: int = Field(default=5_000, ge=1_000)
    """What is paid in an hour, in thousandths of the payer's average day."""
    fraud_day_ratio: int = Field(default=10_000, ge=1_000)
    fraud_fresh_account_hours: int = Field(default=24, ge=0, le=2_160)
    fraud_new_device_hours: int = Field(default=24, ge=0, le=168)

    fraud_model_file: Path | None = None
    """JSON file of a trained model: `version`, `intercept`, `weights` by feature. Without it rules score."""
    fraud_model_share: int = Field(default=500, ge=0, le=1000)
    """Weight of the model in the blend with the rules."""

    fraud_cache_seconds: int = Field(default=1_800, ge=0, le=86_400)
    fraud_assessments_days: int = Field(default=400, ge=30)
    """How long assessments without feedback are kept."""

    @property
    def rules(self) -> RuleSet:
        """The rules with the thresholds and weights of the settings."""
        thresholds = Thresholds(
            hour_payments=self.fraud_hour_payments,
            day_payments=self.fraud_day_payments,
            business_factor=self.fraud_business_factor,
            amount_ratio=self.fraud_amount_ratio,
            hour_ratio=self.fraud_hour_ratio,
            day_ratio=self.fraud_day_ratio,
            fresh_account_hours=self.fraud_fresh_account_hours,
            new_device_hours=self.fraud_new_device_hours,
        )
        return RuleSet(thresholds, self.fraud_rule_weights)

    @property
    def cutoffs(self) -> Cutoffs:
        """From which score on a payment is reviewed, and blocked."""
        return Cutoffs(self.fraud_review_score, self.fraud_block_score)

    @model_validator(mode="after")
    def _check_scores(self) -> Self:
        _ = self.rules, self.cutoffs
        return self
