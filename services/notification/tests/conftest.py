"""Notification over a real broker and database."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from snowrail_kit.clock import Clock
from snowrail_notification.app import service
from snowrail_notification.settings import Settings
from snowrail_testkit import Broker, CreateDatabase, FakeClock, RunningService, running_service
from snowrail_testkit.tokens import TokenIssuer

CHAINS = """{"chains": [{"chain_id": 31337, "name": "dev", "rpc_urls": ["http://127.0.0.1:1"],
 "confirmations": 1,
 "block_time_seconds": 1, "explorer_url": null, "start_block": 0,
 "escrow": "0x5FbDB2315678afecb367f032d93F642f64180aa3", "executors": [],
 "tokens": [{"symbol": "CRO", "address": "0x0000000000000000000000000000000000000000", "decimals": 18,
             "name": "Cronos"}]}]}"""


@pytest.fixture
def issuer(tmp_path: Path) -> TokenIssuer:
    """Signs the tokens that the service believes."""
    return TokenIssuer.create(tmp_path)


class MovingClock:
    """The real time, moved: claims and rates need time that passes, back-off time that jumps."""

    def __init__(self) -> None:
        self._ahead = timedelta(0)

    def now(self) -> datetime:
        """Return the time."""
        return datetime.now(UTC) + self._ahead

    def advance(self, seconds: float) -> None:
        """Move ahead."""
        self._ahead += timedelta(seconds=seconds)


@pytest.fixture
def moving_clock() -> MovingClock:
    """A clock that runs, and can be moved ahead."""
    return MovingClock()


StartNotification = Callable[..., Awaitable[RunningService]]


@pytest_asyncio.fixture(loop_scope="session")
async def start_notification(
    broker: Broker, create_database: CreateDatabase, issuer: TokenIssuer, tmp_path: Path
) -> AsyncIterator[StartNotification]:
    """Start notification with settings of the test's own, over one database; a second start is a replica."""
    chains = tmp_path / "chains.json"
    chains.write_text(CHAINS)
    database = await create_database("snowrail_notification")
    async with AsyncExitStack() as stack:

        async def start(clock: Clock, **options: Any) -> RunningService:
            settings = broker.settings(
                Settings,
                "notification",
                database,
                chains_file=chains,
                jwt_public_keys_file=issuer.jwks_file,
                **options,
            )
            return await stack.enter_async_context(running_service(service, settings, clock))

        yield start


@pytest_asyncio.fixture(loop_scope="session")
async def notification(start_notification: StartNotification, clock: FakeClock) -> RunningService:
    """Notification, running, without channels."""
    return await start_notification(clock)
