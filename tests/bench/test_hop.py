"""One hop: from an event in the stream to the event it causes, through inbox, state and outbox.

Set-based is the chassis as services use it. Naive is the same hop with one transaction and one awaited
publish for each message: the same driver, broker, settings, and number in flight.
"""

import asyncio
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import pytest
from nats.aio.msg import Msg

from snowrail_events import FraudAssessedV1, FraudAssessV1
from snowrail_kit.bus import Bus, OutgoingMessage, encode_headers
from snowrail_kit.consumer import Consumers
from snowrail_kit.delivery import Delivery, Envelope
from snowrail_kit.pull import PullLoop
from snowrail_kit.schema import chassis_statements
from snowrail_kit.service import Runtime, Service
from snowrail_kit.settings import ServiceSettings
from snowrail_kit.unit_of_work import Transaction
from snowrail_testkit import Broker, Identities, TestDatabase, running_service
from snowrail_testkit.broker import running_broker
from snowrail_testkit.databases import Databases
from snowrail_testkit.servers import JetStreamServer, PostgresServer

IN_FLIGHT = 256
SET_BASED_EVENTS = 20_000
NAIVE_EVENTS = 3_000
ADDRESS = "0x" + "11" * 20
TOKEN = f"31337:{ADDRESS}"

consumers: Consumers[None] = Consumers()


def _answer(payment_id: UUID, now: datetime) -> FraudAssessedV1:
    return FraudAssessedV1(
        payment_id=payment_id, score_thousandths=1, decision="allow", reasons=(), assessed_at=now
    )


@consumers.on(FraudAssessV1)
async def handle(deliveries: list[Delivery[FraudAssessV1]], tx: Transaction, _: None) -> None:
    """Store each message and answer it."""
    await tx.execute(
        "INSERT INTO effect SELECT * FROM unnest($1::uuid[], $2::numeric[])",
        [delivery.event.payment_id for delivery in deliveries],
        [delivery.event.amount for delivery in deliveries],
    )
    for delivery in deliveries:
        tx.emit(_answer(delivery.event.payment_id, tx.now), cause=delivery)


def compose(_: Runtime[ServiceSettings]) -> None:
    """The measured service has no parts."""


service: Service[ServiceSettings, None] = Service("fraud", ServiceSettings, compose, consumers)


async def prepare(database: TestDatabase) -> None:
    """Make the chassis's tables, the one of the hop, and the mark of the naive way."""
    connection = await asyncpg.connect(database.owner_url, ssl=False)
    for statement in (
        *chassis_statements(),
        "CREATE TABLE effect (payment_id uuid PRIMARY KEY, amount numeric)",
        "ALTER TABLE outbox ADD COLUMN sent_at timestamptz",
    ):
        await connection.execute(statement)
    await connection.close()


async def load(broker: Broker, count: int) -> None:
    """Put messages into the stream ahead of the measurement."""
    jetstream = broker.probe.client.jetstream(publish_async_max_pending=500)
    now = datetime.now(UTC)
    for number in range(1, count + 1):
        event = FraudAssessV1(
            payment_id=uuid4(),
            intent_id=uuid4(),
            user_id=uuid4(),
            occurrence=0,
            payer=ADDRESS,
            recipient=ADDRESS,
            token=TOKEN,
            amount=number,
            requested_at=now,
        )
        envelope = Envelope(uuid4(), event.subject, "payment-orchestrator", sequence=number)
        await jetstream.publish_async(
            event.subject,
            event.model_dump_json().encode(),
            headers=encode_headers(envelope, str(event.payment_id), now),
            wait_stall=30,
        )
    await jetstream.publish_async_completed()


async def _until_answered(broker: Broker, count: int) -> None:
    while await broker.probe.count(FraudAssessedV1) < count:  # noqa: ASYNC110 - another process's progress
        await asyncio.sleep(0.02)


async def set_based(broker: Broker, database: TestDatabase, count: int) -> float:
    """Return events per second through the chassis."""
    await load(broker, count)
    settings = broker.settings(ServiceSettings, "fraud", database, consumer_batch_messages=IN_FLIGHT)
    started = time.monotonic()
    async with running_service(service, settings):
        await _until_answered(broker, count)
        return count / (time.monotonic() - started)


@asynccontextmanager
async def _naive_pool(database: TestDatabase) -> AsyncGenerator[asyncpg.Pool]:
    pool = await asyncpg.create_pool(database.url, min_size=6, max_size=6, ssl=False)
    try:
        yield pool
    finally:
        await pool.close()


async def naive(broker: Broker, database: TestDatabase, count: int) -> float:
    """Return events per second with one transaction and one awaited publish for each message."""
    await load(broker, count)
    settings = broker.settings(ServiceSettings, "fraud", database)
    bus = Bus("fraud", settings)
    started = time.monotonic()
    await bus.open()
    pull = PullLoop(bus, "fraud", IN_FLIGHT)
    await pull.start()
    async with _naive_pool(database) as pool:
        handled = 0
        while handled < count:
            messages = await pull.next_batch()
            await asyncio.gather(*(_handle_one(bus, pool, message) for message in messages))
            handled += len(messages)
        elapsed = time.monotonic() - started
    await pull.close()
    await bus.close()
    return count / elapsed


async def _handle_one(bus: Bus, pool: Any, message: Msg) -> None:
    event = FraudAssessV1.model_validate_json(message.data)
    assert message.headers is not None, "our messages have headers"
    now = datetime.now(UTC)
    answer = _answer(event.payment_id, now)
    event_id = uuid4()
    async with pool.acquire() as connection, connection.transaction():
        await connection.execute(
            "INSERT INTO inbox (consumer, event_id, producer, sequence_key, sequence)"
            " VALUES ('fraud', $1, $2, $3, $4)",
            UUID(message.headers["ce-id"]),
            message.headers["ce-source"],
            message.headers["ce-type"],
            int(message.headers["snowrail-sequence"]),
        )
        await connection.execute("INSERT INTO effect VALUES ($1, $2)", event.payment_id, event.amount)
        row = await connection.fetchrow(
            "INSERT INTO outbox (event_id, subject, sequence_key, aggregate_id, aggregate_version, payload)"
            " VALUES ($1, $2, $2, $3, 0, $4) RETURNING position, created_at",
            event_id,
            answer.subject,
            str(event.payment_id),
            answer.model_dump_json().encode(),
        )
    envelope = Envelope(event_id, answer.subject, "fraud")
    headers = encode_headers(envelope, str(event.payment_id), now)
    body = answer.model_dump_json().encode()
    await bus.publish(OutgoingMessage(event_id, answer.subject, answer.subject, headers, body))
    async with pool.acquire() as connection:
        await connection.execute(
            "UPDATE outbox SET sent_at = now() WHERE position = $1 AND created_at = $2", *row
        )
    await message.ack()


@pytest.mark.bench
@pytest.mark.asyncio(loop_scope="session")
async def test_one_hop(
    start_nats: Callable[..., JetStreamServer], start_postgres: Callable[..., PostgresServer], table: Any
) -> None:
    """Both ways, each on a broker and a database of its own that sync every commit to disk."""
    postgres = start_postgres(fsync="on", synchronous_commit="on", full_page_writes="on")
    databases = Databases(postgres)
    rates: dict[str, float] = {}
    for name, run, count in (("set-based", set_based, SET_BASED_EVENTS), ("naive", naive, NAIVE_EVENTS)):
        identities = Identities.generate()
        async with running_broker(start_nats(identities.configuration()), identities) as broker:
            database = await databases.create("snowrail_fraud", lambda _module, _url: None)
            await prepare(database)
            rates[name] = await run(broker, database, count)
    table.add(
        "one hop with inbox, state and outbox", rates["set-based"], "events/s", ">= 3000", rates["naive"]
    )
