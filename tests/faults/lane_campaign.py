"""Settlement's nonce lane as campaigns run it: in a process of its own, to be killed at a step of its loop.

A run takes two commands all the way: inbox, reserved nonce, signed bytes, broadcast, facts of the chain,
outcomes published. chain-monitor runs beside it as a process of its own, on an honest node, and is never
killed.
"""

import asyncio
import os
import subprocess
import sys
from collections import Counter
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import asyncpg
import httpx
from eth_hash.auto import keccak
from pydantic import SecretStr

from snowrail_chain.addresses import checksum_address
from snowrail_chain.deploy import write_chains_file
from snowrail_chain.signer import read_transaction
from snowrail_events import SettlementExecuteV1
from snowrail_kit.clock import SystemClock
from snowrail_kit.ids import TimeOrderedIds
from snowrail_kit.service import Runtime
from snowrail_kit.tasks import TaskRunner
from snowrail_local.servers import free_port
from snowrail_settlement.app import compose, tasks
from snowrail_settlement.app import service as settlement
from snowrail_settlement.consumers import consumers
from snowrail_settlement.settings import Settings
from snowrail_testkit import Broker, CreateDatabase, DevChain, TestDatabase, eventually
from snowrail_testkit.escrow import EXECUTOR_KEY, EscrowWorld
from snowrail_testkit.kill_points import Ending, run_in_child

from .bus_checks import redeliver_quickly

PAYMENTS_PER_RUN = 2
EXECUTED_TOPIC = "0x" + keccak(b"Executed(bytes32,uint32,address,address,address,uint256,uint256)").hex()
RECIPIENT = checksum_address(b"\xaa" * 20)
POLL_SECONDS = 0.02
REDELIVERY_SECONDS = 0.2
START_TIMEOUT_SECONDS = 60
STOP_TIMEOUT_SECONDS = 60


Scenario = Callable[[Callable[[], None], Callable[[], None]], Awaitable[None]]
Until = Callable[[Runtime[Settings]], Awaitable[bool]]
"""Whether a run has come to its end."""


def lane_scenario(settings: Settings, until: Until) -> Scenario:
    """Work as settlement does until the run has come to its end."""

    async def scenario(begin: Callable[[], None], end: Callable[[], None]) -> None:
        runtime = Runtime("settlement", settings, SystemClock(), TimeOrderedIds(), with_database=True)
        await runtime.database.open()
        await runtime.bus.open()
        parts = compose(runtime)
        consumer = runtime.consumer(consumers, parts)
        runners = [TaskRunner(task, parts, runtime.database) for task in tasks(parts)]
        for task, runner in zip(tasks(parts), runners, strict=True):
            runtime.register_task(task.name, runner.wake)
        begin()
        runs = (runtime.relay.run, consumer.run, consumer.run_parked, *(runner.run for runner in runners))
        working = [asyncio.ensure_future(run()) for run in runs]
        while not await until(runtime):  # noqa: ASYNC110 - rows of others too
            await asyncio.sleep(POLL_SECONDS)
        for runner in (*runners, consumer, runtime.relay):
            runner.stop()
        await asyncio.wait(working, timeout=10)
        end()
        assert settlement.stop is not None, "it closes its connections to the nodes"
        await settlement.stop(parts)
        await runtime.bus.close()
        await runtime.database.close()

    return scenario


async def are_paid(runtime: Runtime[Settings], chain: DevChain, commanded: int) -> bool:
    """Whether every command is paid and told. Mines the block that makes included payments final."""
    row = await runtime.database.fetch_row(
        "SELECT count(*) FILTER (WHERE state = 'executed') AS executed,"
        " count(*) FILTER (WHERE state = 'included') AS included,"
        " (SELECT count(*) FROM outbox_unsent) AS unsent FROM item"
    )
    assert row is not None, "an aggregate always returns a row"
    if row["included"]:
        chain.mine()
    return row["executed"] == commanded and row["unsent"] == 0


@dataclass
class Lane:
    """A chain with the escrow, a broker, settlement's database, and chain-monitor running beside."""

    world: EscrowWorld
    broker: Broker
    database: TestDatabase
    settings: Settings
    commands: list[SettlementExecuteV1] = field(default_factory=list[SettlementExecuteV1])

    async def command(self) -> None:
        """Command the payments of one run."""
        for _ in range(PAYMENTS_PER_RUN):
            payer = self.world.payers[len(self.commands) % len(self.world.payers)]
            command = self.world.execute_command(self.world.order(payer, RECIPIENT, amount=1))
            await self.broker.probe.publish(command)
            self.commands.append(command)

    async def run(self, kill_at: int | None, until: Until | None = None) -> Ending:
        """Run settlement in a new process until every command is paid or as told, or until its kill."""

        async def all_are_paid(runtime: Runtime[Settings]) -> bool:
            return await are_paid(runtime, self.world.chain, len(self.commands))

        scenario = lane_scenario(self.settings, until or all_are_paid)
        return await asyncio.to_thread(run_in_child, scenario, kill_at)

    async def rows(self, query: str) -> list[Any]:
        """Return rows of settlement's database."""
        connection = await asyncpg.connect(self.database.superuser_url, ssl=False)
        try:
            return await connection.fetch(query)
        finally:
            await connection.close()


@asynccontextmanager
async def running_lane(
    broker: Broker,
    create_database: CreateDatabase,
    chain: DevChain,
    folder: Path,
    rpc_url: str | None = None,
    **options: Any,
) -> AsyncGenerator[Lane]:
    """Everything that a lane needs, on servers of a test alone.

    Args:
        folder: For the documents that describe the chain.
        rpc_url: Where settlement, and nobody else, reaches the chain; directly unless told otherwise.
        options: Settings of settlement.
    """
    world = await EscrowWorld.create(chain, folder, ws_url=chain.websocket_url)
    chains_file = world.write_chains_file(folder / "chains.json")
    own_file = folder / "settlement.json"
    urls = (rpc_url,) if rpc_url else world.config.rpc_urls
    write_chains_file(own_file, [world.config.model_copy(update={"rpc_urls": urls})])
    database = await create_database("snowrail_settlement")
    settings = broker.settings(
        Settings,
        "settlement",
        database,
        **{
            "chains_file": own_file,
            "executor_key": SecretStr(EXECUTOR_KEY),
            "collect_seconds": 0.01,
            **options,
        },
    )
    await redeliver_quickly(broker, "settlement", REDELIVERY_SECONDS)
    monitor_database = await create_database("snowrail_chain_monitor")
    async with chain_monitor(broker, monitor_database, chains_file):
        yield Lane(world, broker, database, settings)


@asynccontextmanager
async def chain_monitor(broker: Broker, database: TestDatabase, chains_file: Path) -> AsyncGenerator[None]:
    """Run chain-monitor as a process of its own until the block ends."""
    port = free_port()
    environment = {
        **os.environ,
        "SNOWRAIL_NATS_URL": broker.server.url,
        "SNOWRAIL_NATS_SEED": broker.identities.seeds["chain-monitor"],
        "SNOWRAIL_NATS_MONITOR_URL": broker.server.monitor_url,
        "SNOWRAIL_DATABASE_URL": database.url,
        "SNOWRAIL_CHAINS_FILE": str(chains_file),
        "SNOWRAIL_HTTP_PORT": str(port),
        "SNOWRAIL_LOG_LEVEL": "ERROR",
    }
    command = [sys.executable, "-m", "snowrail_kit", "run", "snowrail_chain_monitor"]
    process = await asyncio.to_thread(subprocess.Popen, command, env=environment, stdin=subprocess.DEVNULL)
    try:
        async with httpx.AsyncClient() as http:

            async def is_ready() -> bool:
                try:
                    return (await http.get(f"http://127.0.0.1:{port}/health/ready")).status_code == 200
                except httpx.TransportError:
                    return False

            await eventually(is_ready, START_TIMEOUT_SECONDS)
        yield
    finally:
        process.terminate()
        await asyncio.to_thread(process.wait, STOP_TIMEOUT_SECONDS)


def check_chain(lane: Lane, transactions: list[Any], items: list[Any]) -> None:
    """Each order was executed exactly once, and the lane's rows are what the chain has."""
    chain, escrow = lane.world.chain, lane.world.config.escrow
    nonces = [row["nonce"] for row in transactions]
    assert nonces == list(range(len(nonces))), "nonces are dense, and each is used once"
    assert int(chain.call("eth_getTransactionCount", lane.world.executor, "latest"), 16) == len(nonces)
    for row in transactions:
        signed = read_transaction(row["raw"])
        on_chain = chain.call("eth_getTransactionByHash", row["tx_hash"])
        assert (on_chain["input"], int(on_chain["nonce"], 16)) == (f"0x{signed.data.hex()}", row["nonce"])
        assert int(chain.call("eth_getTransactionReceipt", row["tx_hash"])["status"], 16) == 1
    query = {"address": escrow, "fromBlock": "0x0", "topics": [EXECUTED_TOPIC]}
    executions = [
        (log["topics"][1], int(log["topics"][2], 16), log["transactionHash"])
        for log in chain.call("eth_getLogs", query)
    ]
    assert Counter(executions) == Counter(
        (row["order_hash"], row["occurrence"], row["basis_tx_hash"]) for row in items
    )
