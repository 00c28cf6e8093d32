"""The seam for a trained model: anything with a version that scores features."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from math import exp, isfinite, log1p
from typing import Protocol

from snowrail_fraud.domain.features import FEATURE_NAMES, Features
from snowrail_fraud.domain.rules import CERTAIN


class Model(Protocol):
    """A trained model. The same version always gives the same scores.

    Attributes:
        version: recorded with every score.
    """

    @property
    def version(self) -> str:
        """Return the name of this training."""
        ...

    def score(self, features: Sequence[Features]) -> list[int]:
        """Return how likely fraud is for each payment, in thousandths."""
        ...


def vector(features: Features) -> dict[str, float]:
    """Return features as a model sees them: the logarithm of 1 + value, which tames counts and ratios."""
    return {name: log1p(value) for name, value in asdict(features).items()}


class LogisticModel:
    """A logistic regression over `vector`.

    Args:
        weights: by feature name; features without one have no weight.

    Raises:
        ValueError: a weight for something that is no feature, or not a finite number.
    """

    def __init__(self, version: str, intercept: float, weights: Mapping[str, float]) -> None:
        unknown = set(weights) - set(FEATURE_NAMES)
        if unknown:
            raise ValueError(f"{min(unknown)} is not a feature")
        if not all(isfinite(number) for number in (intercept, *weights.values())):
            raise ValueError("weights have to be finite")
        self._version = version
        self._intercept = intercept
        self._weights = tuple(weights.items())

    @property
    def version(self) -> str:
        """Return the name of this training."""
        return self._version

    def score(self, features: Sequence[Features]) -> list[int]:
        """Return how likely fraud is for each payment, in thousandths."""
        return [self._score(vector(one)) for one in features]

    def _score(self, values: Mapping[str, float]) -> int:
        logit = self._intercept + sum(weight * values[name] for name, weight in self._weights)
        # beyond this the exponential overflows, and the answer is certain to a thousandth anyway
        return round(CERTAIN / (1 + exp(-min(max(logit, -50.0), 50.0))))
