"""What a user may pay, by KYC level. Where no limit is known, nothing is paid.

The rule: every occurrence of an intent is checked and counted on the UTC day on which it is paid.

- When an intent is made, its first occurrence is checked against the day and the month it is scheduled for,
  and counted there at once, so that nobody schedules more for one day than may be paid on it. A series is
  refused at once if its own occurrences of one day or month exceed what the level allows. An edit that moves
  it to another day is checked in the same way.
- When an occurrence falls due on another day than it is counted on, or was not counted yet, it is checked
  against that day and month under the limits of that moment, and counted there instead; what exceeds them
  waits, and says so.
- What is cancelled, expires, fails or is left out is given back.

The network fees that the platform pays are limited in the same way, per user and day, in gas.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from enum import StrEnum
from uuid import UUID

from snowrail_intent.domain.refusals import Refusal
from snowrail_kit.money import format_amount


@dataclass(frozen=True, slots=True)
class TokenLimit:
    """Limits of one token, in atoms."""

    per_transaction: int
    per_day: int
    per_month: int


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
    """What a user's payments of one UTC day already take.

    Attributes:
        amount, month_amount: atoms of one token on the day, and in its month.
        gas: over all tokens, on the day.
    """

    amount: int = 0
    gas: int = 0
    month_amount: int = 0

    def without(self, amount: int, counted_on: date | None, day: date) -> "Spent":
        """Return what other payments take, for one of this amount that moves to `day` from another day.

        In a month in which it is counted already, it does not count beside itself.
        """
        if counted_on is None or counted_on.replace(day=1) != day.replace(day=1):
            return self
        return replace(self, month_amount=self.month_amount - amount)


class Exceeded(StrEnum):
    """Which limit a payment would exceed."""

    UNKNOWN = "limit_unknown"
    TRANSACTION = "transaction_limit_exceeded"
    DAY = "daily_limit_exceeded"
    MONTH = "monthly_limit_exceeded"
    GAS = "sponsored_fees_exhausted"


@dataclass(frozen=True, slots=True)
class Payments:
    """What is asked for: payments of one amount, most of them in a day and in a month, and the gas of one."""

    amount: int
    gas: int
    most_in_day: int = 1
    most_in_month: int = 1


def find_exceeded(
    limits: LevelLimits | None, token: str, payments: Payments, spent: Spent
) -> Exceeded | None:
    """Return the first limit that payments would exceed, or None when they fit.

    Args:
        limits: those of the user's level; None when the level has none.
        token: token id.
        payments: one payment, checked with what the day and month already take; a series by itself as well.
        spent: what the user's other payments of the day and month take.
    """
    limit = limits.tokens.get(token) if limits else None
    if limits is None or limit is None:
        return Exceeded.UNKNOWN
    amount = payments.amount
    if amount > limit.per_transaction:
        return Exceeded.TRANSACTION
    if max(spent.amount + amount, payments.most_in_day * amount) > limit.per_day:
        return Exceeded.DAY
    if max(spent.month_amount + amount, payments.most_in_month * amount) > limit.per_month:
        return Exceeded.MONTH
    if max(spent.gas + payments.gas, payments.most_in_day * payments.gas) > limits.gas_per_day:
        return Exceeded.GAS
    return None


def check_limits(
    limits: LevelLimits | None,
    token: str,
    symbol: str,
    decimals: int,
    payments: Payments,
    spent: Spent,
    day: date,
    today: date,
) -> Refusal | None:
    """Return why payments would exceed the limits of a day, in words, or None when they fit."""
    exceeded = find_exceeded(limits, token, payments, spent)
    if exceeded is None:
        return None
    if limits is None or exceeded is Exceeded.UNKNOWN:
        return Refusal(
            Exceeded.UNKNOWN, f"No limit is set for {symbol} at your account level, so it cannot be paid yet."
        )
    limit = limits.tokens[token]

    def text(atoms: int) -> str:
        return f"{format_amount(max(atoms, 0), decimals)} {symbol}"

    when = "today (UTC)" if day == today else f"on {day} (UTC)"
    month = "this month (UTC)" if day.replace(day=1) == today.replace(day=1) else f"in {day:%Y-%m} (UTC)"
    match exceeded:
        case Exceeded.TRANSACTION:
            detail = f"One payment may be at most {text(limit.per_transaction)}; send less."
        case Exceeded.DAY if payments.most_in_day * payments.amount > limit.per_day:
            detail = f"This would pay more than {text(limit.per_day)} in one day; pay less or less often."
        case Exceeded.DAY:
            left = text(limit.per_day - spent.amount)
            detail = f"You can still pay {left} {when}; send less, wait, or raise your account level."
        case Exceeded.MONTH if payments.most_in_month * payments.amount > limit.per_month:
            detail = f"This would pay more than {text(limit.per_month)} in one month; pay less or less often."
        case Exceeded.MONTH:
            left = text(limit.per_month - spent.month_amount)
            detail = f"You can still pay {left} {month}; send less, wait, or raise your account level."
        case Exceeded.GAS:
            again = "try again tomorrow" if day == today else "choose another day"
            return Refusal(Exceeded.GAS, f"The network fees that we pay for you {when} are used up; {again}.")
    return Refusal("limit_exceeded", detail)


@dataclass(slots=True)
class Budget:
    """What users have paid or reserved by day and token, growing with what a batch adds."""

    _used: dict[UUID, dict[tuple[date, str], Spent]] = field(
        default_factory=dict[UUID, dict[tuple[date, str], Spent]]
    )

    def add(self, user_id: UUID, day: date, token: str, amount: int, gas: int) -> None:
        """Count atoms and gas, or give them back with negative numbers."""
        used = self._used.setdefault(user_id, {})
        before = used.get((day, token), Spent())
        used[day, token] = Spent(before.amount + amount, before.gas + gas)

    def spent(self, user_id: UUID, day: date, token: str) -> Spent:
        """Return what a user's payments take of the limits that a payment on this day is held to."""
        used = self._used.get(user_id, {})
        month = (day.year, day.month)
        return Spent(
            amount=used.get((day, token), Spent()).amount,
            gas=sum(spent.gas for (on, _), spent in used.items() if on == day),
            month_amount=sum(
                spent.amount
                for (on, of), spent in used.items()
                if of == token and (on.year, on.month) == month
            ),
        )
