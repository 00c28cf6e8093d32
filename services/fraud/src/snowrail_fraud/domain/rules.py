"""Rules: each a condition over features with a weight and a reason, combined into one score."""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass

from snowrail_fraud.domain.features import Features

CERTAIN = 1000
"""The highest score, in thousandths."""


@dataclass(frozen=True, slots=True)
class Thresholds:
    """From where on something is unusual. Ratios are thousandths of the payer's own average.

    Attributes:
        business_factor: how much more a business may do before it counts.
    """

    hour_payments: int = 60
    day_payments: int = 300
    business_factor: int = 100
    amount_ratio: int = 10_000
    hour_ratio: int = 5_000
    day_ratio: int = 10_000
    fresh_account_hours: int = 24
    new_device_hours: int = 24

    def payments(self, limit: int, features: Features) -> int:
        """Return a limit on the number of payments for this payer."""
        return limit * self.business_factor if features.business else limit


@dataclass(frozen=True, slots=True)
class Rule:
    """A reason for suspicion.

    Attributes:
        code: stable reason code.
        weight: how likely fraud is when only this rule fires, in thousandths.
        floor: score that no model may bring it below, in thousandths.
    """

    code: str
    weight: int
    fires: Callable[[Features, Thresholds], bool]
    floor: int = 0


RULES: tuple[Rule, ...] = (
    Rule("sanctioned_address", 1000, lambda f, _: f.sanctioned == 1, floor=1000),
    Rule("reported_address", 700, lambda f, _: f.reported == 1, floor=600),
    Rule("look_alike_payee", 650, lambda f, _: f.look_alike == 1, floor=600),
    Rule("velocity_hour", 400, lambda f, t: f.hour_payments >= t.payments(t.hour_payments, f)),
    Rule("velocity_day", 400, lambda f, t: f.day_payments >= t.payments(t.day_payments, f)),
    Rule("amount_velocity_hour", 350, lambda f, t: f.hour_ratio > t.hour_ratio),
    Rule("amount_velocity_day", 350, lambda f, t: f.day_ratio > t.day_ratio),
    Rule("amount_unusual", 300, lambda f, t: f.above_largest == 1 and f.amount_ratio > t.amount_ratio),
    Rule("device_new", 200, lambda f, t: f.device_age_hours < t.new_device_hours),
    Rule("account_unknown", 200, lambda f, _: f.account_known == 0),
    Rule(
        "account_fresh",
        100,
        lambda f, t: f.account_known == 1 and f.account_age_hours < t.fresh_account_hours,
    ),
    Rule("payee_new", 100, lambda f, _: f.payee_payments == 0),
)
"""All rules, the gravest first."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the rules say: a score and a floor in thousandths, and the reasons, gravest first."""

    score: int
    floor: int
    reasons: tuple[str, ...]


class RuleSet:
    """The rules under given thresholds and weights.

    Args:
        weights: other weights than the usual ones, by code, in thousandths.

    Raises:
        ValueError: a weight for a rule that does not exist, or outside 0 to 1000.
    """

    def __init__(self, thresholds: Thresholds, weights: Mapping[str, int] | None = None) -> None:
        chosen = {rule.code: rule.weight for rule in RULES}
        for code, weight in (weights or {}).items():
            if code not in chosen or not 0 <= weight <= CERTAIN:
                raise ValueError(f"no rule {code} with a weight of {weight}")
            chosen[code] = weight
        self._thresholds = thresholds
        self._rules = tuple((rule, chosen[rule.code]) for rule in RULES)
        stated = f"{sorted(asdict(thresholds).items())} {sorted(chosen.items())}"
        self.version = hashlib.sha256(stated.encode()).hexdigest()[:16]

    def judge(self, features: Features) -> Verdict:
        """Return the verdict on a payment.

        Suspicions are independent witnesses: the score is 1 - product of (1 - weight), so each adds to it and
        none can bring it above certainty.
        """
        innocence = CERTAIN**2
        floor = 0
        reasons: list[str] = []
        for rule, weight in self._rules:
            if weight and rule.fires(features, self._thresholds):
                innocence = innocence * (CERTAIN - weight) // CERTAIN
                floor = max(floor, rule.floor)
                reasons.append(rule.code)
        return Verdict(CERTAIN - innocence // CERTAIN, floor, tuple(reasons))
