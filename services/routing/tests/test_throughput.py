"""How many decisions one process makes; run by `make bench`."""

import time
from uuid import uuid4

import pytest

from snowrail_events import RouteSelectedV1, RouteSelectV1
from snowrail_routing.app import service
from snowrail_routing.settings import RailSettings, Settings
from snowrail_testkit import Broker, Builder, CreateDatabase, eventually, running_service

COMMANDS = 4_000
LEAST_PER_SECOND = 1_000


@pytest.mark.bench
async def test_decisions_per_second(
    broker: Broker, create_database: CreateDatabase, build: Builder, capsys: pytest.CaptureFixture[str]
) -> None:
    rails = tuple(RailSettings(rail=name, chain_ids=(31337,)) for name in ("evm_escrow", "second", "third"))
    settings = broker.settings(Settings, "routing", await create_database("snowrail_routing"), rails=rails)
    for _ in range(COMMANDS):
        await broker.probe.publish(
            build(RouteSelectV1, payment_id=uuid4(), attempt=1, chain_id=31337, excluded_rails=())
        )

    async def is_done() -> bool:
        return await broker.probe.count(RouteSelectedV1) >= COMMANDS

    async with running_service(service, settings):
        started = time.monotonic()
        await eventually(is_done, timeout_seconds=60)
        seconds = time.monotonic() - started
    with capsys.disabled():
        print(f"\n{COMMANDS / seconds:,.0f} decisions/s")
    assert COMMANDS / seconds > LEAST_PER_SECOND
