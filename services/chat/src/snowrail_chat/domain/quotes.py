"""Amounts with their symbols and what they are worth, from the configured chains and the known prices."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from snowrail_chain.config import ChainConfig, ChainRegistry, InvalidTokenId, UnknownChain, UnknownToken
from snowrail_chat.domain.amounts import show_amount
from snowrail_chat.domain.fiat import Price, Worth, with_worth, worth
from snowrail_kit.money import Token


def tokens_of(chain: ChainConfig) -> tuple[Token, ...]:
    """Return the tokens of a chain as amounts are read and shown in them."""
    return tuple(Token(chain.chain_id, token.address, token.symbol, token.decimals) for token in chain.tokens)


def token_of(chains: ChainRegistry, token_id: str) -> Token | None:
    """Return a token by its name on the wire; None when it is not configured."""
    try:
        chain, token = chains.token(token_id)
    except (InvalidTokenId, UnknownChain, UnknownToken):
        return None
    return Token(chain.chain_id, token.address, token.symbol, token.decimals)


def zone_of(name: str) -> ZoneInfo:
    """Return a time zone, UTC where its name is not known here."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError):
        return ZoneInfo("UTC")


@dataclass(frozen=True, slots=True)
class Quotes:
    """What is needed to show amounts at a time.

    Attributes:
        chain: the chain on which commands pay.
        prices: by symbol, in the currency of the display.
        gas_prices: wei by chain, where a recent one is known.
        fresh: up to which age a price is shown without a remark.
        zone: in which times are shown.
    """

    chains: ChainRegistry
    chain: ChainConfig
    prices: Mapping[str, Price]
    gas_prices: Mapping[int, int]
    now: datetime
    fresh: timedelta
    zone: ZoneInfo = field(default_factory=lambda: ZoneInfo("UTC"))

    def moment(self, at: datetime) -> str:
        """Return a time for people, in their time zone."""
        return f"{at.astimezone(self.zone):%Y-%m-%d %H:%M:%S} {self.zone.key}"

    def token(self, token_id: str) -> Token | None:
        """Return a token by its name on the wire; None when it is no longer configured."""
        return token_of(self.chains, token_id)

    def native_token(self, chain_id: int) -> Token | None:
        """Return the coin in which a chain takes its fees."""
        return self.token(f"{chain_id}:0x{'0' * 40}")

    def chain_of(self, chain_id: int) -> ChainConfig | None:
        """Return a chain; None when it is no longer configured."""
        try:
            return self.chains.chain(chain_id)
        except UnknownChain:
            return None

    def amount(self, atoms: int, token_id: str) -> str:
        """Return an amount with its symbol."""
        token = self.token(token_id)
        return f"{atoms} atoms of {token_id}" if token is None else show_amount(atoms, token)

    def worth(self, atoms: int, token: Token) -> Worth | None:
        """Return what an amount is worth; None without a price."""
        return worth(atoms, token, self.prices.get(token.symbol), self.now, self.fresh)

    def valued(self, atoms: int, token_id: str) -> str:
        """Return an amount with its symbol and what it is worth."""
        token = self.token(token_id)
        return self.amount(atoms, token_id) if token is None else self.valued_in(atoms, token)

    def valued_in(self, atoms: int, token: Token) -> str:
        """Return an amount of a token and what it is worth."""
        return with_worth(show_amount(atoms, token), self.worth(atoms, token))
