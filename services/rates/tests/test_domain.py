"""Which prices are believed."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from snowrail_events import PriceUpdatedV1
from snowrail_rates.domain import CONFIRMATIONS, Limits, Price, Quote, judge, render

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
LIMITS = Limits(Decimal("0.2"), timedelta(minutes=15))
LAST = Price("CRO", "USD", Decimal("0.1"), NOW - timedelta(minutes=1), NOW - timedelta(minutes=5))


def quote(price: str, age_seconds: float = 0) -> Quote:
    return Quote("CRO", "USD", Decimal(price), NOW - timedelta(seconds=age_seconds))


def test_the_first_price_is_believed() -> None:
    verdict = judge(None, quote("0.1"), LIMITS, NOW)
    assert verdict.price is not None
    assert (verdict.price.price, verdict.changed, verdict.anomaly) == (Decimal("0.1"), True, None)


@pytest.mark.parametrize("price", ["0", "-1", "NaN", "Infinity", "-Infinity", "9e-19", "1e20", "1e300"])
def test_what_is_no_price_is_not_believed(price: str) -> None:
    assert judge(LAST, quote(price), LIMITS, NOW).anomaly == "not_a_price"
    assert judge(None, quote(price), LIMITS, NOW).price is None


def test_old_and_future_quotes_are_not_believed() -> None:
    assert judge(LAST, quote("0.1", 901), LIMITS, NOW).anomaly == "stale"
    assert judge(LAST, quote("0.1", -61), LIMITS, NOW).anomaly == "from_the_future"
    assert judge(LAST, quote("0.1", -60), LIMITS, NOW).anomaly is None


@pytest.mark.parametrize("price", ["1e-18", "99999999999999999999.999999999999999999"])
def test_what_is_believed_can_be_told(price: str) -> None:
    verdict = judge(None, quote(price), LIMITS, NOW)
    assert verdict.price is not None
    told = PriceUpdatedV1(
        symbol="CRO", currency="USD", price=render(verdict.price.price), source="coingecko", observed_at=NOW
    )
    assert Decimal(told.price) == Decimal(price)


def test_a_quote_older_than_the_last_price_changes_nothing() -> None:
    verdict = judge(LAST, quote("0.11", 61), LIMITS, NOW)
    assert (verdict.price, verdict.changed, verdict.anomaly) == (LAST, False, None)


def test_a_small_move_is_believed_and_an_unchanged_price_is_no_change() -> None:
    assert judge(LAST, quote("0.12"), LIMITS, NOW).changed
    assert not judge(LAST, quote("0.1"), LIMITS, NOW).changed


def test_a_jump_is_doubted_until_it_was_confirmed() -> None:
    price: Price | None = LAST
    for number in range(1, CONFIRMATIONS):
        verdict = judge(price, quote("1.0", 30 - number), LIMITS, NOW)
        assert verdict.anomaly == "deviation"
        assert verdict.price is not None
        assert (verdict.price.price, verdict.price.doubted_times) == (Decimal("0.1"), number)
        price = verdict.price
    verdict = judge(price, quote("1.01"), LIMITS, NOW)
    assert verdict.anomaly is None
    assert verdict.price is not None
    assert verdict.price.price == Decimal("1.01")


def test_the_same_observation_fetched_again_confirms_nothing() -> None:
    price: Price | None = LAST
    for _ in range(3 * CONFIRMATIONS):
        verdict = judge(price, quote("1.0", 30), LIMITS, NOW)
        assert verdict.anomaly == "deviation"
        price = verdict.price
    assert price is not None
    assert (price.price, price.doubted_times) == (Decimal("0.1"), 1)


def test_jumps_that_do_not_agree_confirm_nothing() -> None:
    price: Price | None = LAST
    for wild in ("1", "2", "3", "4", "5"):
        verdict = judge(price, quote(wild), LIMITS, NOW)
        assert verdict.anomaly == "deviation"
        price = verdict.price
    assert price is not None
    assert price.price == Decimal("0.1")


@given(st.decimals(min_value=Decimal("1e-18"), max_value=Decimal("1e15"), allow_nan=False, places=18))
def test_a_rendered_price_is_plain_and_exact(price: Decimal) -> None:
    assert Decimal(render(price)) == price
    assert "E" not in render(price)
