"""Amounts as people type them: a plain decimal is read, all else is refused with what to type instead."""

import re
import unicodedata
from collections.abc import Sequence
from decimal import Context, Decimal

from snowrail_chat.domain.errors import WordProblem
from snowrail_kit.money import AmountError, Token, format_amount, parse_amount

MAX_AMOUNT_CHARACTERS = 100
_PLAIN = re.compile(r"(?:0|[1-9][0-9]*)(?:\.[0-9]+)?")
_LOOSE = re.compile(r"[0-9]+(?:\.[0-9]+)?")
_EXPONENT = re.compile(r"([0-9]+(?:\.[0-9]+)?)[eE]([+-]?[0-9]{1,2})")
_COMMA_GROUPS = re.compile(r"[0-9]{1,3}(?:,[0-9]{2,3})*,[0-9]{3}(?:\.[0-9]+)?")
_OTHER_GROUPS = re.compile(r"[0-9]{1,3}(?:(?P<mark>[_'’])[0-9]{3})(?:(?P=mark)[0-9]{3})*(?:\.[0-9]+)?")
_POINT_GROUPS = re.compile(r"[0-9]{1,3}(?:\.[0-9]{3})+,[0-9]+")
_SEVERAL_POINTS = re.compile(r"[0-9]{1,3}(?:\.[0-9]{3}){2,}")
_DECIMAL_COMMA = re.compile(r"([0-9]+),([0-9]+)")
_SHORTHAND = re.compile(r"([0-9]+(?:\.[0-9]+)?)([kKmMbB])")
_GLUED = re.compile(r"([0-9]+(?:\.[0-9]+)?)([A-Za-z][A-Za-z0-9.]*)")
_MULTIPLIERS = {"k": 10**3, "m": 10**6, "b": 10**9}
_FIRST_NUMBERS = ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
_NUMBER_WORDS = {
    **{word: number for number, word in enumerate(_FIRST_NUMBERS, 1)},
    "eleven": 11,
    "twelve": 12,
    "twenty": 20,
    "fifty": 50,
    "hundred": 100,
    "thousand": 1_000,
}
_SIGNS = "$€£¥₹₿"
_EXACT = Context(prec=2 * MAX_AMOUNT_CHARACTERS)
_EXAMPLE = "Type digits with at most one point, such as 12.5"


def read_amount(text: str, currencies: Sequence[str]) -> str:
    """Return a positive plain decimal as typed.

    Args:
        text: the word.
        currencies: symbols of the configured tokens.

    Raises:
        WordProblem: anything else; nothing is ever guessed. Its replacement is set where only one amount can
            have been meant.
    """
    if len(text) > MAX_AMOUNT_CHARACTERS:
        raise WordProblem("amount_malformed", f"An amount has at most {MAX_AMOUNT_CHARACTERS} characters.")
    if _PLAIN.fullmatch(text):
        if not text.strip("0."):
            raise WordProblem("amount_not_positive", "The amount must be more than zero.")
        return text
    problem = (
        _explain_currency(text, currencies)
        or _explain_glued(text, currencies)
        or _explain_sign(text, currencies)
        or _explain_zeros(text)
        or _explain_comma(text)
        or _explain_groups(text)
        or _explain_exponent(text)
        or _explain_shorthand(text)
        or _explain_digits(text)
        or _explain_words(text)
    )
    if problem is not None:
        raise problem
    raise WordProblem("amount_malformed", f"'{text}' is not an amount. {_EXAMPLE}.")


def atoms_of(amount: str, token: Token) -> int:
    """Return a plain decimal in atoms of a token.

    Raises:
        WordProblem: it has more places than the token, or is more than any token can hold.
    """
    try:
        return parse_amount(amount, token.decimals)
    except AmountError as error:
        whole, _, fraction = amount.partition(".")
        if len(fraction) <= token.decimals:
            raise WordProblem("amount_too_large", f"{amount} is more than any token can hold.") from error
        kept = fraction[: token.decimals]
        shorter = f"{whole}.{kept}" if kept else whole
        raise WordProblem(
            "amount_too_precise",
            f"{token.symbol} has {token.decimals} decimal places; {amount} has {len(fraction)}. "
            f"Type at most {token.decimals}, such as {shorter}.",
        ) from error


def show_amount(atoms: int, token: Token) -> str:
    """Return atoms as people read them, such as `12.5 USDC`."""
    return f"{format_amount(atoms, token.decimals)} {token.symbol}"


def _plain(digits: str) -> str | None:
    """Return digits as the plain decimal they mean; None when they are too long or mean nothing positive."""
    if len(digits) > MAX_AMOUNT_CHARACTERS or not _LOOSE.fullmatch(digits):
        return None
    value = f"{Decimal(digits):f}"
    return value if _PLAIN.fullmatch(value) and value.strip("0.") else None


def _refusal(text: str, reason: str, meant: str | None) -> WordProblem:
    instead = f"Type {meant}." if meant else f"{_EXAMPLE}."
    return WordProblem("amount_malformed", f"'{text}' {reason}. {instead}", meant)


def _explain_currency(text: str, currencies: Sequence[str]) -> WordProblem | None:
    if text.upper() not in currencies:
        return None
    return WordProblem(
        "amount_expected",
        f"'{text}' is a currency; the amount comes before it, such as 100 {text.upper()}.",
    )


def _explain_glued(text: str, currencies: Sequence[str]) -> WordProblem | None:
    glued = _GLUED.fullmatch(text)
    if glued is None or glued[2].upper() not in currencies:
        return None
    meant = _plain(glued[1])
    return _refusal(text, "lacks a space before the currency", meant and f"{meant} {glued[2].upper()}")


def _explain_sign(text: str, currencies: Sequence[str]) -> WordProblem | None:
    if text[:1] in "+-−–" and text[:1]:
        return _refusal(text, "has a sign; amounts are positive and have none", _plain(text[1:]))
    if any(sign in text for sign in _SIGNS):
        return WordProblem(
            "amount_malformed",
            f"'{text}' is a sum of money outside the chain; amounts are in tokens ({', '.join(currencies)}). "
            f"{_EXAMPLE}.",
        )
    return None


def _explain_zeros(text: str) -> WordProblem | None:
    if _LOOSE.fullmatch(text):
        return _refusal(text, "starts with a zero too many", _plain(text))
    if text.startswith(".") and _LOOSE.fullmatch(f"0{text}"):
        return _refusal(text, "lacks the zero before its point", _plain(f"0{text}"))
    if text.endswith(".") and _LOOSE.fullmatch(text[:-1]):
        return _refusal(text, "ends with a point", _plain(text[:-1]))
    return None


def _explain_comma(text: str) -> WordProblem | None:
    comma = _DECIMAL_COMMA.fullmatch(text)
    if comma is None:
        return None
    whole, fraction = comma.groups()
    without, with_point = _plain(whole + fraction), _plain(f"{whole}.{fraction}")
    readings = tuple(reading for reading in (with_point, without) if reading is not None)
    return WordProblem(
        "amount_malformed",
        f"'{text}' can be read in two ways. Type {without or 'the digits'} without the comma, or "
        f"{whole}.{fraction} with a point.",
        alternatives=readings,
    )


def _explain_words(text: str) -> WordProblem | None:
    number = _NUMBER_WORDS.get(text.lower())
    return None if number is None else _refusal(text, "is written in letters; write digits", str(number))


def _explain_groups(text: str) -> WordProblem | None:
    reason = "has thousands separators; leave them out"
    if _COMMA_GROUPS.fullmatch(text):
        return _refusal(text, reason, _plain(text.replace(",", "")))
    if _POINT_GROUPS.fullmatch(text):
        return _refusal(text, reason, _plain(text.replace(".", "").replace(",", ".")))
    if _SEVERAL_POINTS.fullmatch(text):
        return _refusal(text, reason, _plain(text.replace(".", "")))
    grouped = _OTHER_GROUPS.fullmatch(text)
    return _refusal(text, reason, _plain(text.replace(grouped["mark"], ""))) if grouped else None


def _explain_exponent(text: str) -> WordProblem | None:
    exponent = _EXPONENT.fullmatch(text)
    if exponent is None:
        return None
    value = f"{_EXACT.scaleb(Decimal(exponent[1]), int(exponent[2])):f}"
    return _refusal(text, "has an exponent; write all digits", _plain(value))


def _explain_shorthand(text: str) -> WordProblem | None:
    shorthand = _SHORTHAND.fullmatch(text)
    if shorthand is None:
        return None
    value = _EXACT.multiply(Decimal(shorthand[1]), _MULTIPLIERS[shorthand[2].lower()])
    digits = f"{value:f}"
    meant = digits.rstrip("0").rstrip(".") if "." in digits else digits
    return _refusal(text, "is shorthand; write all digits", _plain(meant))


def _explain_digits(text: str) -> WordProblem | None:
    if text.isascii() or not any(character.isdecimal() for character in text):
        return None
    ascii_text = "".join(
        str(unicodedata.decimal(character)) if character.isdecimal() else character for character in text
    )
    return _refusal(text, "is not written in the digits 0 to 9", _plain(ascii_text))
