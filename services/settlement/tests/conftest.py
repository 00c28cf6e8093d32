"""A chain with the escrow on it, chain-monitor that tells of it, and settlement that moves money."""

from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import pytest
import pytest_asyncio
from pydantic import SecretStr

from snowrail_chain_monitor.app import service as monitor_service
from snowrail_chain_monitor.settings import Settings as MonitorSettings
from snowrail_settlement.app import service
from snowrail_settlement.settings import Settings
from snowrail_testkit import Broker, CreateDatabase, DevChain, RunningService, TestDatabase, running_service
from snowrail_testkit.escrow import EXECUTOR_KEY, EscrowWorld


class StartWorld(Protocol):
    """Starts a chain with the escrow and test tokens on it."""

    async def __call__(self, *, confirmations: int = 2, **options: Any) -> EscrowWorld:
        """Return the chain; options are anvil's."""
        ...


class RunService(Protocol):
    """Runs a service on a world's chain until the block ends; a second time with the same database."""

    def __call__(self, world: EscrowWorld, **options: Any) -> AbstractAsyncContextManager[RunningService]:
        """Settings may be replaced by name; `rpc_url` is where the service reaches the chain."""
        ...


@dataclass(frozen=True)
class Databases:
    """Databases of one test."""

    settlement: TestDatabase
    monitor: TestDatabase


@pytest.fixture
def start_world(start_chain: Callable[..., DevChain], tmp_path: Path) -> StartWorld:
    """Start a chain of this test alone."""

    async def start(*, confirmations: int = 2, **options: Any) -> EscrowWorld:
        return await EscrowWorld.create(start_chain(**options), tmp_path, confirmations=confirmations)

    return start


@pytest_asyncio.fixture(loop_scope="session")
async def world(start_world: StartWorld) -> EscrowWorld:
    """A chain that mines each transaction at once; the second block makes it final."""
    return await start_world()


@pytest_asyncio.fixture(loop_scope="session")
async def databases(create_database: CreateDatabase) -> Databases:
    """Empty databases of both services."""
    return Databases(
        await create_database("snowrail_settlement"), await create_database("snowrail_chain_monitor")
    )


def _chains_file(world: EscrowWorld, folder: Path, name: str, rpc_url: str | None) -> Path:
    urls = (rpc_url,) if rpc_url else world.config.rpc_urls
    served = EscrowWorld(world.chain, world.config.model_copy(update={"rpc_urls": urls}), world.deployment)
    return served.write_chains_file(folder / f"{name}.json")


@pytest.fixture
def run_monitor(broker: Broker, databases: Databases, tmp_path: Path) -> RunService:
    """Run chain-monitor."""

    @asynccontextmanager
    async def run(world: EscrowWorld, **options: Any) -> AsyncGenerator[RunningService]:
        chains_file = _chains_file(world, tmp_path, "monitor", options.pop("rpc_url", None))
        values: dict[str, Any] = {"chains_file": chains_file, "gas_price_every_seconds": 3_600, **options}
        settings = broker.settings(MonitorSettings, "chain-monitor", databases.monitor, **values)
        async with running_service(monitor_service, settings) as running:
            yield running

    return run


@pytest.fixture
def run_settlement(broker: Broker, databases: Databases, tmp_path: Path) -> RunService:
    """Run settlement, impatient enough for tests."""

    @asynccontextmanager
    async def run(world: EscrowWorld, **options: Any) -> AsyncGenerator[RunningService]:
        chains_file = _chains_file(world, tmp_path, "settlement", options.pop("rpc_url", None))
        values: dict[str, Any] = {
            "chains_file": chains_file,
            "executor_key": SecretStr(EXECUTOR_KEY),
            "retry_seconds": 0.2,
            "wait_step_seconds": 0.2,
            "reconcile_every_seconds": 0.3,
            "rpc_timeout_seconds": 2,
            **options,
        }
        settings = broker.settings(Settings, "settlement", databases.settlement, **values)
        async with running_service(service, settings) as running:
            yield running

    return run
