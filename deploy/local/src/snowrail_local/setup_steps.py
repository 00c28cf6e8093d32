"""What has to be in place before services start. Each step may be repeated and then changes nothing."""

import asyncio
import json
from collections.abc import Sequence
from pathlib import Path

import asyncpg

from snowrail_chain.deploy import Deployer, describe_chain, write_chains_file
from snowrail_chain.rpc import RpcClient
from snowrail_chain.signer import LocalSigner
from snowrail_local.dev_accounts import DEPLOYER_INDEX, EXECUTOR_INDEX, dev_account, people
from snowrail_local.roles import OWNER_ROLE_NAME, ensure_database, ensure_role, grant_rows
from snowrail_local.servers import Anvil, Postgres, PostgresRole
from snowrail_local.service_table import LocalService
from snowrail_local.stack_settings import StackSettings

CHAIN_NAME = "Snowrail dev chain"
TEST_TOKEN_UNITS = 10_000
DEPLOYER_WEI = 10**27


async def create_databases(postgres: Postgres, secrets: Path, services: Sequence[LocalService]) -> None:
    """Create the owner role, and a database and a role for each service that keeps state.

    Args:
        postgres: a running cluster.
        secrets: the installation's secrets, with a password for each role below `roles/`.
        services: those that have a database.
    """

    def role(name: str) -> PostgresRole:
        return PostgresRole(name, (secrets / "roles" / name).read_text())

    async def grant(service: LocalService) -> None:
        inside = await asyncpg.connect(postgres.database_url(service.database), ssl=False)
        try:
            await grant_rows(inside, service.database, owner, role(service.database))
        finally:
            await inside.close()

    owner = role(OWNER_ROLE_NAME)
    admin = await asyncpg.connect(postgres.url, ssl=False)
    try:
        await ensure_role(admin, owner)
        for service in services:
            await ensure_role(admin, role(service.database))
            await ensure_database(admin, service.database, owner)
    finally:
        await admin.close()
    await asyncio.gather(*(grant(service) for service in services))


async def deploy_contracts(anvil: Anvil, settings: StackSettings) -> None:
    """Put escrow and test tokens on the development chain, give people tokens, and write the chains file."""
    executor = dev_account(EXECUTOR_INDEX)
    deployer = dev_account(DEPLOYER_INDEX)
    anvil.call("anvil_setBalance", deployer.address, hex(DEPLOYER_WEI))
    # while setting up, each transaction is mined at once: waiting for blocks would take seconds
    anvil.call("evm_setAutomine", True)
    try:
        async with anvil.mining_what_is_left(), RpcClient(anvil.url, anvil.chain_id) as rpc:
            signer = LocalSigner(bytes.fromhex(deployer.private_key[2:]), anvil.chain_id)
            work = Deployer(rpc, signer)
            record = settings.state_folder / "deployment.json"
            deployment = await work.deploy(record, [executor.address], test_tokens=True)
            await work.mint(deployment, [person.address for person in people()], TEST_TOKEN_UNITS)
    finally:
        anvil.call("evm_setIntervalMining", max(1, round(settings.block_time_seconds)))
    chain = describe_chain(
        deployment,
        name=CHAIN_NAME,
        rpc_urls=[anvil.url],
        ws_url=anvil.websocket_url,
        executors=[executor.address],
        confirmations=settings.confirmations,
        block_time_seconds=settings.block_time_seconds,
    )
    write_chains_file(settings.chains_file, [chain])


def service_environment(settings: StackSettings, service: LocalService) -> dict[str, str]:
    """Return the variables of one service: what all share, its own secrets, and those of the settings."""
    ports = settings.ports
    shared = {
        "SNOWRAIL_ENVIRONMENT": "local",
        "SNOWRAIL_NATS_URL": f"nats://127.0.0.1:{ports.nats}",
        "SNOWRAIL_NATS_MONITOR_URL": f"http://127.0.0.1:{ports.nats_monitor}",
        "SNOWRAIL_HTTP_HOST": "127.0.0.1",
        "SNOWRAIL_HTTP_PORT": str(service.port),
        "SNOWRAIL_PUBLIC_ORIGIN": settings.origin,
        "SNOWRAIL_JWT_PUBLIC_KEYS_FILE": str(settings.secrets_folder / "public" / "jwks.json"),
        "SNOWRAIL_CHAINS_FILE": str(settings.chains_file),
        "SNOWRAIL_PRICE_PROVIDER_URL": f"http://127.0.0.1:{ports.prices}",
        "SNOWRAIL_ADMIN_ADDRESSES": dev_account(DEPLOYER_INDEX).address,
    }
    upstreams = {other.name: settings.url_of(other) for other in settings.services if other.name != "gateway"}
    shared["SNOWRAIL_UPSTREAMS"] = json.dumps(upstreams)
    for other in settings.services:
        shared[f"SNOWRAIL_{other.database.upper()}_URL"] = settings.url_of(other)
    own = _own_secrets(settings.secrets_folder / "services" / service.name)
    return {**shared, **own, **settings.environment}


def _own_secrets(folder: Path) -> dict[str, str]:
    """Return a service's secrets: files named after variables give their text, others their path."""
    found: dict[str, str] = {}
    for file in folder.iterdir():
        if file.name.startswith("snowrail_"):
            found[file.name.upper()] = file.read_text().strip()
        else:
            found[f"SNOWRAIL_{file.stem.upper()}_FILE"] = str(file)
    return found
