"""The nonce lane ends anywhere and goes on: at every call to the node, at every step of its event loop."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import asyncpg
import pytest

from snowrail_chain.addresses import checksum_address
from snowrail_events import SettlementExecutedV1, SettlementSubmittedV1
from snowrail_kit.clock import SystemClock
from snowrail_kit.delivery import Delivery, Envelope
from snowrail_kit.ids import TimeOrderedIds
from snowrail_kit.service import Runtime
from snowrail_settlement.app import compose
from snowrail_settlement.settings import Settings
from snowrail_settlement.usecases.commands import accept
from snowrail_settlement.usecases.lane import run_lane
from snowrail_settlement.usecases.parts import LaneWorker
from snowrail_testkit import Broker, RunningService, eventually
from snowrail_testkit.escrow import EscrowWorld
from snowrail_testkit.kill_points import run_in_child

from .conftest import Databases, RunService, StartWorld, WrappedNode, settled, wrap_node

RECIPIENT = checksum_address(b"\xaa" * 20)
CALLS_LIMIT = 40
PASSES_LIMIT = 10


def forget(worker: LaneWorker, node: WrappedNode) -> None:
    """Have a lane remember nothing, as a process that has just begun."""
    worker.is_resending = True
    worker.network = worker.network_at = worker.reconciled_at = worker.held_until = None
    worker.doubtful_since.clear()
    node.kill_at = None


async def pay_once(
    broker: Broker,
    world: EscrowWorld,
    running: RunningService,
    node: WrappedNode,
    kill_at: tuple[int, bool],
    expected: int,
) -> int:
    """Pay three times, ending the process at a call to the node. Returns how many calls there were.

    Args:
        kill_at: which call, and whether it still reaches the node.
        expected: executed items altogether when it is done.
    """
    (worker,) = running.parts.workers.values()
    node.calls.clear()
    node.kill_at = kill_at
    for number in range(3):
        order = world.order(world.payers[number], RECIPIENT, amount=7)
        await broker.probe.publish(world.execute_command(order))

    async def has_ended() -> bool:
        if node.kill_at is not None and len(node.calls) >= node.kill_at[0]:
            forget(worker, node)  # whatever was in hand was thrown away with the exception
        await world.call("anvil_mine", "0x1")
        row = await running.runtime.database.fetch_row(
            "SELECT count(*) AS n FROM item WHERE state = 'executed'"
        )
        return row["n"] == expected

    await eventually(has_ended, timeout_seconds=60)
    await settled(broker, running)
    return len(node.calls)


async def test_the_lane_may_end_at_every_call_to_the_node(
    broker: Broker, world: EscrowWorld, run_settlement: RunService, run_monitor: RunService
) -> None:
    options: dict[str, Any] = {"collect_seconds": 0.1, "resend_after_seconds": 1, "retry_seconds": 0.05}
    async with run_monitor(world), run_settlement(world, **options) as running:
        node = wrap_node(running)
        runs, call = 0, 1
        while call <= CALLS_LIMIT:
            for reaches in (False, True):
                calls = await pay_once(broker, world, running, node, (call, reaches), 3 * (runs + 1))
                runs += 1
            if calls < call or {"simulate", "send"} <= set(node.calls[: call - 1]):
                break
            call += 1
        assert call < CALLS_LIMIT
        assert await broker.probe.count(SettlementExecutedV1) == 3 * runs
        assert await broker.probe.count(SettlementSubmittedV1) == 3 * runs
        nonces = await running.runtime.database.fetch("SELECT nonce FROM lane_nonce ORDER BY nonce")
    assert [row["nonce"] for row in nonces] == list(range(len(nonces)))
    assert await world.balance(RECIPIENT, "USDC") == 21 * runs
    assert int(await world.call("eth_getTransactionCount", world.executor, "latest"), 16) == len(nonces)


def scenario(settings: Settings) -> Callable[..., Awaitable[None]]:
    """Passes of a lane until nothing is left to do, in a process of its own."""

    async def run(begin: Callable[[], None], end: Callable[[], None]) -> None:
        runtime = Runtime("settlement", settings, SystemClock(), TimeOrderedIds(), with_database=True)
        await runtime.database.open()
        parts = compose(runtime)
        (worker,) = parts.workers.values()
        begin()
        for _ in range(PASSES_LIMIT):
            if not await run_lane(parts, worker):
                break
        end()
        await worker.node.close()
        await runtime.database.close()

    return run


@pytest.mark.faults
async def test_the_lane_may_be_killed_at_every_step(
    broker: Broker, start_world: StartWorld, databases: Databases, tmp_path: Any
) -> None:
    world = await start_world()
    settings = broker.settings(
        Settings,
        "settlement",
        databases.settlement,
        chains_file=world.write_chains_file(tmp_path / "chains.json"),
        executor_key="0x59c6995e998f97a5a0044966f0945389dc9e86dae88c7a8412f4603b6b78690d",
        collect_seconds=0,
        retry_seconds=0.01,
    )
    connection = await asyncpg.connect(databases.settlement.superuser_url, ssl=False)

    async def add_items() -> None:
        runtime = Runtime("settlement", settings, SystemClock(), TimeOrderedIds(), with_database=True)
        await runtime.database.open()
        commands = [
            world.execute_command(world.order(world.payers[number], RECIPIENT, amount=7))
            for number in range(2)
        ]
        envelope = Envelope(runtime.ids.new(), "settlement.execute.v1", "payment-orchestrator")
        deliveries = [Delivery(envelope, command, b"") for command in commands]
        async with runtime.transaction() as tx:
            await accept(deliveries, tx, compose(runtime).chains)
        await runtime.database.close()

    await asyncio.to_thread(run_in_child, scenario(settings), None)  # the lane begins
    await add_items()
    steps = (await asyncio.to_thread(run_in_child, scenario(settings), None)).steps
    # nobody tells this lane of blocks
    told_final = "UPDATE lane_transaction SET state = 'final' WHERE state = 'broadcast'"
    await connection.execute(told_final)
    killed = 0
    for kill_at in range(1, steps + 1):
        await add_items()
        killed += (await asyncio.to_thread(run_in_child, scenario(settings), kill_at)).killed
        await asyncio.to_thread(run_in_child, scenario(settings), None)
        unsent = await connection.fetchval("SELECT count(*) FROM item WHERE state <> 'submitted'")
        assert unsent == 0, f"killed at step {kill_at}"
        await connection.execute(told_final)
    rows = await connection.fetch(
        "SELECT state, count(*) AS n, count(DISTINCT nonce) AS nonces FROM lane_transaction GROUP BY state"
    )
    told = await connection.fetch(
        "SELECT aggregate_id, count(*) AS n FROM outbox WHERE subject = 'settlement.submitted.v1' GROUP BY 1"
    )
    await connection.close()
    assert killed > steps // 2
    assert {row["state"] for row in rows} == {"final"}
    assert all(row["n"] == row["nonces"] for row in rows)
    assert [row["n"] for row in told] == [1] * (2 * (steps + 1))
    assert await world.balance(RECIPIENT, "USDC") == 14 * (steps + 1)
