"""A small service for the chassis's own tests: it sums the transactions it hears of."""

import asyncio
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from alembic import command
from alembic.config import Config

from snowrail_events import (
    FraudAssessedV1,
    FraudAssessV1,
    PaymentCancelledV1,
    PaymentSucceededV1,
    UserRegisteredV1,
)
from snowrail_kit import migrations
from snowrail_kit.consumer import Consumers
from snowrail_kit.delivery import Delivery
from snowrail_kit.service import Runtime, Service
from snowrail_kit.settings import ServiceSettings
from snowrail_kit.unit_of_work import Transaction
from snowrail_testkit import Broker, CreateDatabase, TestDatabase

REVISIONS = Path(__file__).parent / "revisions"


def migrate(_: str, url: str) -> None:
    """Create the chassis's tables and the test service's own."""
    config = Config()
    config.set_main_option("script_location", str(Path(migrations.__file__).parent / "alembic"))
    config.set_main_option("path_separator", "os")
    config.set_main_option("version_locations", str(REVISIONS))
    config.attributes["url"] = url.replace("postgresql://", "postgresql+asyncpg://", 1)
    command.upgrade(config, "head")


@dataclass
class Parts:
    """What the test service is made of, and what a test sets to make it misbehave."""

    runtime: Runtime[ServiceSettings]
    poison: set[str]
    batches: list[int]
    heard: list[list[str]]
    may_go_on: asyncio.Event
    """Not set: `assess` stands still after it has read, before it writes."""


consumers: Consumers[Parts] = Consumers()


@consumers.on(FraudAssessV1)
async def assess(deliveries: list[Delivery[FraudAssessV1]], tx: Transaction, parts: Parts) -> None:
    """Record each request once and answer it."""
    parts.batches.append(len(deliveries))
    for delivery in deliveries:
        if str(delivery.event.payment_id) in parts.poison:
            raise ValueError(f"poison {delivery.event.payment_id}")
    known = {
        row["user_id"]
        for row in await tx.fetch(
            "SELECT user_id FROM known_user WHERE user_id = ANY($1::uuid[])",
            [delivery.event.user_id for delivery in deliveries],
        )
    }
    await parts.may_go_on.wait()
    ready: list[Delivery[FraudAssessV1]] = []
    for delivery in deliveries:
        if delivery.event.occurrence == 7 and delivery.event.user_id not in known:
            delivery.wait_for(str(delivery.event.user_id), "the user is not known yet")
        elif delivery.event.occurrence == 9:
            delivery.dead("occurrence 9 is never handled")
        else:
            ready.append(delivery)
    await tx.execute(
        "INSERT INTO effect (payment_id, amount) SELECT * FROM unnest($1::uuid[], $2::numeric[])",
        [delivery.event.payment_id for delivery in ready],
        [delivery.event.amount for delivery in ready],
    )
    for delivery in ready:
        tx.emit(
            FraudAssessedV1(
                payment_id=delivery.event.payment_id,
                score_thousandths=0,
                decision="allow",
                reasons=(),
                assessed_at=tx.now,
            ),
            cause=delivery,
        )


@consumers.on(UserRegisteredV1)
async def learn(deliveries: list[Delivery[UserRegisteredV1]], tx: Transaction, parts: Parts) -> None:
    """Remember users, and wake what waited for them."""
    await tx.execute(
        "INSERT INTO known_user SELECT * FROM unnest($1::uuid[]) ON CONFLICT DO NOTHING",
        [delivery.event.user_id for delivery in deliveries],
    )
    tx.wake(*(str(delivery.event.user_id) for delivery in deliveries))


@consumers.on(PaymentCancelledV1)
@consumers.on(PaymentSucceededV1)
async def hear(deliveries: list[Delivery[Any]], tx: Transaction, parts: Parts) -> None:
    """Hear of the ends of payments, of both kinds together."""
    parts.heard.append([type(delivery.event).__name__ for delivery in deliveries])


def compose(runtime: Runtime[ServiceSettings]) -> Parts:
    """Wire the test service."""
    parts = Parts(runtime, set(), [], [], asyncio.Event())
    parts.may_go_on.set()
    return parts


@pytest.fixture
def service() -> Service[ServiceSettings, Parts]:
    """The test service; it goes by the identity of `fraud`."""
    return Service(name="fraud", settings=ServiceSettings, compose=compose, consumers=consumers)


@pytest_asyncio.fixture(loop_scope="session")
async def database(create_database: CreateDatabase) -> TestDatabase:
    """A database with the chassis's tables and the test service's own."""
    return await create_database("snowrail_fraud", migrate)


@pytest.fixture
def settings(broker: Broker, database: TestDatabase) -> ServiceSettings:
    """Settings of the test service."""
    return broker.settings(ServiceSettings, "fraud", database, consumer_attempts=2)
