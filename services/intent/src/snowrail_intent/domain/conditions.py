"""What must hold before a payment is made: a token's price, or the gas price, below or above a value."""

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

CURRENCY = "USD"
"""Prices are compared in it."""


class ConditionKind(StrEnum):
    """What is compared."""

    PRICE = "price"
    GAS = "gas"


class Comparison(StrEnum):
    """On which side of the value it has to be; the value itself is on neither."""

    BELOW = "below"
    ABOVE = "above"


class InvalidCondition(ValueError):
    """Terms of a condition that do not fit together."""


@dataclass(frozen=True, slots=True)
class Condition:
    """A validated condition.

    Attributes:
        token: symbol of the token whose price is meant; None for gas.
        value: US dollars for one whole token, or wei.
    """

    kind: ConditionKind
    token: str | None
    comparison: Comparison
    value: Decimal

    def __post_init__(self) -> None:
        if (self.kind is ConditionKind.PRICE) is (self.token is None):
            raise InvalidCondition("a price is that of a token; the gas price belongs to none")
        if self.value <= 0:
            raise InvalidCondition("the value to compare with is more than zero")
        if self.kind is ConditionKind.GAS and self.value != int(self.value):
            raise InvalidCondition("a gas price is a whole number of wei")

    def holds(self, seen: Decimal | int) -> bool:
        """Return whether a value meets the condition."""
        return seen < self.value if self.comparison is Comparison.BELOW else seen > self.value

    @property
    def gas_ceiling(self) -> int | None:
        """Highest gas price in wei that meets it, which the chain itself can enforce; None where none is."""
        if self.kind is ConditionKind.GAS and self.comparison is Comparison.BELOW:
            return int(self.value) - 1
        return None
