"""What the use cases of accounts are given to work with."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any

from snowrail_accounts.domain.sign_in import Origin
from snowrail_accounts.keys import SigningKey
from snowrail_accounts.settings import Settings
from snowrail_kit.clock import Clock
from snowrail_kit.database import Database
from snowrail_kit.ids import Ids
from snowrail_kit.unit_of_work import Transaction


@dataclass(frozen=True)
class Parts:
    """Composed once in `app.py`.

    Attributes:
        random_bytes: gives that many unpredictable bytes.
        public_keys: JSON Web Key Set to publish.
        origin: the site that sign-in messages have to be for.
    """

    settings: Settings
    clock: Clock
    ids: Ids
    random_bytes: Callable[[int], bytes]
    database: Database
    transaction: Callable[[], AbstractAsyncContextManager[Transaction]]
    signing_key: SigningKey
    public_keys: dict[str, Any]
    origin: Origin
