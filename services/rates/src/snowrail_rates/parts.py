"""What rates is composed of."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass

from snowrail_kit.clock import Clock
from snowrail_kit.database import Database
from snowrail_kit.unit_of_work import Transaction
from snowrail_rates.clients import PriceProvider
from snowrail_rates.domain import Limits
from snowrail_rates.settings import Settings


@dataclass(frozen=True, slots=True)
class Parts:
    """Settings, the provider, the database, and the clock."""

    settings: Settings
    limits: Limits
    provider: PriceProvider
    database: Database
    transaction: Callable[[], AbstractAsyncContextManager[Transaction]]
    clock: Clock
