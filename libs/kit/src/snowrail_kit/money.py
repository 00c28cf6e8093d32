"""Money: integer atoms inside, decimals only at the edge. No float ever touches an amount."""

import re
from dataclasses import dataclass

_DECIMAL = re.compile(r"(?P<whole>0|[1-9][0-9]*)(?:\.(?P<fraction>[0-9]+))?\Z")
MAX_ATOMS = 2**256 - 1


class AmountError(ValueError):
    """An amount cannot be read; the message says what to type instead."""


@dataclass(frozen=True, slots=True)
class Token:
    """A token of a configured chain.

    Attributes:
        chain_id: EIP-155 chain id.
        address: EIP-55 address; the zero address is the native coin.
        symbol: what a person types, such as `USDC`.
        decimals: places of one whole token; 10**decimals atoms make one.
    """

    chain_id: int
    address: str
    symbol: str
    decimals: int

    @property
    def token_id(self) -> str:
        """The token's name on the wire."""
        return f"{self.chain_id}:{self.address}"

    @property
    def is_native(self) -> bool:
        """Whether this is the chain's own coin."""
        return int(self.address, 16) == 0


def parse_amount(text: str, decimals: int) -> int:
    """Return the positive amount of atoms that a person typed as a plain decimal.

    Raises:
        AmountError: not a plain positive decimal, too many places, or above 2**256 - 1 atoms.
    """
    match = _DECIMAL.match(text)
    if match is None:
        raise AmountError(f"'{text}' is not an amount: type digits with at most one point, such as 12.5")
    fraction = match["fraction"] or ""
    if len(fraction) > decimals:
        raise AmountError(f"'{text}' has {len(fraction)} decimal places; this token has {decimals}")
    atoms = int(match["whole"]) * 10**decimals + int(fraction.ljust(decimals, "0") or "0")
    if atoms == 0:
        raise AmountError("the amount must be more than zero")
    if atoms > MAX_ATOMS:
        raise AmountError(f"'{text}' is more than any token can hold")
    return atoms


def format_amount(atoms: int, decimals: int) -> str:
    """Return atoms as the shortest plain decimal that `parse_amount` reads back exactly."""
    sign, digits = ("-", -atoms) if atoms < 0 else ("", atoms)
    whole, fraction = divmod(digits, 10**decimals)
    places = str(fraction).zfill(decimals).rstrip("0") if fraction else ""
    return f"{sign}{whole}.{places}" if places else f"{sign}{whole}"
