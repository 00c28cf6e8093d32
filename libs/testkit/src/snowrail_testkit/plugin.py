"""The pytest plugin `snowrail`: fixtures, and in CI no test may be skipped."""

import os
from collections.abc import AsyncIterator, Callable, Generator, Iterator
from pathlib import Path
from typing import Any, Protocol

import pytest
import pytest_asyncio
from hypothesis import HealthCheck, settings

from snowrail_testkit.broker import Broker, Identities, running_broker
from snowrail_testkit.builders import Builder
from snowrail_testkit.chain import DevChain
from snowrail_testkit.databases import CreateDatabase, Databases
from snowrail_testkit.emulators.node import RunningNode
from snowrail_testkit.fault_proxy import FaultProxy
from snowrail_testkit.fixed import FakeClock, SequentialIds
from snowrail_testkit.servers import (
    JetStreamServer,
    PostgresServer,
    Server,
    SharedPostgres,
    TestServers,
    close_run_folder,
    open_run_folder,
    uses_docker,
)

# The same examples in every run, however slow the machine is at the moment; others where somebody explores.
settings.register_profile(
    "snowrail",
    deadline=None,
    derandomize="SNOWRAIL_EXPLORE" not in os.environ,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("snowrail")

RUN_FOLDER_KEY = pytest.StashKey[Path]()
WORKER_INPUT_NAME = "snowrail_run_folder"


class StartFaultProxy(Protocol):
    """Starts proxies that are closed when the test ends."""

    async def __call__(self, port: int, host: str = "127.0.0.1") -> FaultProxy:
        """Return a proxy in front of the server at this port."""
        ...


class StartNodeEmulator(Protocol):
    """Starts nodes that misbehave on demand and that end with the test."""

    async def __call__(self, upstream: str) -> RunningNode:
        """Return a node in front of the chain at this URL."""
        ...


def _run_folder(config: pytest.Config) -> Path:
    """Return the folder of this session, which xdist workers get from their controller."""
    given: dict[str, Any] | None = getattr(config, "workerinput", None)
    if given is not None:
        return Path(given[WORKER_INPUT_NAME])
    if RUN_FOLDER_KEY not in config.stash:
        config.stash[RUN_FOLDER_KEY] = open_run_folder()
    return config.stash[RUN_FOLDER_KEY]


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Tell each xdist worker where the session's servers live."""
    node.workerinput[WORKER_INPUT_NAME] = str(_run_folder(node.config))


def pytest_unconfigure(config: pytest.Config) -> None:
    """End the servers of the session."""
    if RUN_FOLDER_KEY in config.stash:
        close_run_folder(config.stash[RUN_FOLDER_KEY])
        del config.stash[RUN_FOLDER_KEY]


def _fail_if_skipped_in_ci(report: pytest.TestReport | pytest.CollectReport) -> None:
    if os.environ.get("CI") == "true" and report.skipped and not hasattr(report, "wasxfail"):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        report.outcome = "failed"
        report.longrepr = f"{report.nodeid} was skipped, which CI does not allow. {reason}"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """In CI a skipped test has failed: what is not run is not proven."""
    report = yield
    _fail_if_skipped_in_ci(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """In CI a module that skips itself has failed."""
    report = yield
    _fail_if_skipped_in_ci(report)
    return report


@pytest.fixture(scope="session")
def test_servers(request: pytest.FixtureRequest) -> TestServers:
    """Makes servers that end with the session."""
    return TestServers(_run_folder(request.config), uses_docker())


@pytest.fixture(scope="session")
def postgres_server(test_servers: TestServers) -> SharedPostgres:
    """One PostgreSQL for the whole session, shared by xdist workers; fsync is off."""
    return test_servers.shared_postgres()


@pytest.fixture(scope="session")
def nats_server(test_servers: TestServers) -> Iterator[JetStreamServer]:
    """A nats-server with JetStream and without authorisation, one per worker."""
    server = test_servers.nats()
    server.start()
    yield server
    server.kill()


@pytest.fixture(scope="session")
def dev_chain(test_servers: TestServers) -> Iterator[DevChain]:
    """A development chain that mines each transaction at once, one per worker; tests share its state."""
    anvil = test_servers.anvil()
    anvil.start()
    yield DevChain(anvil)
    anvil.kill()


@pytest.fixture
def chain(dev_chain: DevChain) -> Iterator[DevChain]:
    """The development chain, put back afterwards to what it was before the test."""
    before = dev_chain.snapshot()
    yield dev_chain
    dev_chain.revert(before)


@pytest.fixture
def start_postgres(test_servers: TestServers) -> Iterator[Callable[..., PostgresServer]]:
    """Start a PostgreSQL of this test alone, to be killed or paused: `start_postgres(fsync="on")`."""
    yield from _starter(test_servers.postgres)


@pytest.fixture
def start_nats(test_servers: TestServers) -> Iterator[Callable[..., JetStreamServer]]:
    """Start a nats-server of this test alone: `start_nats(configuration)`."""
    yield from _starter(test_servers.nats)


@pytest.fixture
def start_chain(test_servers: TestServers) -> Iterator[Callable[..., DevChain]]:
    """Start a development chain of this test alone: `start_chain(block_time_seconds=1)`."""
    yield from _starter(test_servers.anvil, DevChain)


def _starter(
    make: Callable[..., Any], wrap: Callable[[Any], Any] | None = None
) -> Iterator[Callable[..., Any]]:
    started: list[Server] = []

    def start(*arguments: Any, **options: Any) -> Any:
        server = make(*arguments, **options)
        started.append(server)
        server.start()
        return server if wrap is None else wrap(server)

    yield start
    for server in started:
        server.kill()


@pytest_asyncio.fixture(loop_scope="session")
async def create_database(postgres_server: SharedPostgres) -> AsyncIterator[CreateDatabase]:
    """Create databases of this test alone: `await create_database("snowrail_intent")`."""
    databases = Databases(postgres_server)
    yield databases.create
    await databases.drop_all()


@pytest_asyncio.fixture(loop_scope="session")
async def start_fault_proxy() -> AsyncIterator[StartFaultProxy]:
    """Start a proxy in front of a server: `await start_fault_proxy(server.port)`."""
    started: list[FaultProxy] = []

    async def start(port: int, host: str = "127.0.0.1") -> FaultProxy:
        proxy = FaultProxy(host, port)
        started.append(proxy)
        await proxy.start()
        return proxy

    yield start
    for proxy in started:
        await proxy.stop()


@pytest_asyncio.fixture(loop_scope="session")
async def start_node_emulator() -> AsyncIterator[StartNodeEmulator]:
    """Start a node that misbehaves on demand: `node = await start_node_emulator(chain.url)`."""
    started: list[RunningNode] = []

    async def start(upstream: str) -> RunningNode:
        started.append(await RunningNode.start(upstream))
        return started[-1]

    yield start
    for node in started:
        await node.stop()


@pytest_asyncio.fixture(loop_scope="session")
async def broker(start_nats: Callable[..., JetStreamServer]) -> AsyncIterator[Broker]:
    """A broker of this test alone: topology applied, each identity limited to its own rights, a probe."""
    identities = Identities.generate()
    async with running_broker(start_nats(identities.configuration()), identities) as running:
        yield running


@pytest.fixture
def clock() -> FakeClock:
    """A clock that the test moves."""
    return FakeClock()


@pytest.fixture
def ids() -> SequentialIds:
    """Ids that are the same in every run."""
    return SequentialIds()


@pytest.fixture
def build(ids: SequentialIds, clock: FakeClock) -> Builder:
    """Build events and models with plausible values: `build(IntentCreatedV1, amount=5)`."""
    return Builder(ids, clock.now())
