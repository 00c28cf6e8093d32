"""How long it takes until a fact is on the feed, while payments keep coming."""

import asyncio
import time
from pathlib import Path
from uuid import uuid4

import orjson
import pytest
from nats.aio.msg import Msg

from snowrail_events import PaymentSucceededV1
from snowrail_testkit import Broker, RunningService
from snowrail_testkit.builders import build

PAYMENTS_PER_SECOND = 100
SECONDS = 5
TOKEN = "31337:0x" + "0" * 40


@pytest.mark.bench
async def test_payments_are_told_in_time(
    broker: Broker, notification: RunningService, tmp_path: Path
) -> None:
    sent: dict[str, float] = {}
    taken: dict[str, float] = {}

    async def on_feed(message: Msg) -> None:
        event = orjson.loads(message.data)
        if event["name"] == "notification":
            payment = event["data"]["data"]["payment_id"]
            taken.setdefault(payment, time.perf_counter() - sent[payment])

    await broker.probe.client.subscribe("feed.*", cb=on_feed)
    events = [
        build(PaymentSucceededV1, payment_id=uuid4(), user_id=uuid4(), token=TOKEN)
        for _ in range(PAYMENTS_PER_SECOND * SECONDS)
    ]
    started = time.perf_counter()
    for number, event in enumerate(events):
        await asyncio.sleep(max(0.0, started + number / PAYMENTS_PER_SECOND - time.perf_counter()))
        sent[str(event.payment_id)] = time.perf_counter()
        await broker.probe.publish(event)
    await asyncio.sleep(1)
    times = sorted(taken.values())
    assert len(times) == len(events)
    p50, p95 = (times[int(len(times) * share)] * 1_000 for share in (0.5, 0.95))
    print(f"{len(times)} payments at {PAYMENTS_PER_SECOND}/s told: p50 {p50:.1f} p95 {p95:.1f} ms")
    assert p95 < 100
