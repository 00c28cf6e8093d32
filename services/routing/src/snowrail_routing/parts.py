"""What routing is composed of."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass

from snowrail_kit.clock import Clock
from snowrail_kit.database import Database
from snowrail_kit.unit_of_work import Transaction
from snowrail_routing.domain import RailOffer
from snowrail_routing.settings import RailSettings


@dataclass(frozen=True, slots=True)
class Parts:
    """Rails from configuration, database, clock, and where randomness comes from."""

    rails: tuple[RailSettings, ...]
    offers: tuple[RailOffer, ...]
    database: Database
    transaction: Callable[[], AbstractAsyncContextManager[Transaction]]
    clock: Clock
    draw: Callable[[], float]
