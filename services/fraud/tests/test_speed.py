"""How fast payments are scored: at least 1,000 per second, each batch within 200 ms."""

import asyncio
import time
from uuid import uuid4

import pytest

from snowrail_events import FraudAssessedV1
from snowrail_fraud.app import service
from snowrail_fraud.settings import Settings
from snowrail_testkit import Broker, running_service

from .conftest import command

PAYMENTS = 6_000
PAYERS = 300
AT_LEAST_PER_SECOND = 1_000
AT_MOST_SECONDS_PER_BATCH = 0.2


@pytest.mark.bench
async def test_a_thousand_payments_are_scored_per_second(broker: Broker, settings: Settings) -> None:
    commands = [
        command(payer=f"0x{number % PAYERS:040x}", recipient=f"0x{number % 7:040x}", user_id=uuid4())
        for number in range(PAYMENTS)
    ]
    for start in range(0, PAYMENTS, 200):
        await asyncio.gather(*(broker.probe.publish(one) for one in commands[start : start + 200]))
    started = time.monotonic()
    async with running_service(service, settings) as running:
        serving = time.monotonic()
        while await broker.probe.count(FraudAssessedV1) < PAYMENTS:
            await asyncio.sleep(0.02)
            assert time.monotonic() - started < 60
        seconds = time.monotonic() - serving
        metrics = (await running.http.get("/metrics")).text
    values = dict(line.rsplit(" ", 1) for line in metrics.splitlines() if not line.startswith("#"))
    batches = float(values["snowrail_batch_seconds_count"])
    per_batch = float(values["snowrail_batch_seconds_sum"]) / batches
    print(f"{PAYMENTS / seconds:.0f} payments/s in {batches:.0f} batches of {per_batch * 1000:.0f} ms")
    assert PAYMENTS / seconds >= AT_LEAST_PER_SECOND
    assert per_batch <= AT_MOST_SECONDS_PER_BATCH
