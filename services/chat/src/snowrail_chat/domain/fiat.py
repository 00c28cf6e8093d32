"""What an amount is worth, said honestly: with its age, or not at all."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import ROUND_HALF_EVEN, Context, Decimal

from snowrail_kit.money import Token

_EXACT = Context(prec=120, rounding=ROUND_HALF_EVEN)
_CENT = Decimal("0.01")
UNAVAILABLE = "price unavailable"


@dataclass(frozen=True, slots=True)
class Price:
    """Units of `currency` for one whole token, as observed at a time."""

    value: Decimal
    currency: str
    observed_at: datetime


@dataclass(frozen=True, slots=True)
class Worth:
    """A value in a currency; `age` is set when its price is older than it should be."""

    value: Decimal
    currency: str
    age: timedelta | None = None

    def __str__(self) -> str:
        if 0 < self.value < _CENT:
            text = f"< 0.01 {self.currency}"
        else:
            text = f"≈ {_EXACT.quantize(self.value, _CENT):,f} {self.currency}"
        return text if self.age is None else f"{text}, price stale ({_describe_age(self.age)} old)"


def worth(atoms: int, token: Token, price: Price | None, now: datetime, fresh: timedelta) -> Worth | None:
    """Return what atoms of a token are worth, None without a price.

    Args:
        fresh: up to which age a price is shown without a remark.
    """
    if price is None:
        return None
    value = _EXACT.multiply(_EXACT.scaleb(Decimal(atoms), -token.decimals), price.value)
    age = now - price.observed_at
    return Worth(value, price.currency, age if age > fresh else None)


def total(parts: list[Worth]) -> Worth | None:
    """Return the sum of values in one currency, as old as its oldest price; None of nothing."""
    if not parts:
        return None
    ages = [part.age for part in parts if part.age is not None]
    value = Decimal(0)
    for part in parts:
        value = _EXACT.add(value, part.value)
    return Worth(value, parts[0].currency, max(ages) if ages else None)


def with_worth(amount: str, value: Worth | None) -> str:
    """Return an amount followed by what it is worth."""
    return f"{amount} ({UNAVAILABLE if value is None else value})"


def _describe_age(age: timedelta) -> str:
    seconds = int(age.total_seconds())
    if seconds < 120:
        return f"{seconds} s"
    if seconds < 7_200:
        return f"{seconds // 60} min"
    return f"{seconds // 3_600} h"
