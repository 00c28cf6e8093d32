"""What was never told is told, once, from any block, at the price of nothing that was."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from snowrail_chain_monitor.cli import parse, run
from snowrail_chain_monitor.settings import Settings
from snowrail_chain_monitor.usecases.backfill import CannotBackfill
from snowrail_events import TransactionFinalV1, TransactionIncludedV1, TransactionOrphanedV1
from snowrail_testkit import Broker, RunningService, TestDatabase, eventually
from snowrail_testkit.escrow import EscrowWorld

from .conftest import RunMonitor
from .lying_node import leave_out_logs, lying_node


async def finalised(running: RunningService, world: EscrowWorld) -> None:
    """Wait until everything that is deep enough is final."""

    async def is_final() -> bool:
        (status,) = (await running.http.get("/status")).json()
        return status["final"] == world.chain.block_number() - 1

    await eventually(is_final)


async def test_blocks_below_the_start_are_read_and_told_once(
    broker: Broker, world: EscrowWorld, run_monitor: RunMonitor, database: TestDatabase
) -> None:
    hashes: list[str] = []
    for _ in range(4):
        hashes.append(await world.fund(world.order(world.payers[0], world.payers[1].address, "CRO")))
        world.chain.mine(20)
    first = world.chain.block_number()
    world.config = world.config.model_copy(update={"start_block": first})
    async with run_monitor(world) as running:
        world.chain.mine(5)
        await finalised(running, world)
        assert await broker.probe.count(TransactionFinalV1) == 0
        settings = running.runtime.settings
        assert isinstance(settings, Settings)
        options = parse(
            ["backfill", "--chain", "31337", "--from", "0", "--range-blocks", "7", "--fetches", "3"]
        )
        progress = await run(settings, options)
        assert progress.told == progress.logs == 4
        assert progress.blocks == progress.next_block
        finals = await broker.probe.collect(TransactionFinalV1, 4)
        assert [fact.tx_hash for fact in finals] == hashes
        again = await run(
            settings, parse(["backfill", "--chain", "31337", "--from", "3", "--range-blocks", "50"])
        )
        assert (again.told, again.logs) == (0, 4)
        await world.fund(world.order(world.payers[0], world.payers[1].address, "CRO"))
        world.chain.mine(2)
        finals = await broker.probe.collect(TransactionFinalV1, 5)
        versions = await running.runtime.database.fetch("SELECT version FROM chain_transaction")
        assert len({row["version"] for row in versions}) == 5
        for arguments in (["--from", "5", "--to", "4"], ["--from", "0", "--to", "100000"]):
            with pytest.raises(CannotBackfill):
                await run(settings, parse(["backfill", "--chain", "31337", *arguments]))
        with pytest.raises(CannotBackfill, match="not configured"):
            await run(settings, parse(["backfill", "--chain", "5", "--from", "0"]))
    assert await broker.probe.count(TransactionOrphanedV1) == 0
    assert await broker.probe.count(TransactionIncludedV1) <= 1


async def test_one_lying_node_cannot_hide_a_deposit_from_a_backfill(
    broker: Broker, world: EscrowWorld, run_monitor: RunMonitor
) -> None:
    await world.fund(world.order(world.payers[0], world.payers[1].address, "CRO"))
    world.chain.mine(20)
    start = world.chain.block_number()
    async with lying_node(world.chain.url) as liar:
        world.config = world.config.model_copy(
            update={"rpc_urls": (world.chain.url, liar.url), "start_block": start}
        )
        async with run_monitor(world) as running:
            world.chain.mine(5)
            await finalised(running, world)
            settings = running.runtime.settings
            assert isinstance(settings, Settings)
            liar.lies = [leave_out_logs]
            task = asyncio.create_task(run(settings, parse(["backfill", "--chain", "31337", "--from", "0"])))
            await asyncio.sleep(1)
            assert await broker.probe.count(TransactionFinalV1) == 0
            liar.lies = []
            progress = await task
            assert progress.told == 1


@given(st.integers(1, 50))
def test_the_command_line_bounds_what_is_asked(fetches: int) -> None:
    arguments = ["backfill", "--chain", "1", "--from", "0", "--fetches", str(fetches)]
    if fetches <= 32:
        assert parse(arguments).fetches == fetches
    else:
        with pytest.raises(SystemExit):
            parse(arguments)
