"""How many payments a second go through one signer, with blocks of one second. `pytest -m bench -s`."""

import asyncio
import os
import time

import pytest

from snowrail_events import SettlementExecutedV1
from snowrail_testkit import Broker

from .conftest import RunService, StartWorld

PAYMENTS = int(os.environ.get("SNOWRAIL_BENCH_PAYMENTS", "3000"))
WANTED_PER_SECOND = 300
PUBLISHED_AT_ONCE = 100


@pytest.mark.bench
async def test_payments_per_second_through_one_signer(
    broker: Broker, start_world: StartWorld, run_settlement: RunService, run_monitor: RunService
) -> None:
    world = await start_world(block_time_seconds=1)
    recipient = "0x00000000000000000000000000000000000000AA"
    orders = [world.order(world.payers[number % 4], recipient, amount=1) for number in range(PAYMENTS)]
    commands = [world.execute_command(order) for order in orders]
    for start in range(0, PAYMENTS, PUBLISHED_AT_ONCE):  # before the clock runs: publishing is not ours
        await asyncio.gather(*map(broker.probe.publish, commands[start : start + PUBLISHED_AT_ONCE]))
    async with run_monitor(world), run_settlement(world, collect_seconds=0.03) as running:
        began = time.monotonic()
        executed = await broker.probe.collect(SettlementExecutedV1, PAYMENTS, timeout_seconds=120)
        seconds = time.monotonic() - began
        rows = await running.runtime.database.fetch(
            "SELECT count(*) AS transactions, max(item_count) AS most FROM lane_nonce"
        )
    assert len({event.payment_id for event in executed}) == PAYMENTS
    assert await world.balance(recipient, "USDC") == PAYMENTS
    block = await world.call("eth_getBlockByNumber", hex(executed[0].block_number), True)
    gas = [int(item["gas"], 16) for item in block["transactions"]]
    print(
        f"{PAYMENTS} payments from command to final in {seconds:.1f} s, {PAYMENTS / seconds:.0f}/s,"
        f" {rows[0]['transactions']} transactions of at most {rows[0]['most']},"
        f" a block used {int(block['gasUsed'], 16)} of limits {gas}"
    )
    assert PAYMENTS / seconds > WANTED_PER_SECOND
