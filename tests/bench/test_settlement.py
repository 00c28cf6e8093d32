"""Payments a second through one signer, from command to final, in shared transactions and one in each.

Settlement and chain-monitor run in this process, on a database that does not sync to disk: what is measured
is the lane, its node and the chain. `SNOWRAIL_BENCH_PAYMENTS` says how many payments share transactions.
"""

import asyncio
import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from pydantic import SecretStr

from snowrail_chain_monitor.app import service as chain_monitor
from snowrail_chain_monitor.settings import Settings as MonitorSettings
from snowrail_events import SettlementExecutedV1
from snowrail_settlement.app import service as settlement
from snowrail_settlement.settings import Settings
from snowrail_testkit import Broker, CreateDatabase, DevChain, running_service
from snowrail_testkit.escrow import EXECUTOR_KEY, EscrowWorld

from .conftest import Table

SHARED_PAYMENTS = int(os.environ.get("SNOWRAIL_BENCH_PAYMENTS", "3000"))
ALONE_PAYMENTS = 300
ALONE_IN_FLIGHT = 64
"""As many as the settings allow: what waits for a block must not be the only limit."""
PUBLISHED_AT_ONCE = 100
TIMEOUT_SECONDS = 240
RECIPIENT = "0x00000000000000000000000000000000000000AA"


async def payments_per_second(
    broker: Broker,
    create_database: CreateDatabase,
    world: EscrowWorld,
    folder: Path,
    payments: int,
    **options: int,
) -> float:
    """Pay on a chain of its own, and return payments per second from the first command to the last final."""
    orders = [world.order(world.payers[number % 4], RECIPIENT, amount=1) for number in range(payments)]
    commands = [world.execute_command(order) for order in orders]
    for start in range(0, payments, PUBLISHED_AT_ONCE):  # before the clock runs: publishing is not ours
        await asyncio.gather(*map(broker.probe.publish, commands[start : start + PUBLISHED_AT_ONCE]))
    chains_file = world.write_chains_file(folder / "chains.json")
    monitor_settings = broker.settings(
        MonitorSettings,
        "chain-monitor",
        await create_database("snowrail_chain_monitor"),
        chains_file=chains_file,
    )
    settings = broker.settings(
        Settings,
        "settlement",
        await create_database("snowrail_settlement"),
        chains_file=chains_file,
        executor_key=SecretStr(EXECUTOR_KEY),
        **options,
    )
    async with running_service(chain_monitor, monitor_settings), running_service(settlement, settings):
        begun = time.monotonic()
        executed = await broker.probe.collect(SettlementExecutedV1, payments, timeout_seconds=TIMEOUT_SECONDS)
        seconds = time.monotonic() - begun
    assert len({event.payment_id for event in executed}) == payments
    assert await world.balance(RECIPIENT, "USDC") == payments
    return payments / seconds


@pytest.mark.bench
@pytest.mark.parametrize("block_time_seconds", [1, None], ids=["blocks of 1 s", "instant mining"])
@pytest.mark.parametrize("is_shared", [True, False], ids=["shared", "alone"])
async def test_settlement_through_one_signer(
    table: Table,
    broker: Broker,
    create_database: CreateDatabase,
    start_chain: Callable[..., DevChain],
    tmp_path: Path,
    block_time_seconds: int | None,
    is_shared: bool,
) -> None:
    """Payments of one signer, with blocks at a pace and with a block for each transaction."""
    chain = await asyncio.to_thread(start_chain, block_time_seconds=block_time_seconds)
    world = await EscrowWorld.create(chain, tmp_path)
    pace = f"blocks of {block_time_seconds} s" if block_time_seconds else "instant mining"
    finishing = asyncio.ensure_future(_mine(chain, is_needed=block_time_seconds is None))
    try:
        if is_shared:
            rate = await payments_per_second(broker, create_database, world, tmp_path, SHARED_PAYMENTS)
        else:
            rate = await payments_per_second(
                broker,
                create_database,
                world,
                tmp_path,
                ALONE_PAYMENTS,
                transaction_items=1,
                in_flight_transactions=ALONE_IN_FLIGHT,
            )
    finally:
        finishing.cancel()
    way = "shared transactions" if is_shared else "one transaction each"
    other = _RATES.get(pace) if not is_shared else None
    _RATES[pace] = rate
    table.add(f"settlement, {way}, {pace}", rate, "payments/s", ">= 300" if is_shared else None)
    if other is not None:
        table.add(f"settlement, shared against one each, {pace}", other / rate, "x")


_RATES: dict[str, float] = {}
"""What was measured before, by the pace of blocks."""


async def _mine(chain: DevChain, is_needed: bool) -> None:
    """Where no block comes by itself, add the empty ones that make the last transaction final."""
    while is_needed:
        await asyncio.sleep(0.5)
        await asyncio.to_thread(chain.mine)
