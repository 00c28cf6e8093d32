"""From features to a score and a decision: rules, blended with a model where there is one."""

import hashlib
from collections.abc import Sequence
from dataclasses import astuple, dataclass
from enum import StrEnum

from snowrail_fraud.domain.features import Features
from snowrail_fraud.domain.model import Model
from snowrail_fraud.domain.rules import CERTAIN, RuleSet


class Decision(StrEnum):
    """What follows from a score."""

    ALLOW = "allow"
    REVIEW = "review"
    BLOCK = "block"


@dataclass(frozen=True, slots=True)
class Score:
    """How suspicious a payment is, and why. Scores are thousandths.

    Attributes:
        total: the score that counts.
        rules: what the rules alone say.
        model: what the model alone says; None without one.
        model_version, rules_version: what scored it.
    """

    total: int
    rules: int
    model: int | None
    model_version: str | None
    rules_version: str
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Cutoffs:
    """From which score on a payment is reviewed, and blocked, in thousandths.

    Raises:
        ValueError: not in order.
    """

    review: int
    block: int

    def __post_init__(self) -> None:
        if not 0 < self.review <= self.block <= CERTAIN:
            raise ValueError("0 < review <= block <= 1000 is required")

    def decide(self, score: int) -> Decision:
        """Return what follows from a score."""
        if score >= self.block:
            return Decision.BLOCK
        return Decision.REVIEW if score >= self.review else Decision.ALLOW


class Scorer:
    """Rules alone, or blended with a model.

    Args:
        model_share: weight of the model in the blend, in thousandths.
    """

    def __init__(self, rules: RuleSet, model: Model | None, model_share: int) -> None:
        self._rules = rules
        self._model = model
        self._model_share = model_share if model else 0
        self._versions = f"{rules.version} {model.version if model else '-'} {self._model_share}"

    def context_key(self, features: Features) -> bytes:
        """Return what two payments share exactly when they are scored alike: 32 bytes."""
        stated = ",".join(map(str, astuple(features)))
        return hashlib.sha256(f"{self._versions} {stated}".encode()).digest()

    def score(self, features: Sequence[Features]) -> list[Score]:
        """Return the scores of payments."""
        models: Sequence[int | None] = self._model.score(features) if self._model else [None] * len(features)
        return [self._blend(one, model) for one, model in zip(features, models, strict=True)]

    def _blend(self, features: Features, model: int | None) -> Score:
        verdict = self._rules.judge(features)
        total = verdict.score
        reasons = verdict.reasons
        if model is not None:
            share = self._model_share
            blended = (verdict.score * (CERTAIN - share) + model * share + CERTAIN // 2) // CERTAIN
            total = max(blended, verdict.floor)
            if blended > verdict.score:
                reasons = (*reasons, "model")
        return Score(
            total=total,
            rules=verdict.score,
            model=model,
            model_version=self._model.version if self._model else None,
            rules_version=self._rules.version,
            reasons=reasons,
        )
