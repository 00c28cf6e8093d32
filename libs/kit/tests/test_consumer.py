"""Batches over a real broker and database: duplicates, poison, waiting, dead letters, restarts."""

import asyncio
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import pytest

from snowrail_events import (
    FraudAssessedV1,
    FraudAssessV1,
    PaymentCancelledV1,
    PaymentSucceededV1,
    UserRegisteredV1,
)
from snowrail_kit import inbox, relay
from snowrail_kit.service import Service
from snowrail_kit.settings import ServiceSettings
from snowrail_testkit import Broker, Builder, RunningService, TestDatabase, eventually, running_service


async def value(running: RunningService, query: str, *arguments: Any) -> Any:
    """Return one value from the test service's database."""
    row = await running.runtime.database.fetch_row(query, *arguments)
    return row and row[0]


async def test_each_message_has_its_effect_once_and_is_answered_once(
    broker: Broker, settings: ServiceSettings, build: Builder, service: Service[Any, Any]
) -> None:
    commands = [build(FraudAssessV1, payment_id=uuid4(), occurrence=0, amount=10**30) for _ in range(120)]
    ids = [uuid4() for _ in commands]
    for event_id, command in zip(ids, commands, strict=True):
        await broker.probe.publish(command, event_id=event_id)
    async with running_service(service, settings) as running:
        answers = await broker.probe.collect(FraudAssessedV1, 120)
        for event_id, command in zip(ids[:50], commands[:50], strict=True):
            await broker.probe.publish(command, event_id=UUID(int=event_id.int), sequence=1)
        await asyncio.sleep(0.3)
        assert {answer.payment_id for answer in answers} == {command.payment_id for command in commands}
        assert await broker.probe.count(FraudAssessedV1) == 120
        assert await value(running, "SELECT sum(amount) FROM effect") == 120 * 10**30
        assert max(running.parts.batches) > 1


async def test_a_relay_does_not_rest_once_a_batch_has_brought_its_events(
    broker: Broker,
    settings: ServiceSettings,
    build: Builder,
    service: Service[Any, Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def an_hour(messages: int, seconds: float) -> float:
        return 3600.0

    monkeypatch.setattr(relay, "gather_seconds", an_hour)
    async with running_service(service, settings):
        for answered in range(1, 4):
            await broker.probe.publish(build(FraudAssessV1, payment_id=uuid4(), occurrence=0))
            await broker.probe.collect(FraudAssessedV1, answered)


async def test_a_poisonous_message_ends_alone_and_is_replayed(
    broker: Broker, settings: ServiceSettings, build: Builder, service: Service[Any, Any]
) -> None:
    poison = uuid4()
    async with running_service(service, settings) as running:
        running.parts.poison.add(str(poison))
        good = [build(FraudAssessV1, payment_id=uuid4(), occurrence=0) for _ in range(20)]
        for command in [*good[:10], build(FraudAssessV1, payment_id=poison, occurrence=0), *good[10:]]:
            await broker.probe.publish(command)
        await broker.probe.collect(FraudAssessedV1, 20)

        async def dead() -> Any:
            return await value(running, "SELECT count(*) FROM dead_letter WHERE reason LIKE '%poison%'")

        assert await eventually(dead) == 1
        running.parts.poison.clear()
        async with running.runtime.transaction() as tx:
            assert await inbox.revive(tx.connection, None, tx.now) == 1
        answers = await broker.probe.collect(FraudAssessedV1, 21)
        assert answers[-1].payment_id == poison


async def test_a_message_waits_for_what_it_needs(
    broker: Broker, settings: ServiceSettings, build: Builder, service: Service[Any, Any]
) -> None:
    user = uuid4()
    async with running_service(service, settings) as running:
        await broker.probe.publish(build(FraudAssessV1, payment_id=uuid4(), user_id=user, occurrence=7))

        async def parked() -> Any:
            return await value(running, "SELECT count(*) FROM parked_message")

        await eventually(parked)
        assert await broker.probe.count(FraudAssessedV1) == 0
        await broker.probe.publish(build(UserRegisteredV1, user_id=user))
        await broker.probe.collect(FraudAssessedV1, 1)
        assert await parked() == 0


async def test_a_message_that_has_waited_for_long_is_not_dead_at_its_first_failure(
    broker: Broker, settings: ServiceSettings, build: Builder, service: Service[Any, Any]
) -> None:
    payment, user = uuid4(), uuid4()
    settings = settings.model_copy(update={"consumer_attempts": 8})  # it fails on while the test looks
    async with running_service(service, settings) as running:
        await broker.probe.publish(build(FraudAssessV1, payment_id=payment, user_id=user, occurrence=7))

        async def is_parked() -> Any:
            return await value(running, "SELECT count(*) = 1 FROM parked_message")

        await eventually(is_parked)
        running.parts.poison.add(str(payment))
        await running.runtime.database.fetch(
            "UPDATE parked_message SET attempts = 50, next_try_at = now() RETURNING 1"
        )

        async def has_failed() -> Any:
            return await value(running, "SELECT count(*) = 1 FROM parked_message WHERE failures > 0")

        await eventually(has_failed)
        assert await value(running, "SELECT count(*) = 0 FROM dead_letter")
        await running.runtime.database.fetch(
            "UPDATE parked_message SET failures = $1, next_try_at = now() RETURNING 1",
            settings.consumer_attempts - 1,
        )

        async def is_dead() -> Any:
            return await value(running, "SELECT count(*) = 1 FROM dead_letter WHERE event_id IS NOT NULL")

        await eventually(is_dead)
        assert await value(running, "SELECT count(*) = 0 FROM parked_message")


async def test_a_task_or_a_request_wakes_waiting_messages_too(
    broker: Broker, settings: ServiceSettings, build: Builder, service: Service[Any, Any]
) -> None:
    user = uuid4()
    async with running_service(service, settings) as running:
        await broker.probe.publish(build(FraudAssessV1, payment_id=uuid4(), user_id=user, occurrence=7))

        async def parked() -> Any:
            return await value(running, "SELECT count(*) FROM parked_message")

        await eventually(parked)
        async with running.runtime.transaction() as tx:
            await tx.execute("UPDATE parked_message SET next_try_at = now() + interval '1 hour'")
            await tx.execute("INSERT INTO known_user VALUES ($1)", user)
            tx.wake(str(user))
        await broker.probe.collect(FraudAssessedV1, 1)


async def test_a_handler_can_declare_a_message_dead(
    broker: Broker, settings: ServiceSettings, build: Builder, service: Service[Any, Any]
) -> None:
    async with running_service(service, settings) as running:
        await broker.probe.publish(build(FraudAssessV1, payment_id=uuid4(), occurrence=9))

        async def dead() -> Any:
            return await value(running, "SELECT count(*) FROM dead_letter WHERE reason LIKE 'occurrence 9%'")

        assert await eventually(dead) == 1


async def test_a_malformed_message_is_buried_as_it_came(
    broker: Broker, settings: ServiceSettings, service: Service[Any, Any]
) -> None:
    async with running_service(service, settings) as running:
        await broker.probe.client.jetstream().publish("fraud.assess.v1", b"not json", headers={"ce-id": "x"})

        async def dead() -> Any:
            return await value(running, "SELECT count(*) FROM dead_letter WHERE body = 'not json'")

        assert await eventually(dead) == 1


async def test_a_handler_of_two_types_gets_them_in_one_call(
    broker: Broker, settings: ServiceSettings, build: Builder, service: Service[Any, Any]
) -> None:
    for _ in range(20):
        await broker.probe.publish(build(PaymentSucceededV1, payment_id=uuid4()))
        await broker.probe.publish(build(PaymentCancelledV1, payment_id=uuid4()))
    async with running_service(service, settings) as running:

        async def heard() -> Any:
            return sum(len(names) for names in running.parts.heard) == 40

        await eventually(heard)
        assert max(len(set(names)) for names in running.parts.heard) == 2


async def test_a_lost_event_is_noticed_and_republished(
    broker: Broker,
    settings: ServiceSettings,
    build: Builder,
    database: TestDatabase,
    service: Service[Any, Any],
) -> None:
    """The fraud service hears numbers 1 and 3 of a subject; it asks the producer for 2."""
    requests: list[bytes] = []

    async def on_request(message: Any) -> None:
        requests.append(message.data)

    await broker.probe.client.subscribe("republish.payment-orchestrator", cb=on_request)
    async with running_service(service, settings) as running:
        for sequence in (1, 3):
            await broker.probe.publish(
                build(FraudAssessV1, payment_id=uuid4(), occurrence=0), sequence=sequence
            )
        await broker.probe.collect(FraudAssessedV1, 2)

        async def asked() -> Any:
            await broker.probe.client.publish(
                "announce.payment-orchestrator",
                b'{"producer": "payment-orchestrator", "numbers": {"fraud.assess.v1": [1, 3]}}',
            )
            return requests

        await eventually(asked)
        assert requests[0] == b'{"subject":"fraud.assess.v1","sequences":[2]}'
        await broker.probe.publish(build(FraudAssessV1, payment_id=uuid4(), occurrence=0), sequence=2)

        async def healed() -> Any:
            return await value(running, "SELECT count(*) = 0 FROM inbox_hole") and await value(
                running, "SELECT contiguous = 3 FROM inbox_watermark"
            )

        await eventually(healed)


async def test_a_producer_republishes_from_its_outbox(
    broker: Broker, settings: ServiceSettings, build: Builder, service: Service[Any, Any]
) -> None:
    async with running_service(service, settings):
        for _ in range(3):
            await broker.probe.publish(build(FraudAssessV1, payment_id=uuid4(), occurrence=0))
        first = await broker.probe.collect(FraudAssessedV1, 3)
        await broker.probe.client.publish(
            "republish.fraud", b'{"subject": "fraud.assessed.v1", "sequences": [2, 99]}'
        )
        again = await broker.probe.collect(FraudAssessedV1, 4)
        assert again[3].payment_id in {answer.payment_id for answer in first}


async def test_work_goes_on_after_the_broker_was_killed(
    broker: Broker, settings: ServiceSettings, build: Builder, service: Service[Any, Any]
) -> None:
    async with running_service(service, settings):
        await broker.probe.publish(build(FraudAssessV1, payment_id=uuid4(), occurrence=0))
        await broker.probe.collect(FraudAssessedV1, 1)
        await asyncio.to_thread(broker.server.kill)
        await asyncio.to_thread(broker.server.start)
        await eventually(lambda: _connected(broker))
        await broker.probe.publish(build(FraudAssessV1, payment_id=uuid4(), occurrence=0))
        await broker.probe.collect(FraudAssessedV1, 2)


async def _connected(broker: Broker) -> bool:
    return broker.probe.client.is_connected


async def test_work_goes_on_after_database_connections_were_ended(
    broker: Broker,
    settings: ServiceSettings,
    build: Builder,
    database: TestDatabase,
    service: Service[Any, Any],
) -> None:
    async with running_service(service, settings):
        await broker.probe.publish(build(FraudAssessV1, payment_id=uuid4(), occurrence=0))
        await broker.probe.collect(FraudAssessedV1, 1)
        connection = await asyncpg.connect(database.superuser_url, ssl=False)
        await connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = $1 AND pid <> pg_backend_pid()",
            database.name,
        )
        await connection.close()
        await broker.probe.publish(build(FraudAssessV1, payment_id=uuid4(), occurrence=0))
        await broker.probe.collect(FraudAssessedV1, 2)
