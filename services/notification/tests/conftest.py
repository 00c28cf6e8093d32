"""Notification over a real broker and database."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from snowrail_kit.clock import Clock
from snowrail_notification.app import service
from snowrail_notification.settings import Settings
from snowrail_testkit import Broker, CreateDatabase, FakeClock, RunningService, running_service
from snowrail_testkit.tokens import TokenIssuer

from .support import CHAINS, MovingClock, StartNotification


@pytest.fixture
def issuer(tmp_path: Path) -> TokenIssuer:
    """Signs the tokens that the service believes."""
    return TokenIssuer.create(tmp_path)


@pytest.fixture
def moving_clock() -> MovingClock:
    """A clock that runs, and can be moved ahead."""
    return MovingClock()


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
