"""Conditions as people type them: `if CRO < 0.10`, `if gas < 5000 gwei`."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Literal

from lark import Lark, Token, Transformer
from lark.exceptions import UnexpectedInput, VisitError

from snowrail_chat.domain.errors import WordProblem

Comparison = Literal["below", "above"]
BELOW: Comparison = "below"
ABOVE: Comparison = "above"
_SIGNS: dict[str, Comparison] = {
    "<": BELOW,
    ">": ABOVE,
    BELOW: BELOW,
    ABOVE: ABOVE,
    "under": BELOW,
    "over": ABOVE,
}
_GWEI_DECIMALS = 9
_EXAMPLES = "such as 'if CRO < 0.10' or 'if gas < 5000 gwei'"

_GRAMMAR = r"""
?start: _IF (gas | price)
gas: GAS SIGN NUMBER UNIT
price: SYMBOL SIGN NUMBER _USD?

_IF: /if\b/i
_USD: /usd\b/i
GAS.2: /gas(?=\s|[<>])/i
SYMBOL: /[A-Za-z][A-Za-z0-9.]*/
SIGN: /<(?!=)|>(?!=)|(below|above|under|over)\b/i
NUMBER: /(0|[1-9][0-9]{0,19})(\.[0-9]{1,18})?(?=\s|$)/
UNIT: /gwei\b/i
%ignore /\s+/
"""
_PARSER = Lark(_GRAMMAR, parser="lalr", lexer="contextual")
_NEAR_SIGN = re.compile(r"<=|>=|=<|=>|==?|≤|≥|!=")
_GAS_WITHOUT_UNIT = re.compile(r"(if gas (?:<|>|below|above|under|over) ?[0-9.]+)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class PriceCondition:
    """A token costs less or more than so many US dollars."""

    symbol: str
    comparison: Comparison
    value: str

    def __str__(self) -> str:
        return f"if {self.symbol} {_sign(self.comparison)} {self.value}"


@dataclass(frozen=True, slots=True)
class GasCondition:
    """Gas costs less or more than so many gwei."""

    comparison: Comparison
    gwei: str

    def __str__(self) -> str:
        return f"if gas {_sign(self.comparison)} {self.gwei} gwei"

    @property
    def wei(self) -> int:
        """The price of gas in wei."""
        return int(Decimal(self.gwei).scaleb(_GWEI_DECIMALS))


Condition = PriceCondition | GasCondition


class _Reader(Transformer[Token, Condition]):
    def __init__(self, currencies: Sequence[str]) -> None:
        super().__init__()
        self._currencies = currencies

    def price(self, items: list[Token]) -> PriceCondition:
        symbol, sign, number = items
        if symbol.upper() not in self._currencies:
            raise _problem(
                "currency_unknown",
                f"'{symbol}' is no currency here; there are {', '.join(self._currencies)}, and gas.",
                symbol,
            )
        return PriceCondition(symbol.upper(), _SIGNS[sign.lower()], _positive(number))

    def gas(self, items: list[Token]) -> GasCondition:
        _, sign, number, _ = items
        if len(number.partition(".")[2]) > _GWEI_DECIMALS:
            raise _problem("condition_malformed", f"A gwei has {_GWEI_DECIMALS} decimal places.", number)
        return GasCondition(_SIGNS[sign.lower()], _positive(number))


def read_condition(text: str, currencies: Sequence[str]) -> Condition:
    """Return what a text such as `if CRO < 0.10` means.

    Raises:
        WordProblem: it means nothing.
    """
    try:
        return _Reader(currencies).transform(_PARSER.parse(text))
    except VisitError as error:
        if isinstance(error.orig_exc, WordProblem):
            raise error.orig_exc from error
        raise
    except UnexpectedInput as error:
        raise _explain(text, min(error.pos_in_stream or len(text), len(text))) from error


def _sign(comparison: Comparison) -> str:
    return "<" if comparison == BELOW else ">"


def _problem(code: str, message: str, token: Token) -> WordProblem:
    return WordProblem(code, message, start=token.start_pos or 0, length=len(token))


def _positive(number: Token) -> str:
    if not number.strip("0."):
        raise _problem("condition_malformed", "The limit must be more than zero.", number)
    return str(number)


def _explain(text: str, position: int) -> WordProblem:
    near = _NEAR_SIGN.search(text)
    if near:
        signs = (
            ("<", ">")
            if near[0] in ("=", "==", "!=")
            else ("<",)
            if "<" in near[0] or "≤" in near[0]
            else (">",)
        )
        return WordProblem(
            "condition_malformed",
            f"'{near[0]}' is not known here: type {' or '.join(signs)}.",
            alternatives=tuple(f"{text[: near.start()]}{sign}{text[near.end() :]}" for sign in signs),
            start=near.start(),
            length=len(near[0]),
        )
    if _GAS_WITHOUT_UNIT.fullmatch(text):
        return WordProblem(
            "condition_malformed",
            "Say the unit of the gas price: gwei.",
            f"{text} gwei",
            start=len(text),
            length=0,
        )
    if position >= len(text):
        message = f"The condition is not complete; type it {_EXAMPLES}."
        return WordProblem("condition_malformed", message, start=len(text), length=0)
    return WordProblem(
        "condition_malformed",
        f"The condition is not understood from here on. Type it {_EXAMPLES}.",
        start=position,
        length=1,
    )
