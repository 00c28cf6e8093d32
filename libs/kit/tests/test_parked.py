"""Waiting messages: when they are tried again, by whom they are woken, and what a failure is charged to."""

import asyncio
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import asyncpg

from snowrail_events import FraudAssessedV1, FraudAssessV1
from snowrail_kit import inbox
from snowrail_kit.delivery import Delivery, Envelope
from snowrail_kit.ids import TimeOrderedIds
from snowrail_kit.service import Runtime, Service
from snowrail_kit.settings import ServiceSettings
from snowrail_testkit import Broker, Builder, FakeClock, TestDatabase, eventually, running_service


def waiting(command: FraudAssessV1, key: str) -> Delivery[FraudAssessV1]:
    """A delivery whose handler said that it waits."""
    envelope = Envelope(uuid4(), FraudAssessV1.subject, "payment-orchestrator")
    delivery = Delivery(envelope, command, command.model_dump_json().encode())
    delivery.wait_for(key, "a test has it wait")
    return delivery


async def test_the_pause_grows_with_the_wait_for_one_key_and_begins_anew_with_another(
    database: TestDatabase, build: Builder
) -> None:
    connection = await asyncpg.connect(database.url, ssl=False)
    delivery, now = waiting(build(FraudAssessV1), ""), datetime.now(UTC)
    pauses: list[float] = []
    for attempt, key in enumerate("aaaaaaaaabbb"):
        delivery.parked_attempts = attempt - 1 if attempt else None
        delivery.wait_for(key, "it is not there yet")
        await inbox.park(connection, [delivery], now)
        due = await connection.fetchval("SELECT next_try_at FROM parked_message")
        pauses.append((due - now).total_seconds())
        now = due
    assert pauses == [1, 1, 2, 4, 8, 16, 32, 60, 60, 1, 1, 2]
    await connection.close()


async def test_a_wake_up_is_not_lost_on_a_message_that_is_being_tried(
    broker: Broker, settings: ServiceSettings, build: Builder, service: Service[Any, Any]
) -> None:
    user = uuid4()
    async with running_service(service, settings) as running:
        parts, database = running.parts, running.runtime.database
        await broker.probe.publish(build(FraudAssessV1, payment_id=uuid4(), user_id=user, occurrence=7))

        async def is_parked() -> bool:
            return bool(await database.fetch("SELECT 1 FROM parked_message"))

        await eventually(is_parked)
        tried = len(parts.batches)
        parts.may_go_on.clear()
        await database.fetch(
            "UPDATE parked_message SET attempts = 50, parked_at = now() - interval '1 hour',"
            " next_try_at = now() RETURNING 1"
        )

        async def has_read_that_nothing_came() -> bool:
            return len(parts.batches) > tried

        await eventually(has_read_that_nothing_came)

        async def arrive() -> None:
            async with running.runtime.transaction() as tx:
                await tx.execute("INSERT INTO known_user VALUES ($1)", user)
                tx.wake(str(user))

        async def wakes() -> bool:
            return bool(
                await database.fetch(
                    "SELECT 1 FROM pg_stat_activity"
                    " WHERE datname = current_database() AND wait_event_type = 'Lock'"
                )
            )

        arriving = asyncio.create_task(arrive())
        await eventually(wakes)
        parts.may_go_on.set()
        await arriving
        await broker.probe.collect(FraudAssessedV1, 1, timeout_seconds=30)
        assert not await is_parked()


async def test_a_failure_is_charged_to_the_message_that_fails_while_another_one_is_held(
    settings: ServiceSettings, build: Builder, service: Service[Any, Any]
) -> None:
    """Another replica holds the message that is due first; what fails is the one after it."""
    runtime = Runtime("fraud", settings, FakeClock(datetime.now(UTC)), TimeOrderedIds(), with_database=True)
    await runtime.database.open()
    parts = service.compose(runtime)
    consumer = runtime.consumer(service.consumers, parts)
    held, poisonous = (waiting(build(FraudAssessV1, payment_id=uuid4(), occurrence=0), "x") for _ in range(2))
    parts.poison.add(str(poisonous.event.payment_id))
    async with runtime.transaction() as tx:
        await inbox.park(tx.connection, [held, poisonous], tx.now)
        await tx.execute(
            "UPDATE parked_message SET next_try_at = $1::timestamptz - CASE WHEN event_id = $2"
            " THEN interval '2 s' ELSE interval '1 s' END",
            tx.now,
            held.envelope.event_id,
        )
    async with runtime.database.connection() as other_replica:
        trying = other_replica.transaction()
        await trying.start()
        claimed = await inbox.claim_parked(other_replica, runtime.clock.now(), limit=1)
        assert [row["event_id"] for row in claimed] == [held.envelope.event_id]
        handling = asyncio.create_task(consumer.handle_parked())
        await asyncio.wait([handling], timeout=20)
        await trying.rollback()
    await handling

    async def failures() -> dict[UUID, int]:
        rows = await runtime.database.fetch("SELECT event_id, failures FROM parked_message")
        return {row["event_id"]: row["failures"] for row in rows}

    assert await failures() == {held.envelope.event_id: 0, poisonous.envelope.event_id: 1}
    assert await consumer.handle_parked() == 1
    assert await failures() == {poisonous.envelope.event_id: 1}
    await runtime.database.close()
