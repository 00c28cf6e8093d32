"""What notification is composed of."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass

from snowrail_chain.config import ChainRegistry
from snowrail_kit.database import Database
from snowrail_kit.unit_of_work import Transaction
from snowrail_notification.settings import Settings


@dataclass(frozen=True, slots=True)
class Parts:
    """Settings, chains and tokens, and the database."""

    settings: Settings
    registry: ChainRegistry
    database: Database
    transaction: Callable[[], AbstractAsyncContextManager[Transaction]]
