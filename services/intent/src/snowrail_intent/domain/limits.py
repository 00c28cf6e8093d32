"""What a user may pay, by KYC level. Where no limit is known, nothing is paid."""

from collections.abc import Mapping
from dataclasses import dataclass

from snowrail_intent.domain.refusals import Refusal
from snowrail_kit.money import format_amount


@dataclass(frozen=True, slots=True)
class TokenLimit:
    """Limits of one token, in atoms."""

    per_transaction: int
    per_day: int


@dataclass(frozen=True, slots=True)
class LevelLimits:
    """Limits of one KYC level.

    Attributes:
        gas_per_day: gas of executions that the platform pays for one user in one UTC day.
        tokens: limits by token id.
    """

    gas_per_day: int
    tokens: Mapping[str, TokenLimit]


@dataclass(frozen=True, slots=True)
class Spent:
    """What a user's intents of one UTC day already take: atoms of one token, and gas over all tokens."""

    amount: int = 0
    gas: int = 0


def check_limits(
    limits: LevelLimits | None, token: str, symbol: str, decimals: int, amount: int, gas: int, spent: Spent
) -> Refusal | None:
    """Return why a payment would exceed the limits, or None when it fits.

    Args:
        limits: those of the user's level; None when the level has none.
        token: token id.
        symbol, decimals: for the message.
        amount: atoms to pay.
        gas: estimated gas of the execution.
        spent: what the user's other intents of the day take.
    """
    limit = limits.tokens.get(token) if limits else None
    if limits is None or limit is None:
        return Refusal(
            "limit_unknown", f"No limit is set for {symbol} at your account level, so it cannot be paid yet."
        )
    if amount > limit.per_transaction:
        most = format_amount(limit.per_transaction, decimals)
        return Refusal("limit_exceeded", f"One payment may be at most {most} {symbol}; send less.")
    if spent.amount + amount > limit.per_day:
        left = format_amount(max(limit.per_day - spent.amount, 0), decimals)
        return Refusal(
            "limit_exceeded",
            f"You can still pay {left} {symbol} today (UTC); send less, wait, or raise your account level.",
        )
    if spent.gas + gas > limits.gas_per_day:
        return Refusal(
            "sponsored_fees_exhausted",
            "The network fees that we pay for you today (UTC) are used up; try again tomorrow.",
        )
    return None
