"""Chains, tokens and contract addresses, from the file that SNOWRAIL_CHAINS_FILE names."""

import json
import os
import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Annotated, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from snowrail_chain.addresses import NATIVE_TOKEN, AddressError, parse_address

ConfiguredAddress = Annotated[str, AfterValidator(parse_address)]


class ChainConfigError(ValueError):
    """The chains file is missing or wrong."""


class UnknownChain(LookupError):
    """No such chain is configured."""


class UnknownToken(LookupError):
    """No such token is configured."""


class InvalidTokenId(ValueError):
    """Not of the form `<chain_id>:<EIP-55 token address>`."""


@dataclass(frozen=True, slots=True)
class TokenId:
    """A token on a chain; the zero address is the native coin. Its text is the form on the wire."""

    chain_id: int
    address: str

    def __str__(self) -> str:
        return f"{self.chain_id}:{self.address}"

    @property
    def is_native(self) -> bool:
        """Whether this is the chain's native coin."""
        return self.address == NATIVE_TOKEN


def parse_token_id(text: str) -> TokenId:
    """Parse `<chain_id>:<EIP-55 token address>`.

    Raises:
        InvalidTokenId: Another form, a chain id with leading zeros, or an address without its checksum.
    """
    chain, separator, address = text.partition(":")
    if not separator or not (chain.isascii() and chain.isdecimal()) or chain.startswith("0"):
        raise InvalidTokenId(f"not a token id: {text!r}")
    try:
        return TokenId(int(chain), parse_address(address))
    except AddressError as problem:
        raise InvalidTokenId(f"not a token id: {text!r}: {problem}") from problem


def format_token_id(chain_id: int, address: str) -> str:
    """Form of a token on the wire."""
    return str(TokenId(chain_id, address))


class TokenConfig(BaseModel):
    """A token that may be paid with.

    `decimals` is the number of decimal places of one unit; `permit` says that it takes EIP-2612 permits.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    symbol: Annotated[str, Field(pattern=r"^[A-Z0-9.]{1,16}$")]
    address: ConfiguredAddress
    decimals: Annotated[int, Field(ge=0, le=36)]
    name: str = ""
    permit: bool = False

    @property
    def is_native(self) -> bool:
        """Whether this is the chain's native coin."""
        return self.address == NATIVE_TOKEN


class SafeContracts(BaseModel):
    """The contracts of Safe on a chain: what accounts delegate to, what creates them, what batches calls."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    singleton: ConfiguredAddress
    proxy_factory: ConfiguredAddress
    fallback_handler: ConfiguredAddress
    multi_send: ConfiguredAddress
    multi_send_call_only: ConfiguredAddress


class ChainConfig(BaseModel):
    """One chain.

    `confirmations` is the number of blocks, counting the including one, after which a transaction is final;
    `start_block` is where reading logs begins; `executors` may ask the contracts to execute.
    Batches, mandates and multisig accounts are offered where their contracts are configured.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    chain_id: Annotated[int, Field(gt=0)]
    name: str
    rpc_urls: Annotated[tuple[str, ...], Field(min_length=1)]
    ws_url: str | None = None
    confirmations: Annotated[int, Field(ge=1)]
    block_time_seconds: Annotated[float, Field(gt=0)]
    explorer_url: str | None = None
    start_block: Annotated[int, Field(ge=0)] = 0
    escrow: ConfiguredAddress
    batch_payout: ConfiguredAddress | None = None
    spending_mandate: ConfiguredAddress | None = None
    safe: SafeContracts | None = None
    executors: tuple[ConfiguredAddress, ...] = ()
    tokens: Annotated[tuple[TokenConfig, ...], Field(min_length=1)]

    @model_validator(mode="after")
    def _tokens_are_distinct(self) -> Self:
        for values in ([token.symbol for token in self.tokens], [token.address for token in self.tokens]):
            if len(set(values)) != len(values):
                raise ValueError(f"chain {self.chain_id} configures a token twice")
        return self

    def token(self, symbol: str) -> TokenConfig:
        """Token of this symbol, in any case.

        Raises:
            UnknownToken: Not configured.
        """
        for token in self.tokens:
            if token.symbol == symbol.upper():
                return token
        raise UnknownToken(f"no token {symbol!r} on {self.name}")

    def token_at(self, address: str) -> TokenConfig:
        """Token at this EIP-55 address; the zero address is the native coin.

        Raises:
            UnknownToken: Not configured.
        """
        for token in self.tokens:
            if token.address == address:
                return token
        raise UnknownToken(f"no token at {address} on {self.name}")

    def token_id(self, symbol: str) -> str:
        """Form on the wire of the token of this symbol.

        Raises:
            UnknownToken: Not configured.
        """
        return format_token_id(self.chain_id, self.token(symbol).address)

    def transaction_url(self, transaction_hash: str) -> str | None:
        """Explorer page of a transaction, when the chain has an explorer."""
        return f"{self.explorer_url.rstrip('/')}/tx/{transaction_hash}" if self.explorer_url else None


_VARIABLE = re.compile(r'"\$\{([A-Z][A-Z0-9_]*)\}"')


def _from_environment(text: str, path: str | Path) -> str:
    def value(found: re.Match[str]) -> str:
        name = found.group(1)
        if not os.environ.get(name):
            raise ChainConfigError(f"the chains file {path} needs the environment variable {name}")
        return json.dumps(os.environ[name])

    return _VARIABLE.sub(value, text)


class ChainRegistry(BaseModel):
    """All configured chains."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    chains: Annotated[tuple[ChainConfig, ...], Field(min_length=1)]

    @model_validator(mode="after")
    def _chains_are_distinct(self) -> Self:
        if len(self._by_id) != len(self.chains):
            raise ValueError("a chain is configured twice")
        return self

    @cached_property
    def _by_id(self) -> dict[int, ChainConfig]:
        return {chain.chain_id: chain for chain in self.chains}

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Load and check the chains file. A text that is `${NAME}` stands for that environment variable.

        Raises:
            ChainConfigError: The file cannot be read, does not describe chains, or needs a variable that is
                not set.
        """
        try:
            return cls.model_validate_json(_from_environment(Path(path).read_text(), path))
        except OSError as problem:
            raise ChainConfigError(f"cannot read the chains file {path}: {problem.strerror}") from problem
        except UnicodeDecodeError as problem:
            raise ChainConfigError(f"the chains file {path} is no text") from problem
        except ValidationError as problem:
            raise ChainConfigError(f"the chains file {path} is wrong: {problem}") from problem

    def chain(self, chain_id: int) -> ChainConfig:
        """Chain of this id.

        Raises:
            UnknownChain: Not configured.
        """
        try:
            return self._by_id[chain_id]
        except KeyError:
            raise UnknownChain(f"chain {chain_id} is not configured") from None

    def token(self, token_id: str) -> tuple[ChainConfig, TokenConfig]:
        """Chain and token of a token id.

        Raises:
            InvalidTokenId: Not a token id.
            UnknownChain: Its chain is not configured.
            UnknownToken: The chain does not configure the token.
        """
        parsed = parse_token_id(token_id)
        chain = self.chain(parsed.chain_id)
        return chain, chain.token_at(parsed.address)
