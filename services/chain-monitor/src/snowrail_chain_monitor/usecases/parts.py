"""What chain-monitor is made of."""

import asyncio
from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import datetime

from snowrail_chain.config import ChainConfig
from snowrail_chain.cursor import RangeSize
from snowrail_chain_monitor.balances import Balances
from snowrail_chain_monitor.clients import ChainReader, HeadListener
from snowrail_chain_monitor.escrow_book import KnownBook
from snowrail_chain_monitor.gas_prices import GasPrices
from snowrail_chain_monitor.settings import Settings
from snowrail_kit.clock import Clock
from snowrail_kit.database import Database
from snowrail_kit.unit_of_work import Transaction


@dataclass
class Follower:
    """One chain that is followed, and what this process remembers of it between passes."""

    config: ChainConfig
    reader: ChainReader
    heads: HeadListener | None
    size: RangeSize
    node_is_up: bool = True
    lacking_since: datetime | None = None
    book: KnownBook = field(default_factory=KnownBook)
    book_lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    executors: frozenset[str] = field(init=False)

    def __post_init__(self) -> None:
        self.executors = frozenset(self.config.executors)

    @property
    def label(self) -> str:
        """Label of the chain's metrics."""
        return str(self.config.chain_id)


@dataclass(frozen=True)
class Parts:
    """What chain-monitor is made of."""

    settings: Settings
    clock: Clock
    database: Database
    transaction: Callable[[], AbstractAsyncContextManager[Transaction]]
    followers: Mapping[int, Follower]
    readers: Mapping[int, ChainReader]
    balances: Balances
    gas_prices: GasPrices
