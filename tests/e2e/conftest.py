"""The whole platform, real, on free ports, for one session."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio

from snowrail_client import SnowrailClient, Wallet
from snowrail_local.dev_accounts import dev_account
from snowrail_local.stack import Stack
from snowrail_local.stack_settings import StackSettings

from .people import Chain, NewPerson, PatientClient, Person, fund

FAST_POSTGRES = {"fsync": "off", "full_page_writes": "off", "synchronous_commit": "off"}
FUNDER_INDEX = 11
"""The development account that gives new people their money."""


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A running platform of this session alone."""
    folder = tmp_path_factory.mktemp("stack")
    settings = StackSettings.on_free_ports(folder)
    limits = {
        "SNOWRAIL_ADDRESS_REQUESTS_PER_MINUTE": "100000",
        "SNOWRAIL_USER_REQUESTS_PER_HOUR": "100000",
        "SNOWRAIL_CANCELLATION_SETTLE_SECONDS": "2",
        "SNOWRAIL_WAITING_NOTICE_SECONDS": "60",  # the first answer is the one that is meant
    }
    with Stack(
        StackSettings(
            state_folder=folder,
            services=settings.services,
            ports=settings.ports,
            environment=limits,
            postgres_settings=FAST_POSTGRES,
            confirmations=2,
        )
    ) as running:
        yield running


@pytest.fixture(scope="session")
def chain(stack: Stack) -> Chain:
    """The development chain."""
    return Chain.of(stack)


@pytest_asyncio.fixture(loop_scope="session")
async def new_person(stack: Stack, chain: Chain) -> AsyncIterator[NewPerson]:
    """Make people: `await new_person(cro=10, usdc=100)` signs a fresh wallet in and connects it."""
    opened: list[SnowrailClient] = []
    lock = asyncio.Lock()

    async def make(cro: int = 0, usdc: int = 0, key: str | None = None, connect: bool = True) -> Person:
        client = PatientClient(stack.origin)
        opened.append(client)
        rpc = client.rpc(chain.url)
        wallet = Wallet.from_key(key) if key else Wallet.create()
        funder = Wallet.from_key(dev_account(FUNDER_INDEX).private_key)
        async with lock:
            await fund(rpc, chain, funder, wallet.address, cro, usdc)
        await client.sign_in(wallet, chain.chain_id)
        if connect:
            await client.connect()
        return Person(client, wallet, rpc, chain)

    yield make
    for client in opened:
        await client.close()


@pytest.fixture(scope="session")
def checker_file(stack: Stack, chain: Chain, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the independent checker looks."""
    file = tmp_path_factory.mktemp("checker") / "stack.json"
    databases = {
        service.database: stack.database_url(service.name)
        for service in stack.settings.services
        if service.has_database
    }
    file.write_text(json.dumps({"rpc": chain.url, "escrow": chain.escrow, "databases": databases}))
    return file
