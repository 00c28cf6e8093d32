"""What a wallet has to know about the development chain."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

from snowrail_client import Rpc

_BALANCE_OF = "0x70a08231"


@dataclass(frozen=True)
class Token:
    """A token of the chain; the native coin has the zero address."""

    symbol: str
    address: str
    decimals: int

    @property
    def is_native(self) -> bool:
        """Whether it is the chain's own coin."""
        return int(self.address, 16) == 0

    def atoms(self, amount: str) -> int:
        """Return an amount in decimal notation as atoms."""
        return int(Decimal(amount).scaleb(self.decimals))

    def text(self, atoms: int) -> str:
        """Return an amount of atoms for people."""
        amount = f"{Decimal(atoms).scaleb(-self.decimals):f}"
        return f"{amount.rstrip('0').rstrip('.') if '.' in amount else amount} {self.symbol}"


@dataclass(frozen=True)
class Chain:
    """The development chain, as its description says."""

    chain_id: int
    url: str
    tokens: tuple[Token, ...]

    @classmethod
    def load(cls, chains_file: Path) -> "Chain":
        """Return the first chain of a chains file."""
        chain: Mapping[str, Any] = json.loads(chains_file.read_text())["chains"][0]
        tokens = tuple(Token(item["symbol"], item["address"], item["decimals"]) for item in chain["tokens"])
        return cls(chain["chain_id"], chain["rpc_urls"][0], tokens)

    def token(self, symbol: str) -> Token:
        """Return a token by its symbol."""
        return next(token for token in self.tokens if token.symbol == symbol)

    def amount_text(self, token_id: str, atoms: str | int) -> str:
        """Return an amount as it comes on the wire for people."""
        address = token_id.partition(":")[2]
        token = next(token for token in self.tokens if token.address == address)
        return token.text(int(atoms))


async def read_balance(rpc: Rpc, token: Token, address: str) -> int:
    """Return what an address holds on the chain, in atoms."""
    if token.is_native:
        return int(await rpc.call("eth_getBalance", address, "latest"), 16)
    call = {"to": token.address, "data": _BALANCE_OF + address[2:].lower().rjust(64, "0")}
    return int(await rpc.call("eth_call", call, "latest"), 16)
