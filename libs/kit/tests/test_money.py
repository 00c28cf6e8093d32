"""Amounts: what is typed is what is meant, or it is refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from snowrail_kit.money import MAX_ATOMS, AmountError, format_amount, parse_amount


@given(st.integers(min_value=1, max_value=MAX_ATOMS), st.integers(min_value=0, max_value=30))
def test_formatting_and_reading_back_is_the_identity(atoms: int, decimals: int) -> None:
    assert parse_amount(format_amount(atoms, decimals), decimals) == atoms


@pytest.mark.parametrize(
    ("text", "decimals", "atoms"),
    [("1", 18, 10**18), ("0.000001", 6, 1), ("100", 0, 100), ("1.50", 2, 150), ("0.10", 1 + 1, 10)],
)
def test_plain_decimals_are_read(text: str, decimals: int, atoms: int) -> None:
    assert parse_amount(text, decimals) == atoms


@pytest.mark.parametrize(
    "text",
    [
        "",
        "0",
        "0.0",
        "-1",
        "+1",
        "1e3",
        "1,000",
        "1_000",
        " 1",
        "1 ",
        ".5",
        "5.",
        "01",
        "0x10",
        "١",
        "NaN",
        "1.0000001",
    ],
)
def test_everything_else_is_refused(text: str) -> None:
    with pytest.raises(AmountError):
        parse_amount(text, 6)


def test_more_than_a_word_of_the_chain_is_refused() -> None:
    with pytest.raises(AmountError):
        parse_amount(str(MAX_ATOMS + 1), 0)


def test_negative_atoms_are_shown_with_their_sign() -> None:
    assert format_amount(-1_500_000, 6) == "-1.5"
