"""What the use cases of fraud are given to work with."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass

from snowrail_fraud.domain.scoring import Cutoffs, Scorer
from snowrail_fraud.settings import Settings
from snowrail_kit.clock import Clock
from snowrail_kit.database import Database
from snowrail_kit.ids import Ids
from snowrail_kit.unit_of_work import Transaction


@dataclass(frozen=True)
class Parts:
    """Composed once in `app.py`."""

    settings: Settings
    clock: Clock
    ids: Ids
    database: Database
    transaction: Callable[[], AbstractAsyncContextManager[Transaction]]
    scorer: Scorer
    cutoffs: Cutoffs
