"""How far a consumer has everything, and what it asks for again."""

import random
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest

from snowrail_events import FraudAssessV1
from snowrail_kit import inbox
from snowrail_kit.database import Connection, Database
from snowrail_kit.delivery import Delivery, Envelope
from snowrail_kit.sequences import ASK_AGAIN_SECONDS, HOLE_SETTLES_SECONDS, Announced, numbers_to_ask_for
from snowrail_testkit import Builder, TestDatabase

PRODUCER, SUBJECTS = "payment-orchestrator", ("fraud.assess.v1", "payment.updated.v1")
ROUNDS = 40


def numbered(build: Builder, subject: str, sequence: int | None) -> Delivery[Any]:
    """A message as it comes from the bus."""
    event = build(FraudAssessV1, payment_id=uuid4(), occurrence=0)
    return Delivery(Envelope(uuid4(), subject, PRODUCER, sequence), event, b"{}")


async def contiguous(connection: Connection) -> dict[str, int]:
    """How far each subject is complete, as the database has it."""
    rows = await connection.fetch("SELECT sequence_key, contiguous FROM inbox_watermark")
    return {row["sequence_key"]: row["contiguous"] for row in rows}


@pytest.mark.parametrize("seed", range(6))
async def test_exactly_what_is_missing_is_asked_for_whatever_comes_when(
    database: TestDatabase, build: Builder, seed: int
) -> None:
    chance = random.Random(seed)
    opened = Database(database.url, 1, 30)
    await opened.open()
    published = dict.fromkeys(SUBJECTS, 0)
    received: dict[str, set[int]] = {subject: set() for subject in SUBJECTS}
    lost: dict[str, set[int]] = {subject: set() for subject in SUBJECTS}
    now = datetime.now(UTC)
    for _ in range(ROUNDS):
        batch: list[Delivery[Any]] = []
        for subject in SUBJECTS:
            first = published[subject] + 1
            published[subject] += chance.randrange(6)
            for number in range(first, published[subject] + 1):
                (lost if chance.random() < 0.2 else received)[subject].add(number)
            came = [number for number in range(first, published[subject] + 1) if number in received[subject]]
            again = [number for number in lost[subject] if chance.random() < 0.1]
            lost[subject].difference_update(again)
            received[subject].update(again)
            batch += [numbered(build, subject, number) for number in came + again]
        batch.append(numbered(build, SUBJECTS[0], None))
        chance.shuffle(batch)
        postponed = [item for item in batch if item.envelope.sequence and chance.random() < 0.1]
        for item in postponed:
            number = item.envelope.sequence
            assert number is not None
            received[item.envelope.subject].discard(number)
            lost[item.envelope.subject].add(number)
        now += timedelta(seconds=ASK_AGAIN_SECONDS + 1)
        async with opened.transaction() as connection:
            assert len(await inbox.register(connection, "fraud", batch)) == len(batch)
            await inbox.forget(connection, "fraud", postponed)
            announced = [Announced(PRODUCER, subject, 1, published[subject]) for subject in SUBJECTS]
            await numbers_to_ask_for(connection, announced, now)
            now += timedelta(seconds=HOLE_SETTLES_SECONDS + 1)
            asked = await numbers_to_ask_for(connection, announced, now)
            marks = await contiguous(connection)
        for subject in SUBJECTS:
            assert set(asked.get((PRODUCER, subject), [])) <= lost[subject]
            assert marks[subject] == min(lost[subject] or {published[subject] + 1}) - 1
    now += timedelta(seconds=ASK_AGAIN_SECONDS + 1)
    async with opened.transaction() as connection:
        announced = [Announced(PRODUCER, subject, 1, published[subject]) for subject in SUBJECTS]
        asked = await numbers_to_ask_for(connection, announced, now)
        assert {key: set(numbers) for key, numbers in asked.items()} == {
            (PRODUCER, subject): lost[subject] for subject in SUBJECTS if lost[subject]
        }
        missing = [
            numbered(build, subject, number) for subject in SUBJECTS for number in sorted(lost[subject])
        ]
        await inbox.register(connection, "fraud", missing)
        assert not await numbers_to_ask_for(connection, announced, now + timedelta(hours=1))
        assert await contiguous(connection) == published
        assert await connection.fetchval("SELECT count(*) FROM inbox_hole") == 0
        assert await connection.fetchval("SELECT count(*) FROM inbox_run") == 0
    await opened.close()


async def test_numbers_that_the_producer_has_dropped_are_not_waited_for(
    database: TestDatabase, build: Builder
) -> None:
    opened = Database(database.url, 1, 30)
    await opened.open()
    now = datetime.now(UTC)
    async with opened.transaction() as connection:
        await inbox.register(connection, "fraud", [numbered(build, SUBJECTS[0], 9)])
        await numbers_to_ask_for(connection, [Announced(PRODUCER, SUBJECTS[0], 1, 9)], now)
        later = now + timedelta(seconds=HOLE_SETTLES_SECONDS + 1)
        asked = await numbers_to_ask_for(connection, [Announced(PRODUCER, SUBJECTS[0], 8, 9)], later)
        assert asked == {(PRODUCER, SUBJECTS[0]): [8]}
        assert await contiguous(connection) == {SUBJECTS[0]: 7}
        assert await connection.fetchval("SELECT count(*) FROM inbox_hole") == 1
    await opened.close()
