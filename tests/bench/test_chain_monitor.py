"""Following a chain: how fast blocks and logs are read again, and how soon a block becomes an event."""

import asyncio
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from snowrail_chain.abi import Execution, execute_many_calldata
from snowrail_chain_monitor.app import service
from snowrail_chain_monitor.settings import Settings
from snowrail_chain_monitor.usecases.backfill import backfill
from snowrail_events import TransactionFinalV1, TransactionIncludedV1
from snowrail_testkit import Broker, CreateDatabase, DevChain, RunningService, eventually, running_service
from snowrail_testkit.escrow import EscrowWorld

from .conftest import Table

BLOCKS = 4_000
TRANSACTIONS = 40
EXECUTIONS = 50
RANGE_BLOCKS = 250
FETCHES = 4
SAMPLES = 60
PER_SECOND = 2


async def busy_chain(chain: DevChain, folder: Path) -> EscrowWorld:
    """Return a chain with so many blocks, and transactions of the executor spread over them."""
    world = await EscrowWorld.create(chain, folder)
    for _ in range(TRANSACTIONS):
        orders = [world.order(world.payers[0], world.payers[1].address, amount=1) for _ in range(EXECUTIONS)]
        items = [Execution(order, 0, world.sign(order)) for order in orders]
        gas = EXECUTIONS * 150_000 + 500_000
        await world.send(world.executor, world.config.escrow, execute_many_calldata(items), gas=gas)
        await asyncio.to_thread(chain.mine, BLOCKS // TRANSACTIONS)
    return world


async def until_final(running: RunningService, world: EscrowWorld) -> None:
    """Wait until everything that is deep enough is final."""
    target = world.chain.block_number() - world.config.confirmations + 1

    async def is_final() -> bool:
        (status,) = (await running.http.get("/status")).json()
        return status["final"] == target

    await eventually(is_final, timeout_seconds=300)


@pytest.mark.bench
async def test_blocks_and_logs_per_second(
    table: Table,
    broker: Broker,
    create_database: CreateDatabase,
    start_chain: Callable[..., DevChain],
    tmp_path: Path,
) -> None:
    """From the first block to the last, stored and told, on one node; then compared between two addresses."""
    world = await busy_chain(start_chain(kept_states=None), tmp_path)
    url = world.chain.url
    for name, urls in (
        ("one node", (url,)),
        ("two opinions", (url, url.replace("127.0.0.1", "localhost"))),
    ):
        world.config = world.config.model_copy(update={"rpc_urls": urls, "start_block": 0})
        database = await create_database("snowrail_chain_monitor")
        file = world.write_chains_file(tmp_path / "chains.json")
        settings = broker.settings(Settings, "chain-monitor", database, chains_file=file)
        started = time.monotonic()
        async with running_service(service, settings) as running:
            await until_final(running, world)
            blocks = world.chain.block_number()
            table.add(f"follow from block 0, {name}", blocks / (time.monotonic() - started), "blocks/s")
            async with running.runtime.transaction() as tx:
                await tx.execute("DELETE FROM chain_transaction")
            (follower,) = running.parts.followers.values()
            started = time.monotonic()
            progress = await backfill(
                running.parts, follower, 0, blocks - 2, range_blocks=RANGE_BLOCKS, fetches=FETCHES
            )
            seconds = time.monotonic() - started
            assert progress.told >= TRANSACTIONS
            assert progress.logs == TRANSACTIONS * EXECUTIONS
            table.add(f"backfill, {name}", progress.blocks / seconds, "blocks/s")
            table.add(f"backfill, {name}, logs", progress.logs / seconds, "logs/s")


@pytest.mark.bench
async def test_block_to_event(
    table: Table,
    broker: Broker,
    create_database: CreateDatabase,
    start_chain: Callable[..., DevChain],
    tmp_path: Path,
) -> None:
    """From the moment the node has the block to the event in the stream; blocks are announced."""
    chain = start_chain()
    world = await EscrowWorld.create(chain, tmp_path, confirmations=2, ws_url=chain.websocket_url)
    world.config = world.config.model_copy(update={"block_time_seconds": 1.0})
    database = await create_database("snowrail_chain_monitor")
    file = world.write_chains_file(tmp_path / "chains.json")
    settings = broker.settings(Settings, "chain-monitor", database, chains_file=file)
    seen: dict[tuple[str, str], float] = {}

    async def note(message: Any) -> None:
        seen[message.subject, json.loads(message.data)["tx_hash"]] = time.monotonic()

    for event in (TransactionIncludedV1, TransactionFinalV1):
        await broker.probe.client.subscribe(event.subject, cb=note)
    mined: list[tuple[str, float]] = []
    payer, recipient = world.payers[0], world.payers[1].address
    async with running_service(service, settings) as running:
        await until_final(running, world)
        for _ in range(SAMPLES + 1):
            transaction_hash = await world.fund(world.order(payer, recipient, "CRO", amount=1))
            mined.append((transaction_hash, time.monotonic()))
            await asyncio.sleep(1 / PER_SECOND)
        await eventually(lambda: _all_seen(seen, mined))
    # where two blocks came within one pass, the first is final at once and never told as included
    included = [
        1_000 * (told - at)
        for transaction_hash, at in mined[:SAMPLES]
        if (told := seen.get((TransactionIncludedV1.subject, transaction_hash))) is not None
    ]
    assert len(included) >= SAMPLES * 9 // 10
    final = [
        1_000 * (seen[TransactionFinalV1.subject, transaction_hash] - mined[place + 1][1])
        for place, (transaction_hash, _) in enumerate(mined[:SAMPLES])
    ]
    table.add_percentiles("block to transaction.included", included)
    table.add_percentiles("second block to transaction.final", final)


async def _all_seen(seen: dict[tuple[str, str], float], mined: list[tuple[str, float]]) -> bool:
    wanted = [transaction_hash for transaction_hash, _ in mined[:SAMPLES]]
    return all((TransactionFinalV1.subject, transaction_hash) in seen for transaction_hash in wanted)
