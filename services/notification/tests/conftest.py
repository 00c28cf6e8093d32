"""Notification over a real broker and database."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

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


@pytest_asyncio.fixture(loop_scope="session")
async def notification(
    broker: Broker, create_database: CreateDatabase, clock: FakeClock, issuer: TokenIssuer, tmp_path: Path
) -> AsyncIterator[RunningService]:
    """Notification, running."""
    chains = tmp_path / "chains.json"
    chains.write_text(CHAINS)
    settings = broker.settings(
        Settings,
        "notification",
        await create_database("snowrail_notification"),
        chains_file=chains,
        jwt_public_keys_file=issuer.jwks_file,
    )
    async with running_service(service, settings, clock) as running:
        yield running
