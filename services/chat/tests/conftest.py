"""Chat over a real broker and database, with the services it asks beside it."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from snowrail_chat.app import service
from snowrail_chat.settings import Settings
from snowrail_testkit import (
    Broker,
    Builder,
    CreateDatabase,
    FakeClock,
    RunningService,
    TestDatabase,
    running_service,
)
from snowrail_testkit.tokens import TokenIssuer

from .support import ALICE, BOB, CAROL, Conversation, Neighbours, Person, running_neighbours, write_chains


@pytest.fixture
def issuer(tmp_path: Path) -> TokenIssuer:
    """Signs the tokens that chat believes."""
    return TokenIssuer.create(tmp_path)


@pytest_asyncio.fixture(loop_scope="session")
async def neighbours() -> AsyncIterator[Neighbours]:
    """The chain monitor and the intent service, as far as chat asks them."""
    async with running_neighbours() as running:
        yield running


@pytest_asyncio.fixture(loop_scope="session")
async def database(create_database: CreateDatabase) -> TestDatabase:
    """Chat's database."""
    return await create_database("snowrail_chat")


@pytest.fixture
def read_timeout_seconds() -> float:
    """How long chat waits for its neighbours; a test of one that does not answer asks for less."""
    return 10


@pytest.fixture
def settings(
    broker: Broker,
    database: TestDatabase,
    neighbours: Neighbours,
    issuer: TokenIssuer,
    tmp_path: Path,
    read_timeout_seconds: float,
) -> Settings:
    """Chat's settings."""
    return broker.settings(
        Settings,
        "chat",
        database,
        chains_file=write_chains(tmp_path),
        chain_monitor_url=neighbours.url,
        intent_url=neighbours.url,
        jwt_public_keys_file=issuer.jwks_file,
        read_timeout_seconds=read_timeout_seconds,
        read_pause_seconds=0.2,
    )


@pytest_asyncio.fixture(loop_scope="session")
async def chat(settings: Settings, clock: FakeClock) -> AsyncIterator[RunningService]:
    """Chat, whose time the test sets."""
    async with running_service(service, settings, clock) as running:
        yield running


@pytest.fixture
def talk(broker: Broker, build: Builder, clock: FakeClock, chat: RunningService) -> Conversation:
    """People who talk to it."""
    return Conversation(broker, build, clock, chat)


@pytest.fixture
def alice() -> Person:
    """Somebody with a wallet."""
    return Person("alice", ALICE)


@pytest.fixture
def bob() -> Person:
    """Somebody else."""
    return Person("bob", BOB)


@pytest.fixture
def carol() -> Person:
    """A third person."""
    return Person("carol", CAROL)
