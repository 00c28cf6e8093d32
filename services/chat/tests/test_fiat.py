"""What amounts are worth, with the age of the price."""

from datetime import timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from snowrail_chat.domain.fiat import UNAVAILABLE, Price, Worth, total, with_worth, worth
from snowrail_kit.money import Token
from snowrail_testkit.fixed import START_OF_TIME

CRO = Token(31337, "0x" + "0" * 40, "CRO", 18)
FRESH = timedelta(seconds=120)


def price(value: str, age_seconds: float = 0) -> Price:
    return Price(Decimal(value), "USD", START_OF_TIME - timedelta(seconds=age_seconds))


def shown(atoms: int, known: Price | None) -> str:
    return with_worth("x", worth(atoms, CRO, known, START_OF_TIME, FRESH))


@pytest.mark.parametrize(
    ("atoms", "known", "text"),
    [
        (100 * 10**18, price("0.0812"), "x (≈ 8.12 USD)"),
        (10**18, price("1234567.891"), "x (≈ 1,234,567.89 USD)"),
        (1, price("0.08"), "x (< 0.01 USD)"),
        (0, price("0.08"), "x (≈ 0.00 USD)"),
        (10**18, price("1", 120), "x (≈ 1.00 USD)"),
        (10**18, price("1", 121), "x (≈ 1.00 USD, price stale (2 min old))"),
        (10**18, price("1", 119.9 + 7_200), "x (≈ 1.00 USD, price stale (2 h old))"),
        (10**18, None, f"x ({UNAVAILABLE})"),
    ],
)
def test_a_value_says_how_sure_it_is(atoms: int, known: Price | None, text: str) -> None:
    assert shown(atoms, known) == text


def test_seconds_are_told_for_a_young_price() -> None:
    aged = worth(10**18, CRO, price("1", 90), START_OF_TIME, timedelta(seconds=60))
    assert str(aged) == "≈ 1.00 USD, price stale (90 s old)"


def test_a_total_is_as_old_as_its_oldest_part() -> None:
    parts = [Worth(Decimal("1.005"), "USD"), Worth(Decimal(2), "USD", timedelta(minutes=9))]
    assert total(parts) == Worth(Decimal("3.005"), "USD", timedelta(minutes=9))
    assert total([]) is None
    assert total(parts[:1]) == Worth(Decimal("1.005"), "USD")


@given(st.integers(0, 2**256 - 1), st.decimals("0.000000000000000001", "99999999999999999999", places=18))
def test_no_amount_and_no_price_loses_a_digit(atoms: int, value: Decimal) -> None:
    result = worth(atoms, CRO, Price(value, "USD", START_OF_TIME), START_OF_TIME, FRESH)
    assert result is not None
    numerator, denominator = result.value.as_integer_ratio()
    price_numerator, price_denominator = value.as_integer_ratio()
    assert numerator * price_denominator * 10**18 == atoms * price_numerator * denominator
    assert str(result)
