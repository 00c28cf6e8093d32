"""What is not done yet can be seen from any replica, whether or not anything works on it."""

from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from prometheus_client import REGISTRY

from snowrail_events import FraudAssessedV1, FraudAssessV1
from snowrail_kit.backlog import measure_backlog
from snowrail_kit.ids import TimeOrderedIds
from snowrail_kit.service import Runtime, Service
from snowrail_kit.settings import ServiceSettings
from snowrail_testkit import Broker, Builder, FakeClock, eventually, running_service

GAUGES = ("outbox_unsent", "parked_messages", "dead_letters_waiting", "consumer_pending", "consumer_floor")
HANDLED, PARKED, DEAD = 0, 7, 9
"""Occurrences with which the test service deals so."""


async def measured(runtime: Runtime[Any]) -> dict[str, float | None]:
    """Measure, and return the gauges."""
    await measure_backlog(runtime.database, runtime.bus, "fraud")
    return {name: REGISTRY.get_sample_value(f"snowrail_{name}") for name in GAUGES}


async def test_a_backlog_is_seen_without_relay_and_consumer_and_when_it_is_gone(
    broker: Broker, settings: ServiceSettings, build: Builder, service: Service[Any, Any]
) -> None:
    idle = Runtime("fraud", settings, FakeClock(datetime.now(UTC)), TimeOrderedIds(), with_database=True)
    await idle.database.open()
    await idle.bus.open()
    async with idle.transaction() as tx:
        for _ in range(2):
            tx.emit(
                FraudAssessedV1(
                    payment_id=uuid4(), score_thousandths=0, decision="allow", reasons=(), assessed_at=tx.now
                )
            )
    await idle.database.fetch("UPDATE outbox SET created_at = created_at - interval '90 seconds'")
    for occurrence in (HANDLED, PARKED, DEAD):
        await broker.probe.publish(build(FraudAssessV1, payment_id=uuid4(), occurrence=occurrence))

    async def is_seen() -> bool:
        return list((await measured(idle)).values()) == [2, 0, 0, 3, 0]

    assert await eventually(is_seen)
    oldest_seconds = REGISTRY.get_sample_value("snowrail_outbox_oldest_seconds")
    assert oldest_seconds is not None
    assert 90 <= oldest_seconds < 150
    await idle.bus.close()
    await idle.database.close()
    async with running_service(service, settings) as running:

        async def done() -> bool:
            return list((await measured(running.runtime)).values()) == [0, 1, 1, 0, 3]

        assert await eventually(done)
    assert REGISTRY.get_sample_value("snowrail_outbox_oldest_seconds") == 0
