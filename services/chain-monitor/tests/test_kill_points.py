"""Following a chain, killed at every step of the event loop: every fact is told once, and none is missed."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import asyncpg
import pytest

from snowrail_chain_monitor.app import compose, stop
from snowrail_chain_monitor.settings import Settings
from snowrail_chain_monitor.usecases.follow import follow
from snowrail_kit.clock import SystemClock
from snowrail_kit.ids import TimeOrderedIds
from snowrail_kit.service import Runtime
from snowrail_testkit import Broker, TestDatabase
from snowrail_testkit.kill_points import run_in_child

from .conftest import StartWorld

PASSES_LIMIT = 20


def scenario(settings: Settings) -> Callable[..., Awaitable[None]]:
    """Passes over a chain until nothing is left to do, in a process of its own."""

    async def run(begin: Callable[[], None], end: Callable[[], None]) -> None:
        runtime = Runtime("chain-monitor", settings, SystemClock(), TimeOrderedIds(), with_database=True)
        await runtime.database.open()
        parts = compose(runtime)
        (follower,) = parts.followers.values()
        begin()
        for _ in range(PASSES_LIMIT):
            if not await follow(parts, follower):
                break
        end()
        await stop(parts)
        await runtime.database.close()

    return run


@pytest.mark.faults
async def test_following_may_be_killed_at_every_step(
    broker: Broker, start_world: StartWorld, database: TestDatabase, tmp_path: Any
) -> None:
    world = await start_world(confirmations=2)
    settings = broker.settings(
        Settings,
        "chain-monitor",
        database,
        chains_file=world.write_chains_file(tmp_path / "chains.json"),
        range_blocks=2,
    )
    connection = await asyncpg.connect(database.superuser_url, ssl=False)
    payer, recipient = world.payers[0], world.payers[1].address

    async def happen() -> str:
        """A payment that becomes final, and one whose block is replaced."""
        final = await world.fund(world.order(payer, recipient, "CRO", amount=1))
        await asyncio.to_thread(run_in_child, scenario(settings), None)
        await world.fund(world.order(payer, recipient, "CRO", amount=1))
        await asyncio.to_thread(run_in_child, scenario(settings), None)
        world.chain.reorg(1)
        return final

    finals = [await happen()]
    steps = (await asyncio.to_thread(run_in_child, scenario(settings), None)).steps
    for kill_at in range(1, steps + 1):
        finals.append(await happen())
        await asyncio.to_thread(run_in_child, scenario(settings), kill_at)
        await asyncio.to_thread(run_in_child, scenario(settings), None)
    world.chain.mine(2)
    await asyncio.to_thread(run_in_child, scenario(settings), None)
    rows = await connection.fetch("SELECT subject, payload FROM outbox WHERE subject LIKE 'transaction.%'")
    transactions = await connection.fetch("SELECT tx_hash, status FROM chain_transaction")
    await connection.close()
    assert len({(row["subject"], row["payload"]) for row in rows}) == len(rows)
    told = [row["subject"] for row in rows]
    assert told.count("transaction.orphaned.v1") == len(finals)
    assert {row["tx_hash"] for row in transactions if row["status"] == "final"} == set(finals)
    assert told.count("transaction.final.v1") == len(finals)
    assert told.count("transaction.included.v1") == 2 * len(finals)
