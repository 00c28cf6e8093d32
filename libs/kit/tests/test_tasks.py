"""Periodic work: fixed tasks, and tasks that follow from a service's parts."""

from typing import Any

import pytest

from snowrail_kit.service import Service
from snowrail_kit.settings import ServiceSettings
from snowrail_kit.tasks import Task
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
