"""What chat is composed of."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass

from snowrail_chain.config import ChainConfig, ChainRegistry
from snowrail_chat.clients import Balances, Transactions
from snowrail_chat.domain.kinds import Vocabulary
from snowrail_chat.settings import Settings
from snowrail_kit.clock import Clock
from snowrail_kit.database import Database
from snowrail_kit.unit_of_work import Transaction


@dataclass(frozen=True, slots=True)
class Parts:
    """Settings, configuration of the chain, what outside systems are asked through, and the database.

    Attributes:
        chain: the chain on which commands pay.
        vocabulary: symbols of its tokens, the default one first.
    """

    settings: Settings
    clock: Clock
    database: Database
    transaction: Callable[[], AbstractAsyncContextManager[Transaction]]
    chains: ChainRegistry
    chain: ChainConfig
    vocabulary: Vocabulary
    balances: Balances
    transactions: Transactions
