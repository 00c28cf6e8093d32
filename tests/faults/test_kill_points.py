"""The relay and a consumer batch, killed at every scheduling step and restarted: nothing lost or doubled."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import pytest

from snowrail_events import FraudAssessedV1, FraudAssessV1
from snowrail_kit.bus import Bus
from snowrail_kit.consumer import Consumers
from snowrail_kit.database import Database
from snowrail_kit.delivery import Delivery
from snowrail_kit.ids import TimeOrderedIds
from snowrail_kit.relay import Relay
from snowrail_kit.schema import chassis_statements
from snowrail_kit.service import Runtime
from snowrail_kit.settings import ServiceSettings
from snowrail_kit.unit_of_work import Transaction
from snowrail_testkit import Broker, CreateDatabase, TestDatabase
from snowrail_testkit.fixed import FakeClock
from snowrail_testkit.kill_points import run_in_child

from .bus_checks import check_outbox_and_stream, redeliver_quickly

pytestmark = pytest.mark.faults

EVENTS_PER_RUN = 4
ADDRESS = "0x" + "11" * 20


def answer(payment_id: UUID) -> FraudAssessedV1:
    return FraudAssessedV1(
        payment_id=payment_id,
        score_thousandths=0,
        decision="allow",
        reasons=(),
        assessed_at=datetime.now(UTC),
    )


consumers: Consumers[None] = Consumers()


@consumers.on(FraudAssessV1)
async def handle(deliveries: list[Delivery[FraudAssessV1]], tx: Transaction, _: None) -> None:
    """Store each message and answer it. A second effect would break the primary key."""
    await tx.execute(
        "INSERT INTO effect SELECT * FROM unnest($1::uuid[])",
        [delivery.event.payment_id for delivery in deliveries],
    )
    for delivery in deliveries:
        tx.emit(answer(delivery.event.payment_id), cause=delivery)


async def prepare(create_database: CreateDatabase) -> TestDatabase:
    """Make a database with the chassis's tables and one of the scenario."""
    database = await create_database("snowrail_fraud", lambda _module, _url: None)
    connection = await asyncpg.connect(database.owner_url, ssl=False)
    if not await connection.fetchval("SELECT to_regclass('outbox')"):
        for statement in chassis_statements():
            await connection.execute(statement)
        await connection.execute("CREATE TABLE effect (payment_id uuid PRIMARY KEY)")
    await connection.close()
    return database


def runtime_of(settings: ServiceSettings) -> Runtime[ServiceSettings]:
    return Runtime("fraud", settings, FakeClock(datetime.now(UTC)), TimeOrderedIds(), with_database=True)


async def open_relay(settings: ServiceSettings) -> tuple[Database, Bus, Relay]:
    runtime = runtime_of(settings)
    await runtime.database.open()
    await runtime.bus.open()
    return runtime.database, runtime.bus, runtime.relay


def relay_scenario(settings: ServiceSettings) -> Callable[..., Awaitable[None]]:
    """Publish what is in the outbox: the rows a killed run had numbered first, then the others."""

    async def scenario(begin: Callable[[], None], end: Callable[[], None]) -> None:
        database, bus, relay = await open_relay(settings)
        begin()
        running = asyncio.ensure_future(relay.run())
        while await database.fetch("SELECT 1 FROM outbox_unsent LIMIT 1"):  # noqa: ASYNC110
            await asyncio.sleep(0.002)
        end()
        relay.stop()
        await running
        await bus.close()
        await database.close()

    return scenario


def consumer_scenario(settings: ServiceSettings, sent: Callable[[], int]) -> Callable[..., Awaitable[None]]:
    """Handle what the stream holds, and publish the answers."""

    async def scenario(begin: Callable[[], None], end: Callable[[], None]) -> None:
        runtime = runtime_of(settings)
        await runtime.database.open()
        await runtime.bus.open()
        consumer = runtime.consumer(consumers, None)
        begin()
        working = [asyncio.ensure_future(work()) for work in (runtime.relay.run, consumer.run)]
        while not await settled(runtime.database, sent()):  # noqa: ASYNC110 - rows of others too
            await asyncio.sleep(0.002)
        end()
        consumer.stop()
        runtime.relay.stop()
        await asyncio.wait(working, timeout=10)
        await runtime.bus.close()
        await runtime.database.close()

    return scenario


async def settled(database: Database, commands: int) -> bool:
    """Whether every command had its effect and its answer is out."""
    row = await database.fetch_row(
        "SELECT (SELECT count(*) FROM effect) AS effects,"
        " (SELECT count(*) FROM outbox) - (SELECT count(*) FROM outbox_unsent) AS sent"
    )
    return row is not None and (row["effects"], row["sent"]) == (commands, commands)


async def add_rows(settings: ServiceSettings) -> None:
    """Commit events to the outbox without a relay."""
    runtime = runtime_of(settings)
    await runtime.database.open()
    async with runtime.transaction() as tx:
        for _ in range(EVENTS_PER_RUN):
            tx.emit(answer(uuid4()))
    await runtime.database.close()


async def command_all(broker: Broker) -> None:
    for _ in range(EVENTS_PER_RUN):
        await broker.probe.publish(
            FraudAssessV1(
                payment_id=uuid4(),
                intent_id=uuid4(),
                user_id=uuid4(),
                occurrence=0,
                payer=ADDRESS,
                recipient=ADDRESS,
                token=f"31337:{ADDRESS}",
                amount=1,
                requested_at=datetime.now(UTC),
            )
        )


async def kill_at_every_step(
    scenario: Callable[..., Awaitable[None]], load: Callable[[], Awaitable[Any]]
) -> int:
    """Kill at step 1, 2, … until a run finishes before its kill; after each kill let a new process finish."""
    for step in range(1, 10_000):
        await load()
        ending = await asyncio.to_thread(run_in_child, scenario, step)
        if not ending.killed:
            return step
        await asyncio.to_thread(run_in_child, scenario, None)
    raise AssertionError("the scenario never finishes")


async def test_the_relay_loses_and_doubles_nothing(broker: Broker, create_database: CreateDatabase) -> None:
    database = await prepare(create_database)
    settings = broker.settings(ServiceSettings, "fraud", database)
    steps = await kill_at_every_step(relay_scenario(settings), lambda: add_rows(settings))
    assert steps > 20
    await check_outbox_and_stream(broker, database, [FraudAssessedV1])


async def test_a_consumer_batch_loses_and_doubles_nothing(
    broker: Broker, create_database: CreateDatabase
) -> None:
    database = await prepare(create_database)
    settings = broker.settings(ServiceSettings, "fraud", database)
    await redeliver_quickly(broker, "fraud", ack_wait_seconds=0.5)
    sent = 0

    async def command() -> None:
        nonlocal sent
        await command_all(broker)
        sent += EVENTS_PER_RUN

    steps = await kill_at_every_step(consumer_scenario(settings, lambda: sent), command)
    assert steps > 40
    await check_outbox_and_stream(broker, database, [FraudAssessedV1])
    connection: Any = await asyncpg.connect(database.superuser_url, ssl=False)
    counts = await connection.fetchrow(
        "SELECT (SELECT count(*) FROM effect), (SELECT count(*) FROM inbox), (SELECT count(*) FROM outbox),"
        " (SELECT count(*) FROM dead_letter)"
    )
    await connection.close()
    assert tuple(counts) == (steps * EVENTS_PER_RUN, steps * EVENTS_PER_RUN, steps * EVENTS_PER_RUN, 0)
