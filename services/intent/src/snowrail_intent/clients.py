"""What the service asks others for: balances, allowances and the gas price, from chain-monitor."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import httpx
import structlog
from pydantic import BaseModel, ValidationError

from snowrail_events.fields import Atoms
from snowrail_kit.consumer import Unavailable

log = structlog.get_logger("chain-monitor")

MAX_QUERIES = 500
"""Balances, and allowances, of one HTTP request; chain-monitor takes no more."""


@dataclass(frozen=True, slots=True, order=True)
class Wallet:
    """An account and the token it is asked about, both as EIP-55 addresses."""

    address: str
    token: str


@dataclass(frozen=True, slots=True)
class ChainQuestion:
    """What is asked about one chain.

    Attributes:
        balances: wallets whose balance is asked for.
        allowances: wallets of which the escrow's allowance is asked for.
    """

    chain_id: int
    escrow: str
    balances: frozenset[Wallet] = frozenset()
    allowances: frozenset[Wallet] = frozenset()


@dataclass(frozen=True, slots=True)
class ChainReading:
    """One chain at a block or a few: atoms by wallet, gas price in wei.

    Attributes:
        block_number: the oldest block that a part of it was read at.
    """

    block_number: int
    gas_price: int
    balances: Mapping[Wallet, int] = field(default_factory=dict[Wallet, int])
    allowances: Mapping[Wallet, int] = field(default_factory=dict[Wallet, int])


class ChainMonitor(Protocol):
    """Reads the chain on our behalf."""

    async def read(self, question: ChainQuestion) -> ChainReading:
        """Return what was asked for, at the newest blocks.

        Raises:
            Unavailable: it cannot be reached, or answers something else; nothing is known then.
        """
        ...


class _Answer(BaseModel):
    balances: list[Atoms]
    allowances: list[Atoms]
    gas_price: Atoms
    block_number: int


class HttpChainMonitor:
    """chain-monitor over its internal HTTP interface."""

    def __init__(self, http: httpx.AsyncClient, url: str) -> None:
        self._http = http
        self._url = f"{url.rstrip('/')}/internal/balances"

    async def read(self, question: ChainQuestion) -> ChainReading:
        """Return what was asked for, at the newest blocks.

        Raises:
            Unavailable: it cannot be reached, or answers something else; nothing is known then.
        """
        wallets = sorted(question.balances | question.allowances)
        reading = await self._read(question, wallets[:MAX_QUERIES])
        for start in range(MAX_QUERIES, len(wallets), MAX_QUERIES):
            more = await self._read(question, wallets[start : start + MAX_QUERIES])
            reading = ChainReading(
                block_number=min(reading.block_number, more.block_number),
                gas_price=more.gas_price,
                balances={**reading.balances, **more.balances},
                allowances={**reading.allowances, **more.allowances},
            )
        return reading

    async def _read(self, question: ChainQuestion, wallets: Sequence[Wallet]) -> ChainReading:
        balances = [wallet for wallet in wallets if wallet in question.balances]
        allowances = [wallet for wallet in wallets if wallet in question.allowances]
        body = {
            "chain_id": question.chain_id,
            "fresh": True,
            "queries": [{"address": wallet.address, "token": wallet.token} for wallet in balances],
            "allowances": [
                {"owner": wallet.address, "token": wallet.token, "spender": question.escrow}
                for wallet in allowances
            ],
        }
        try:
            response = await self._http.post(self._url, json=body)
            response.raise_for_status()
            answer = _Answer.model_validate_json(response.content)
        except (httpx.HTTPError, ValidationError) as error:
            raise Unavailable(f"chain-monitor about chain {question.chain_id}: {error}") from error
        if len(answer.balances) != len(balances) or len(answer.allowances) != len(allowances):
            raise Unavailable("chain-monitor answered another number of balances than asked")
        return ChainReading(
            block_number=answer.block_number,
            gas_price=answer.gas_price,
            balances=dict(zip(balances, answer.balances, strict=True)),
            allowances=dict(zip(allowances, answer.allowances, strict=True)),
        )


class Readings:
    """What is known of several chains; a chain that could not be read is simply not in it."""

    def __init__(self, by_chain: Mapping[int, ChainReading]) -> None:
        self._by_chain = by_chain

    def of(self, chain_id: int) -> ChainReading | None:
        """Return what is known of a chain, or None when it could not be read."""
        return self._by_chain.get(chain_id)


async def read_chains(monitor: ChainMonitor, questions: Collection[ChainQuestion]) -> Readings:
    """Ask about each chain once. One that does not answer keeps none of the others."""
    by_chain: dict[int, ChainReading] = {}
    for question in questions:
        try:
            by_chain[question.chain_id] = await monitor.read(question)
        except Unavailable as error:
            log.warning("chain not read", chain_id=question.chain_id, error=str(error))
    return Readings(by_chain)
