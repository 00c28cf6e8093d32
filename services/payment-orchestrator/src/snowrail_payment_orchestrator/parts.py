"""What the orchestrator is composed of."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass

from snowrail_kit.clock import Clock
from snowrail_kit.database import Database
from snowrail_kit.unit_of_work import Transaction
from snowrail_payment_orchestrator.clients import ChainMonitor
from snowrail_payment_orchestrator.settings import Settings


@dataclass(frozen=True, slots=True)
class Parts:
    """Settings, the clock, the database for reads, the transaction for work, and who reads the chains."""

    settings: Settings
    clock: Clock
    monitor: ChainMonitor
    database: Database
    transaction: Callable[[], AbstractAsyncContextManager[Transaction]]
