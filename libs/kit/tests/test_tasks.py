"""Periodic work: fixed tasks, tasks that follow from a service's parts, what only one replica measures."""

import asyncio
from collections.abc import Callable
from typing import Any

import asyncpg
import pytest
from prometheus_client import REGISTRY

from snowrail_kit.database import Database
from snowrail_kit.gauges import ExclusiveGauge
from snowrail_kit.service import Service
from snowrail_kit.settings import ServiceSettings
from snowrail_kit.tasks import Task, TaskRunner
from snowrail_testkit import Broker, TestDatabase, eventually, running_service


async def pass_of(parts: Any) -> None:
    """One pass: remember that it ran."""
    parts.batches.append(1)


def tasks_of(_: Any) -> tuple[Task[Any], ...]:
    """A task for each of two things that the settings name."""
    return tuple(Task(f"thing {number}", pass_of, every_seconds=60, exclusive=True) for number in (1, 2))


@pytest.mark.parametrize(
    ("tasks", "passes"), [((Task("fixed", pass_of, every_seconds=60),), 1), (tasks_of, 2)]
)
async def test_tasks_are_fixed_or_follow_from_the_parts(
    broker: Broker, database: TestDatabase, service: Service[Any, Any], tasks: Any, passes: int
) -> None:
    working = Service(name="fraud", settings=ServiceSettings, compose=service.compose, tasks=tasks)
    settings = broker.settings(ServiceSettings, "fraud", database)
    async with running_service(working, settings) as running:

        async def ran() -> bool:
            return len(running.parts.batches) == passes

        assert await eventually(ran)


TURN = ExclusiveGauge("snowrail_test_turn", "What an exclusive task measured", ["kind", "chain"])


async def test_what_a_replica_measured_is_withdrawn_when_another_one_measures(database: TestDatabase) -> None:
    passes: list[str] = []

    async def measure(_: None) -> None:
        passes.append("one")
        TURN.labels("kept", 25).set(1)
        if len(passes) == 1:
            TURN.labels("not set again", 25).set(1)

    async def other_replica(_: None) -> None:
        passes.append("other")

    TURN.labels("nobody's", 25).set(1)
    one, other = (Database(database.url, pool_size=1, statement_timeout_seconds=5) for _ in range(2))
    await one.open()
    await other.open()
    runner = TaskRunner(Task("measure", measure, every_seconds=0.02, exclusive=True), None, one)
    rival = TaskRunner(Task("measure", other_replica, every_seconds=0.02, exclusive=True), None, other)
    running = asyncio.create_task(runner.run())
    await eventually(lambda: said(lambda: passes.count("one") >= 3))
    assert shown() == {"kept", "not set again", "nobody's"}
    contending = asyncio.create_task(rival.run())

    async def has_lost_its_turn() -> bool:
        await end_sessions_with_locks(database)
        rival.wake()
        await asyncio.sleep(0.1)
        return "other" in passes

    await eventually(has_lost_its_turn)
    await eventually(lambda: said(lambda: shown() == {"nobody's"}))
    rival.stop()
    await contending
    await eventually(lambda: said(lambda: shown() == {"kept", "nobody's"}))
    runner.stop()
    await running
    await one.close()
    await other.close()


async def said(condition: Callable[[], bool]) -> bool:
    """Return what a condition says now."""
    return condition()


def shown() -> set[str]:
    """Kinds of the series that a scrape would find."""
    series = [sample for metric in REGISTRY.collect() for sample in metric.samples]
    return {sample.labels["kind"] for sample in series if sample.name == "snowrail_test_turn"}


async def end_sessions_with_locks(database: TestDatabase) -> None:
    """End the connections that hold an advisory lock, as a failing network would."""
    connection = await asyncpg.connect(database.superuser_url, ssl=False)
    await connection.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_locks"
        " WHERE locktype = 'advisory' AND database = (SELECT oid FROM pg_database WHERE datname = $1)",
        database.name,
    )
    await connection.close()
