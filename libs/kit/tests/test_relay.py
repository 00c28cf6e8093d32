"""The relay: numbers are committed before they are published, and what is in flight keeps its numbers."""

import asyncio
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import orjson
import pytest

from snowrail_events import FraudAssessedV1
from snowrail_kit.ids import TimeOrderedIds
from snowrail_kit.sequences import Sequences
from snowrail_kit.service import Runtime
from snowrail_kit.settings import ServiceSettings
from snowrail_testkit import Broker, FakeClock, eventually

ROWS = "SELECT sequence, sent_at IS NOT NULL AS sent FROM outbox ORDER BY position"


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
            tx.emit(
                FraudAssessedV1(
                    payment_id=uuid4(), score_thousandths=0, decision="allow", reasons=(), assessed_at=tx.now
                )
            )


async def announced(broker: Broker, runtime: Runtime[ServiceSettings]) -> Any:
    """Return the numbers that the producer announces now."""
    heard: asyncio.Queue[bytes] = asyncio.Queue()

    async def hear(message: Any) -> None:
        heard.put_nowait(message.data)

    subscription = await broker.probe.client.subscribe("announce.fraud", cb=hear)
    await broker.probe.client.flush()
    await Sequences("fraud", [], runtime.bus, runtime.database, runtime.clock).announce()
    body = await asyncio.wait_for(heard.get(), 5)
    await subscription.unsubscribe()
    return orjson.loads(body)["numbers"]


async def relay_all(runtime: Runtime[ServiceSettings]) -> None:
    """Let the relay publish what there is, and end."""
    relaying = asyncio.create_task(runtime.relay.run())

    async def sent() -> bool:
        return not await runtime.database.fetch("SELECT 1 FROM outbox WHERE sent_at IS NULL")

    await eventually(sent)
    runtime.relay.stop()
    await asyncio.wait_for(relaying, 20)


@pytest.mark.parametrize("batch_rows", [3, 500])
async def test_events_are_numbered_densely_over_batches(
    broker: Broker, settings: ServiceSettings, batch_rows: int
) -> None:
    runtime = await open_runtime(settings.model_copy(update={"relay_batch_rows": batch_rows}))
    await emit(runtime, 5)
    await emit(runtime, 3)
    await relay_all(runtime)
    rows = await runtime.database.fetch(ROWS)
    assert [(row["sequence"], row["sent"]) for row in rows] == [(number, True) for number in range(1, 9)]
    assert await runtime.database.fetch("SELECT 1 FROM outbox_flight") == []
    assert await announced(broker, runtime) == {"fraud.assessed.v1": [1, 8]}
    await broker.probe.collect(FraudAssessedV1, 8)
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
    before = await runtime.database.fetch("SELECT positions, sequences FROM outbox_flight")
    await runtime.bus.close()
    await runtime.database.close()

    later = await open_runtime(settings)
    await emit(later, 2)
    await relay_all(later)
    rows = await later.database.fetch("SELECT position, sequence, sent_at FROM outbox ORDER BY position")
    given = dict(zip(before[0]["positions"], before[0]["sequences"], strict=True))
    assert {row["position"]: row["sequence"] for row in rows[:4]} == given
    assert [row["sequence"] for row in rows] == [1, 2, 3, 4, 5, 6]
    assert all(row["sent_at"] for row in rows)
    assert await announced(broker, later) == {"fraud.assessed.v1": [1, 6]}
    await later.bus.close()
    await later.database.close()
