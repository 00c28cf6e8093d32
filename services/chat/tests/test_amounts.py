"""Amounts: read exactly, or refused with what to type instead."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from snowrail_chat.domain.amounts import atoms_of, read_amount, show_amount
from snowrail_chat.domain.errors import WordProblem
from snowrail_kit.money import Token

CURRENCIES = ("CRO", "WCRO", "USDC", "USDT")
CRO = Token(31337, "0x" + "0" * 40, "CRO", 18)
USDC = Token(31337, "0x" + "0" * 39 + "1", "USDC", 6)
WHOLE = Token(31337, "0x" + "0" * 39 + "2", "PIECES", 0)


@pytest.mark.parametrize("text", ["1", "0.1", "100", "12.50", "0.000001", "9" * 100])
def test_plain_decimals_are_read_as_typed(text: str) -> None:
    assert read_amount(text, CURRENCIES) == text


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("1,000,000", "1000000"),
        ("1,000.50", "1000.50"),
        ("1,00,000", "100000"),
        ("1.000,50", "1000.50"),
        ("1.000.000", "1000000"),
        ("1_000", "1000"),
        ("1'000.5", "1000.5"),
        ("ten", "10"),
        ("Hundred", "100"),
        ("1e3", "1000"),
        ("1.5E-2", "0.015"),
        ("1.123456789012345678901234567890123e33", "1123456789012345678901234567890123"),
        ("10k", "10000"),
        ("2.5M", "2500000"),
        ("1B", "1000000000"),
        (".5", "0.5"),
        ("5.", "5"),
        ("007", "7"),
        ("00.5", "0.5"),
        ("+5", "5"),
        ("-5", "5"),
        ("−5", "5"),
        ("100CRO", "100 CRO"),
        ("2.5usdc", "2.5 USDC"),
        ("١٢", "12"),
        ("１００", "100"),
    ],
)
def test_what_can_only_mean_one_amount_is_refused_with_it(text: str, meant: str) -> None:
    with pytest.raises(WordProblem) as refusal:
        read_amount(text, CURRENCIES)
    assert refusal.value.code == "amount_malformed"
    assert refusal.value.replacement == meant
    assert f"Type {meant}." in str(refusal.value)


@pytest.mark.parametrize(
    "text",
    [
        "some",
        "all",
        "NaN",
        "inf",
        "0x10",
        "½",
        "1/2",
        "50%",
        "",
        "1e999",
        "--",
        "1.2.3",
        "1,2,3",
        "$5",
        "5€",
        "e5",
    ],
)
def test_what_means_no_amount_is_refused_without_a_guess(text: str) -> None:
    with pytest.raises(WordProblem) as refusal:
        read_amount(text, CURRENCIES)
    assert refusal.value.code == "amount_malformed"
    assert refusal.value.replacement is None
    assert "12.5" in str(refusal.value)


def test_a_comma_that_can_be_read_in_two_ways_is_never_resolved() -> None:
    with pytest.raises(WordProblem, match=r"1000 without the comma, or 1\.000 with a point") as refusal:
        read_amount("1,000", CURRENCIES)
    assert refusal.value.replacement is None
    with pytest.raises(WordProblem, match=r"150 without the comma, or 1\.50 with a point") as refusal:
        read_amount("1,50", CURRENCIES)
    assert (refusal.value.replacement, refusal.value.replacements) == (None, ("1.50", "150"))


@pytest.mark.parametrize("text", ["0", "0.0", "0.000"])
def test_nothing_is_no_amount(text: str) -> None:
    with pytest.raises(WordProblem) as refusal:
        read_amount(text, CURRENCIES)
    assert refusal.value.code == "amount_not_positive"


def test_a_currency_in_the_place_of_the_amount_is_named() -> None:
    with pytest.raises(WordProblem, match="the amount comes before it") as refusal:
        read_amount("usdc", CURRENCIES)
    assert refusal.value.code == "amount_expected"


def test_endless_digits_are_refused() -> None:
    with pytest.raises(WordProblem, match="at most 100"):
        read_amount("1" * 101, CURRENCIES)


@given(st.text(max_size=120))
def test_any_text_is_a_plain_decimal_or_refused(text: str) -> None:
    try:
        amount = read_amount(text, CURRENCIES)
    except WordProblem as problem:
        if problem.replacement is not None:
            read_amount(problem.replacement.split(" ")[0], CURRENCIES)
    else:
        assert amount == text
        assert Decimal(amount) > 0


@given(st.integers(min_value=1, max_value=2**200), st.sampled_from([CRO, USDC, WHOLE]))
def test_what_is_shown_is_read_back_exactly(atoms: int, token: Token) -> None:
    amount, symbol = show_amount(atoms, token).split(" ")
    assert symbol == token.symbol
    assert atoms_of(read_amount(amount, CURRENCIES), token) == atoms


@pytest.mark.parametrize(
    ("amount", "token", "code", "message"),
    [
        ("1.1234567", USDC, "amount_too_precise", "such as 1.123456."),
        ("1.5", WHOLE, "amount_too_precise", "such as 1."),
        ("9" * 90, CRO, "amount_too_large", "more than any token"),
    ],
)
def test_more_than_the_token_can_express_is_refused(
    amount: str, token: Token, code: str, message: str
) -> None:
    with pytest.raises(WordProblem, match=message.replace(".", r"\.")) as refusal:
        atoms_of(amount, token)
    assert refusal.value.code == code
