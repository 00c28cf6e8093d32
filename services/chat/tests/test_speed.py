"""How long answering takes at the rate that chat is held to."""

import asyncio
import time
from datetime import UTC, datetime
from itertools import cycle
from uuid import UUID, uuid4

import orjson
import pytest
from nats.aio.msg import Msg

from snowrail_chat.app import service
from snowrail_chat.settings import Settings
from snowrail_events import ChatMessagePostedV1, IntentCreateV1
from snowrail_kit.ids import derived_id
from snowrail_testkit import Broker, running_service

from .support import ALICE, BOB

COMMANDS_PER_SECOND = 100
SECONDS = 10
USERS = 50
MIX = (
    f"/pay {BOB} 1.5 USDC",
    "/status",
    "/history",
    "/wallet",
    "/help pay",
    "/contacts",
    "/pay @nobody 1",
    "/confirm",
)


class Stopwatch:
    """Sees when a line goes out and when its answer, or the request it leads to, comes."""

    def __init__(self) -> None:
        self.lines: dict[str, str] = {}
        self.sent: dict[str, float] = {}
        self.taken: dict[str, float] = {}

    async def on_feed(self, message: Msg) -> None:
        self._stop(orjson.loads(message.data)["data"]["in_reply_to"])

    async def on_request(self, message: Msg) -> None:
        self._stop(self.lines[orjson.loads(message.data)["intent_id"]])

    def start(self, message_id: UUID) -> None:
        """Begin to measure a line."""
        self.lines[str(derived_id("intent", message_id))] = str(message_id)
        self.sent[str(message_id)] = time.perf_counter()

    def _stop(self, message_id: str) -> None:
        self.taken.setdefault(message_id, time.perf_counter() - self.sent[message_id])


async def send_lines(broker: Broker, watch: Stopwatch) -> None:
    """Send lines of many users at the rate, each at its own time."""
    users = [uuid4() for _ in range(USERS)]
    started = time.perf_counter()
    texts = cycle(MIX)
    for number in range(COMMANDS_PER_SECOND * SECONDS):
        await asyncio.sleep(max(0.0, started + number / COMMANDS_PER_SECOND - time.perf_counter()))
        await _send(broker, watch, users[number % USERS], next(texts))


async def _send(broker: Broker, watch: Stopwatch, user_id: UUID, text: str) -> None:
    event = ChatMessagePostedV1(
        message_id=uuid4(),
        user_id=user_id,
        handle="alice",
        address=ALICE,
        roles=("user",),
        text=text,
        posted_at=datetime.now(UTC),
    )
    watch.start(event.message_id)
    await broker.probe.publish(event)


@pytest.mark.bench
async def test_lines_are_answered_in_time(broker: Broker, settings: Settings) -> None:
    watch = Stopwatch()
    await broker.probe.client.subscribe("feed.*", cb=watch.on_feed)
    await broker.probe.client.subscribe(IntentCreateV1.subject, cb=watch.on_request)
    quick = settings.model_copy(update={"rate_limit_multiplier": 1_000})
    async with running_service(service, quick):
        await send_lines(broker, watch)
        await asyncio.sleep(1)
    taken = sorted(watch.taken.values())
    assert len(taken) == COMMANDS_PER_SECOND * SECONDS
    p50, p95, p99 = (taken[int(len(taken) * share)] * 1_000 for share in (0.5, 0.95, 0.99))
    print(f"{len(taken)} lines at {COMMANDS_PER_SECOND}/s: p50 {p50:.1f} p95 {p95:.1f} p99 {p99:.1f} ms")
    assert p95 < 100
