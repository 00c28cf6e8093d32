"""A chain with the escrow on it, chain-monitor that tells of it, and settlement that moves money."""

from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol
from uuid import UUID

import pytest
import pytest_asyncio
from pydantic import SecretStr

from snowrail_chain.send import SendResult
from snowrail_chain_monitor.app import service as monitor_service
from snowrail_chain_monitor.settings import Settings as MonitorSettings
from snowrail_kit.auth import Identity
from snowrail_settlement.app import service
from snowrail_settlement.clients import Account, Network, Node
from snowrail_settlement.settings import Settings
from snowrail_testkit import (
    Broker,
    CreateDatabase,
    DevChain,
    RunningService,
    TestDatabase,
    eventually,
    running_service,
)
from snowrail_testkit.escrow import EXECUTOR_KEY, EscrowWorld


class StartWorld(Protocol):
    """Starts a chain with the escrow and test tokens on it."""

    async def __call__(
        self, *, confirmations: int = 2, executor_keys: Sequence[str] = (EXECUTOR_KEY,), **options: Any
    ) -> EscrowWorld:
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

    async def start(
        *, confirmations: int = 2, executor_keys: Sequence[str] = (EXECUTOR_KEY,), **options: Any
    ) -> EscrowWorld:
        chain = start_chain(**options)
        return await EscrowWorld.create(
            chain, tmp_path, confirmations=confirmations, executor_keys=executor_keys
        )

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
            "collect_seconds": 0.1,
            "retry_seconds": 0.2,
            "wait_step_seconds": 0.2,
            "reconcile_every_seconds": 0.3,
            "rpc_timeout_seconds": 10,
            **options,
        }
        settings = broker.settings(Settings, "settlement", databases.settlement, **values)
        async with running_service(service, settings) as running:
            yield running

    return run


class Killed(Exception):
    """Stands for the end of the process at a call to the node: what follows it never happens."""


class WrappedNode:
    """A node that misbehaves as a test wants, between a lane and the real one.

    Attributes:
        calls: Names of the calls so far.
        kill_at: Which call ends the process, counted from 1, and whether the call still reaches the node.
        killed_calls: Names of calls that always end the process before they reach the node.
        answers: Replacements of answers by name of the call.
    """

    def __init__(self, inner: Node) -> None:
        self.inner = inner
        self.calls: list[str] = []
        self.kill_at: tuple[int, bool] | None = None
        self.killed_calls: set[str] = set()
        self.answers: dict[str, Any] = {}

    async def _call(self, name: str, call: Callable[[], Awaitable[Any]]) -> Any:
        self.calls.append(name)
        killed, reaches = self.kill_at or (None, False)
        if name in self.killed_calls or (len(self.calls) == killed and not reaches):
            raise Killed
        answer = self.answers[name] if name in self.answers else await call()
        if len(self.calls) == killed:
            raise Killed
        return answer

    async def network(self) -> Network:
        """See `Node.network`."""
        return await self._call("network", self.inner.network)

    async def account(self, address: str) -> Account:
        """See `Node.account`."""
        return await self._call("account", lambda: self.inner.account(address))

    async def knows_any(self, hashes: Sequence[str]) -> bool:
        """See `Node.knows_any`."""
        return await self._call("knows_any", lambda: self.inner.knows_any(hashes))

    async def contracts_among(self, addresses: Sequence[str]) -> set[str]:
        """See `Node.contracts_among`."""
        return await self._call("contracts_among", lambda: self.inner.contracts_among(addresses))

    async def send(self, raw: bytes) -> SendResult:
        """See `Node.send`."""
        return await self._call("send", lambda: self.inner.send(raw))

    async def simulate(
        self, sender: str, escrow: str, calls: Sequence[bytes], gas: int
    ) -> list[bytes | None]:
        """See `Node.simulate`."""
        return await self._call("simulate", lambda: self.inner.simulate(sender, escrow, calls, gas))

    def suspect(self) -> None:
        """See `Node.suspect`."""
        self.inner.suspect()

    async def close(self) -> None:
        """See `Node.close`."""
        await self.inner.close()


def wrap_node(running: RunningService) -> WrappedNode:
    """Put a misbehaving node before the only lane of a running settlement."""
    (worker,) = running.parts.workers.values()
    worker.node = WrappedNode(worker.node)
    return worker.node


def sign_in_admin(running: RunningService) -> dict[str, str]:
    """Have every token be an administrator's; return the headers to send."""

    class Everybody:
        def verify(self, token: str, now: datetime) -> Identity:
            roles = frozenset(token.split(","))
            return Identity(UUID(int=7), "alice", "0x", roles, UUID(int=8), UUID(int=9), now)

    running.runtime.verifier = Everybody()
    return {"Authorization": "Bearer admin"}


async def lane_of(running: RunningService) -> dict[str, Any]:
    """The only lane, as administrators see it, once it has begun."""
    headers = sign_in_admin(running)

    async def lanes() -> Any:
        answer = await running.http.get("/lanes", headers=headers)
        assert answer.status_code == 200, answer.text
        return answer.json()["lanes"]

    (lane,) = await eventually(lanes)
    return lane


async def item_states(running: RunningService) -> dict[str, int]:
    """How many items there are in each state."""
    rows = await running.runtime.database.fetch("SELECT state, count(*) AS items FROM item GROUP BY state")
    return {row["state"]: row["items"] for row in rows}


async def items_become(running: RunningService, expected: dict[str, int]) -> None:
    """Wait until there are so many items in each state."""

    async def are_so() -> bool:
        return await item_states(running) == expected

    await eventually(are_so)


async def settled(broker: Broker, running: RunningService) -> None:
    """Wait until every event of settlement is on the bus and every item has ended."""

    async def is_quiet() -> bool:
        row = await running.runtime.database.fetch_row(
            "SELECT (SELECT count(*) FROM outbox_unsent)"
            " + (SELECT count(*) FROM item WHERE state NOT IN ('executed', 'failed')) AS busy"
        )
        return row["busy"] == 0

    await eventually(is_quiet)
