"""Which fetched prices are believed. Pure."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final

CONFIRMATIONS: Final = 3
"""Observations, each newer than the one before, that must agree before a price far from the last is believed.

A provider answers from a cache: the same observation fetched again confirms nothing.
"""
AGREEMENT_SHARE: Final = Decimal("0.02")
SMALLEST_PRICE: Final = Decimal("1e-18")
"""Smaller ones would be told as zero: events carry 18 places."""
PRICE_LIMIT: Final = Decimal("1e20")
CLOCK_TOLERANCE: Final = timedelta(seconds=60)
"""How far the provider's clock may be ahead: a moment further on would shut out those after it."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What is not believed: a jump above a share of the last price, or a quote older than an age."""

    deviation_share: Decimal
    quote_age: timedelta


@dataclass(frozen=True, slots=True)
class Quote:
    """What the provider said. `price` is in units of the currency for one whole token."""

    symbol: str
    currency: str
    price: Decimal
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class Price:
    """The last believed price, and one that is being doubted: how often seen in a row, and when last."""

    symbol: str
    currency: str
    price: Decimal
    observed_at: datetime
    published_at: datetime
    doubted_price: Decimal | None = None
    doubted_times: int = 0
    doubted_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Verdict:
    """What becomes of a quote.

    Attributes:
        price: the row to keep; None when there is still none.
        changed: whether the believed price is another one than before.
        anomaly: code of what was wrong, or None.
    """

    price: Price | None
    changed: bool
    anomaly: str | None


def judge(last: Price | None, quote: Quote, limits: Limits, now: datetime) -> Verdict:
    """Decide whether a quote is believed, given the last believed price."""
    if not quote.price.is_finite() or not SMALLEST_PRICE <= quote.price < PRICE_LIMIT:
        return Verdict(last, False, "not_a_price")
    if now - quote.updated_at > limits.quote_age:
        return Verdict(last, False, "stale")
    if quote.updated_at > now + CLOCK_TOLERANCE:
        return Verdict(last, False, "from_the_future")
    believed = Price(quote.symbol, quote.currency, quote.price, quote.updated_at, now)
    if last is None:
        return Verdict(believed, True, None)
    if quote.updated_at < last.observed_at:
        return Verdict(last, False, None)
    if _share(quote.price, last.price) <= limits.deviation_share:
        changed = quote.price != last.price
        return Verdict(replace(believed, published_at=last.published_at), changed, None)
    agrees = last.doubted_price is not None and _share(quote.price, last.doubted_price) <= AGREEMENT_SHARE
    if agrees and last.doubted_at is not None and quote.updated_at <= last.doubted_at:
        return Verdict(last, False, "deviation")
    times = last.doubted_times + 1 if agrees else 1
    if times >= CONFIRMATIONS:
        return Verdict(replace(believed, published_at=last.published_at), True, None)
    doubted = replace(last, doubted_price=quote.price, doubted_times=times, doubted_at=quote.updated_at)
    return Verdict(doubted, False, "deviation")


def _share(price: Decimal, reference: Decimal) -> Decimal:
    return abs(price - reference) / reference


def render(price: Decimal) -> str:
    """Return a price as a plain decimal with at most 18 places, as events carry it."""
    return f"{price:.18f}".rstrip("0").rstrip(".")
