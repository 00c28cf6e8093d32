"""A chain with the escrow on it, and chain-monitor following it."""

from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol
from uuid import UUID

import pytest
import pytest_asyncio

from snowrail_chain.deploy import write_chains_file
from snowrail_chain_monitor.app import service
from snowrail_chain_monitor.settings import Settings
from snowrail_kit.auth import Identity
from snowrail_testkit import Broker, CreateDatabase, DevChain, RunningService, TestDatabase, running_service
from snowrail_testkit.escrow import EscrowWorld


class RunMonitor(Protocol):
    """Runs chain-monitor on a world's chain until the block ends."""

    def __call__(
        self, world: EscrowWorld, *others: EscrowWorld, **options: Any
    ) -> AbstractAsyncContextManager[RunningService]:
        """Several chains may be followed at once; settings may be replaced by name."""
        ...


class StartWorld(Protocol):
    """Starts a chain that mines each transaction at once, with the escrow and test tokens."""

    async def __call__(
        self, *, confirmations: int = 2, announced: bool = False, chain_id: int = 31337
    ) -> EscrowWorld:
        """Return the chain: how deep is final, and whether blocks are announced over a WebSocket."""
        ...


@pytest.fixture
def start_world(start_chain: Callable[..., DevChain], tmp_path: Path) -> StartWorld:
    """Start a chain of this test alone."""

    async def start(*, confirmations: int = 2, announced: bool = False, chain_id: int = 31337) -> EscrowWorld:
        chain = start_chain(chain_id=chain_id)
        ws_url = chain.websocket_url if announced else None
        folder = tmp_path / f"chain-{chain_id}"
        folder.mkdir(exist_ok=True)
        return await EscrowWorld.create(chain, folder, confirmations=confirmations, ws_url=ws_url)

    return start


@pytest_asyncio.fixture(loop_scope="session")
async def world(start_world: StartWorld) -> EscrowWorld:
    """A chain of this test alone whose transactions are final in the second block."""
    return await start_world()


@pytest_asyncio.fixture(loop_scope="session")
async def database(create_database: CreateDatabase) -> TestDatabase:
    """An empty database of chain-monitor."""
    return await create_database("snowrail_chain_monitor")


@pytest.fixture
def run_monitor(broker: Broker, database: TestDatabase, tmp_path: Path) -> RunMonitor:
    """Run chain-monitor; running it twice in one test continues with the same database and broker."""

    @asynccontextmanager
    async def run(world: EscrowWorld, *others: EscrowWorld, **options: Any) -> AsyncGenerator[RunningService]:
        chains_file = tmp_path / "chains.json"
        write_chains_file(chains_file, [each.config for each in (world, *others)])
        values: dict[str, Any] = {"chains_file": chains_file, "gas_price_every_seconds": 0, **options}
        settings = broker.settings(Settings, "chain-monitor", database, **values)
        async with running_service(service, settings) as running:
            yield running

    return run


def sign_in(running: RunningService) -> None:
    """Have every token be believed: it names the roles of the caller, separated by commas."""

    class Everybody:
        def verify(self, token: str, now: datetime) -> Identity:
            roles = frozenset(token.split(","))
            return Identity(UUID(int=7), "alice", "0x", roles, UUID(int=8), UUID(int=9), now)

    running.runtime.verifier = Everybody()
