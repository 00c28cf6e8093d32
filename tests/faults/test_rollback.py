"""The chain takes back 100 blocks while 200 payments are in flight, some of them final and in the ledger.

Everything must come back to agreement without an operator: each payment paid exactly once on the chain that
is left, what was taken back compensated in the ledger, statuses that follow. The judge is the independent
checker.
"""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from .test_platform import (
    IN_FLIGHT,
    LEAST_IN_STATE,
    PAYMENTS_PER_PERSON,
    PEOPLE,
    Payer,
    World,
    judge,
    payers,
    wait_until_quiet,
    where_things_are,
    world,
)

pytestmark = pytest.mark.faults
__all__ = ["payers", "world"]

DEPTH = 100
PAYMENTS = PEOPLE * PAYMENTS_PER_PERSON
SETTLED_TIMEOUT_SECONDS = 240.0
SUCCEEDED = "SELECT count(*) FROM payment WHERE status = 'succeeded'"
REVERSALS = "SELECT count(*) FROM journal WHERE kind = 'reversal'"
UNBALANCED = "SELECT count(*) FROM (SELECT 1 FROM posting GROUP BY token HAVING sum(atoms) <> 0) AS wrong"
TAKEN_BACK = "SELECT count(*) FROM chain_transaction WHERE status = 'orphaned'"


async def test_a_rollback_of_100_blocks_under_load_heals_by_itself(
    world: World, payers: list[Payer], tmp_path: Path
) -> None:
    await mine(world, DEPTH + 20)  # so that only payments are taken back, not the people's own preparations
    lines = [(payer, line) for payer in payers for line in payer.lines]
    first_block = await height(world)
    # services work in large batches: payments that are confirmed together become final together
    confirming = confirm(lines[::2])
    counted = await enough(world, SUCCEEDED)
    confirming += confirm(lines[1::2])
    in_flight = await enough(world, IN_FLIGHT)
    spent = await height(world) - first_block
    assert spent < DEPTH, f"the payments took {spent} blocks already"
    await asyncio.to_thread(world.stack.anvil.call, "anvil_reorg", DEPTH, [])
    await asyncio.gather(*confirming)
    await wait_until_settled(world)
    await wait_until_quiet(world)
    reversals = await world.value("payment-orchestrator", REVERSALS)
    assert reversals >= counted, f"{counted} payments were final, {reversals} were compensated"
    assert await world.value("payment-orchestrator", UNBALANCED) == 0
    assert await world.value("chain-monitor", TAKEN_BACK) > 0
    assert await world.value("intent", "SELECT count(*) FROM intent WHERE status <> 'completed'") == 0
    assert await world.value("chain-monitor", "SELECT frozen_reason FROM chain_cursor") is None
    judge(world, tmp_path)
    print(f"\n{counted} final and {in_flight} in flight when {DEPTH} blocks went; {reversals} compensated")


async def mine(world: World, blocks: int) -> None:
    """Have the chain grow at once, and chain-monitor follow."""
    await asyncio.to_thread(world.stack.anvil.call, "anvil_mine", hex(blocks), "0x1")
    target = await height(world)
    async with asyncio.timeout(30):
        while (await world.value("chain-monitor", "SELECT tip_number FROM chain_cursor") or 0) < target:  # noqa: ASYNC110
            await asyncio.sleep(0.1)


async def height(world: World) -> int:
    """Return the number of the newest block."""
    return int(await asyncio.to_thread(world.stack.anvil.call, "eth_blockNumber"), 16)


def confirm(lines: Sequence[tuple[Payer, str]]) -> list[asyncio.Future[Any]]:
    """Have payers confirm, all at once."""
    return [
        asyncio.ensure_future(payer.client.connection.post(line, timeout_seconds=120))
        for payer, line in lines
    ]


async def enough(world: World, count: str) -> int:
    """Return how many payments are in a state, once there are enough of them."""
    async with asyncio.timeout(60):
        while (counted := await world.value("payment-orchestrator", count)) < LEAST_IN_STATE:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    return counted


async def wait_until_settled(world: World) -> None:
    """Wait until every payment has succeeded in a block that is on the chain."""
    try:
        async with asyncio.timeout(SETTLED_TIMEOUT_SECONDS):
            while not await settled(world):  # noqa: ASYNC110
                await asyncio.sleep(0.5)
    except TimeoutError:
        raise AssertionError(f"not settled: {await where_things_are(world)}") from None


async def settled(world: World) -> bool:
    """Whether every payment has succeeded in a block that is on the chain."""
    if await world.value("payment-orchestrator", SUCCEEDED) < PAYMENTS:
        return False
    connection = await asyncpg.connect(world.stack.database_url("payment-orchestrator"), ssl=False)
    try:
        rows = await connection.fetch("SELECT DISTINCT block_number, block_hash FROM payment")
    finally:
        await connection.close()
    for row in rows:
        block: Any = await asyncio.to_thread(
            world.stack.anvil.call, "eth_getBlockByNumber", hex(row["block_number"]), False
        )
        if block is None or block["hash"] != row["block_hash"]:
            return False
    return True
