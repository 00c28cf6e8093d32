"""The nonce lane, killed at every scheduling step and restarted: each payment is made exactly once."""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
import pytest_asyncio

from snowrail_events import SettlementExecutedV1, SettlementIncludedV1, SettlementSubmittedV1
from snowrail_testkit import Broker, CreateDatabase, DevChain

from .bus_checks import check_outbox_and_stream
from .lane_campaign import RECIPIENT, Lane, check_chain, running_lane

pytestmark = pytest.mark.faults

TOLD = (SettlementSubmittedV1, SettlementIncludedV1, SettlementExecutedV1)
"""What is told of each payment, once."""
STEPS_LIMIT = 5_000
LEAST_STEPS = 100
UNKILLED_RUNS = 5
"""How many runs finish before their kill until it is enough: runs differ a little in length."""
PROGRESS_EVERY_STEPS = 100


@pytest_asyncio.fixture(loop_scope="session")
async def lane(
    broker: Broker, create_database: CreateDatabase, start_chain: Callable[..., DevChain], tmp_path: Path
) -> AsyncIterator[Lane]:
    """A lane on an honest node."""
    chain = await asyncio.to_thread(start_chain)
    async with running_lane(broker, create_database, chain, tmp_path) as lane:
        yield lane


async def kill_at_every_step(lane: Lane, tell: Callable[[str], None]) -> int:
    """Kill at step 1, 2, … until runs finish before their kill, and let a new process finish each time."""
    begun, unkilled = time.monotonic(), 0
    for step in range(1, STEPS_LIMIT):
        await lane.command()
        unkilled += not (await lane.run(step)).killed
        await lane.run(None)
        if unkilled == UNKILLED_RUNS:
            return step - unkilled
        if step % PROGRESS_EVERY_STEPS == 0:
            tell(f"nonce lane: killed at {step} steps, {(time.monotonic() - begun) / step:.2f} s each")
    raise AssertionError("the scenario never finishes")


async def test_the_nonce_lane_pays_exactly_once(lane: Lane, tell: Callable[[str], None]) -> None:
    await lane.command()
    await lane.run(None)
    steps = await kill_at_every_step(lane, tell)
    tell(f"nonce lane: killed {steps} times, at every step; {len(lane.commands)} payments")
    assert steps > LEAST_STEPS
    items = await lane.rows("SELECT * FROM item")
    wanted = Counter((command.payment_id, command.attempt) for command in lane.commands)
    assert Counter((row["payment_id"], row["attempt"]) for row in items) == wanted
    assert {row["state"] for row in items} == {"executed"}
    transactions = await lane.rows("SELECT * FROM lane_transaction ORDER BY nonce, tx_hash")
    assert {row["state"] for row in transactions} == {"final"}
    await asyncio.to_thread(check_chain, lane, transactions, items)
    assert await lane.world.balance(RECIPIENT, "USDC") == len(lane.commands)
    await check_outbox_and_stream(lane.broker, lane.database, TOLD)
    for event in TOLD:
        told = await lane.broker.probe.collect(event, len(lane.commands))
        assert Counter((item.payment_id, item.attempt) for item in told) == wanted, event.subject
    assert not await lane.rows("SELECT * FROM dead_letter")
    assert not await lane.rows("SELECT * FROM parked_message")
    assert [row["state"] for row in await lane.rows("SELECT state FROM lane")] == ["active"]
