"""The relay: numbers are committed before they are published, and what is in flight keeps its numbers."""

import asyncio
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import orjson
import pytest

from snowrail_events import FraudAssessedV1
from snowrail_kit.database import Connection
from snowrail_kit.ids import TimeOrderedIds
from snowrail_kit.relay import GAP_KEEP_SECONDS
from snowrail_kit.sequences import Sequences
from snowrail_kit.service import Runtime
from snowrail_kit.settings import ServiceSettings
from snowrail_kit.unit_of_work import Transaction, write_outbox
from snowrail_testkit import Broker, FakeClock, eventually

ROWS = "SELECT position, sequence FROM outbox LEFT JOIN outbox_number USING (position) ORDER BY position"


async def open_runtime(settings: ServiceSettings) -> Runtime[ServiceSettings]:
    """Connect without a relay that runs."""
    runtime = Runtime("fraud", settings, FakeClock(datetime.now(UTC)), TimeOrderedIds(), with_database=True)
    await runtime.database.open()
    await runtime.bus.open()
    return runtime


async def emit(runtime: Runtime[ServiceSettings], count: int) -> None:
    """Commit events."""
    async with runtime.transaction() as tx:
        for _ in range(count):
            tx.emit(an_event(tx.now))


def an_event(now: datetime) -> FraudAssessedV1:
    """Return one of the events that are committed."""
    return FraudAssessedV1(
        payment_id=uuid4(), score_thousandths=0, decision="allow", reasons=(), assessed_at=now
    )


async def announced(broker: Broker, runtime: Runtime[ServiceSettings]) -> Any:
    """Return the numbers that the producer announces now."""
    heard: asyncio.Queue[bytes] = asyncio.Queue()

    async def hear(message: Any) -> None:
        heard.put_nowait(message.data)

    subscription = await broker.probe.client.subscribe("announce.fraud", cb=hear)
    await broker.probe.client.flush()
    await Sequences("fraud", [], runtime.bus, runtime.database, runtime.clock).announce()
    body = await asyncio.wait_for(heard.get(), 30)
    await subscription.unsubscribe()
    return orjson.loads(body)["numbers"]


async def relay_all(runtime: Runtime[ServiceSettings]) -> None:
    """Let the relay publish what there is, and end."""
    relaying = asyncio.create_task(runtime.relay.run())

    async def sent() -> bool:
        return not await runtime.database.fetch("SELECT 1 FROM outbox_unsent")

    await eventually(sent)
    runtime.relay.stop()
    await asyncio.wait_for(relaying, 60)


@pytest.mark.parametrize("batch_rows", [3, 500])
async def test_events_are_numbered_densely_over_batches(
    broker: Broker, settings: ServiceSettings, batch_rows: int
) -> None:
    runtime = await open_runtime(settings.model_copy(update={"relay_batch_rows": batch_rows}))
    await emit(runtime, 5)
    await emit(runtime, 3)
    await relay_all(runtime)
    rows = await runtime.database.fetch(ROWS)
    assert [row["sequence"] for row in rows] == list(range(1, 9))
    assert await runtime.database.fetch("SELECT 1 FROM outbox_flight") == []
    assert await announced(broker, runtime) == {"fraud.assessed.v1": [1, 8]}
    await broker.probe.collect(FraudAssessedV1, 8)
    sequences = Sequences("fraud", [], runtime.bus, runtime.database, runtime.clock)
    assert await sequences.republish("fraud.assessed.v1", [8, 2, 2, 5, 9]) == 3
    await runtime.bus.close()
    await runtime.database.close()


async def test_what_a_dead_relay_left_in_flight_goes_out_under_its_numbers(
    broker: Broker, settings: ServiceSettings
) -> None:
    runtime = await open_runtime(settings)
    await emit(runtime, 4)
    await asyncio.to_thread(broker.server.pause)
    relaying = asyncio.create_task(runtime.relay.run())

    async def numbered() -> bool:
        return len(await runtime.database.fetch("SELECT 1 FROM outbox_flight")) == 1

    await eventually(numbered)
    relaying.cancel()
    await asyncio.wait([relaying])
    await asyncio.to_thread(broker.server.resume)
    # nobody is told of numbers that may not have been published, and nobody takes them for gone
    assert await announced(broker, runtime) == {"fraud.assessed.v1": [1, 0]}
    sequences = Sequences("fraud", [], runtime.bus, runtime.database, runtime.clock)
    assert await sequences.republish("fraud.assessed.v1", [2, 3, 9]) == 2
    before = await runtime.database.fetch("SELECT position, sequence FROM outbox_number")
    await runtime.bus.close()
    await runtime.database.close()

    later = await open_runtime(settings)
    await emit(later, 2)
    await relay_all(later)
    rows = await later.database.fetch(ROWS)
    assert [tuple(row) for row in rows[:4]] == sorted(tuple(row) for row in before)
    assert [row["sequence"] for row in rows] == [1, 2, 3, 4, 5, 6]
    assert await announced(broker, later) == {"fraud.assessed.v1": [1, 6]}
    await later.bus.close()
    await later.database.close()


async def test_an_event_that_is_committed_after_later_ones_is_found(
    broker: Broker, settings: ServiceSettings
) -> None:
    runtime = await open_runtime(settings)
    relaying = asyncio.create_task(runtime.relay.run())
    async with runtime.database.transaction() as slow:
        await write_one(runtime, slow)
        await emit(runtime, 2)
        await broker.probe.collect(FraudAssessedV1, 2)
        gaps = await runtime.database.fetch("SELECT position FROM outbox_gap")
        assert [row["position"] for row in gaps] == [1]
    await broker.probe.collect(FraudAssessedV1, 3)
    runtime.relay.stop()
    await asyncio.wait_for(relaying, 60)
    assert await runtime.database.fetch("SELECT 1 FROM outbox_gap") == []
    rows = await runtime.database.fetch(ROWS)
    assert [(row["position"], row["sequence"]) for row in rows] == [(1, 3), (2, 1), (3, 2)]
    await runtime.bus.close()
    await runtime.database.close()


async def test_a_position_that_nobody_will_fill_is_forgotten(
    broker: Broker, settings: ServiceSettings
) -> None:
    runtime = await open_runtime(settings)
    async with runtime.database.connection() as connection:
        rolled_back = connection.transaction()
        await rolled_back.start()
        await write_one(runtime, connection)
        await rolled_back.rollback()
    await emit(runtime, 1)
    await relay_all(runtime)
    assert len(await runtime.database.fetch("SELECT 1 FROM outbox_gap")) == 1
    assert await runtime.database.fetch("SELECT 1 FROM outbox_unsent") == []
    old = "UPDATE outbox_gap SET noticed_at = noticed_at - make_interval(secs => $1)"
    await runtime.database.fetch(old, GAP_KEEP_SECONDS)
    await runtime.bus.close()
    await runtime.database.close()
    later = await open_runtime(settings)
    await emit(later, 1)
    await relay_all(later)
    assert await later.database.fetch("SELECT 1 FROM outbox_gap") == []
    assert await announced(broker, later) == {"fraud.assessed.v1": [1, 2]}
    await later.bus.close()
    await later.database.close()


async def test_old_events_go_with_their_numbers_unless_they_were_not_sent(
    broker: Broker, settings: ServiceSettings
) -> None:
    runtime = await open_runtime(settings)
    aged = "UPDATE outbox SET created_at = created_at - make_interval(days => 40)"
    await emit(runtime, 2)
    await runtime.database.fetch(aged)
    await relay_all(runtime)
    await emit(runtime, 1)
    await runtime.database.fetch(f"{aged} WHERE position = 3")
    await runtime.database.fetch("SELECT outbox_maintain(1, 30)")
    assert [row["position"] for row in await runtime.database.fetch(ROWS)] == [3]
    await runtime.bus.close()
    await runtime.database.close()
    later = await open_runtime(settings)
    await relay_all(later)
    await emit(later, 1)
    await later.database.fetch("SELECT outbox_maintain(1, 30)")
    assert [row["position"] for row in await later.database.fetch(ROWS)] == [4]
    assert await announced(broker, later) == {"fraud.assessed.v1": [4, 3]}
    await later.bus.close()
    await later.database.close()


async def write_one(runtime: Runtime[ServiceSettings], connection: Connection) -> None:
    """Write an event to the outbox within a transaction that goes on."""
    tx = Transaction(connection, runtime.clock.now(), runtime.ids)
    tx.emit(an_event(tx.now))
    await write_outbox(connection, tx.outgoing)
