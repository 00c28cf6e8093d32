"""What the orchestrator is composed of."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass

from snowrail_kit.database import Database
from snowrail_kit.unit_of_work import Transaction
from snowrail_payment_orchestrator.settings import Settings


@dataclass(frozen=True, slots=True)
class Parts:
    """Settings, the database for reads, and the transaction for work."""

    settings: Settings
    database: Database
    transaction: Callable[[], AbstractAsyncContextManager[Transaction]]
