"""The process is killed in the midst of sending: nothing is lost, nothing is doubled but what may be."""

import asyncio
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from uuid import UUID, uuid4

import pytest

from snowrail_chain.addresses import checksum_address
from snowrail_events import DeviceSignedInV1, PaymentSucceededV1, UserRegisteredV1
from snowrail_kit.database import Database, Row
from snowrail_notification.channels.web_push import check_subscription
from snowrail_notification.sealing import Sealing
from snowrail_testkit import Broker, Builder, CreateDatabase, TestDatabase, eventually
from snowrail_testkit.emulators.holding import Holding
from snowrail_testkit.emulators.mail import MailServer
from snowrail_testkit.emulators.push import PushService, Subscription, running_push_service
from snowrail_testkit.emulators.telegram import TelegramEmulator, running_telegram

from .support import CHAINS, SECRET, TOKEN
from .test_email import options as email_options
from .test_telegram import options as telegram_options
from .test_web_push import options as push_options

CHANNELS = ("email", "telegram", "web_push")
PEOPLE = 6
"""Who are told of payments, and as many who are told of sign-ins."""
ROUNDS = 4
"""Kills, each in the midst of one attempt for every person and channel."""
LEAST_INTERRUPTED = 20
"""Attempts of each channel."""


class Killable:
    """`python -m snowrail_kit run snowrail_notification`, to be killed and started again."""

    def __init__(
        self, broker: Broker, database: TestDatabase, chains: Path, options: Mapping[str, object]
    ) -> None:
        self._environment = {
            **os.environ,
            "SNOWRAIL_NATS_URL": broker.server.url,
            "SNOWRAIL_NATS_SEED": broker.identities.seeds["notification"],
            "SNOWRAIL_NATS_MONITOR_URL": broker.server.monitor_url,
            "SNOWRAIL_DATABASE_URL": database.url,
            "SNOWRAIL_CHAINS_FILE": str(chains),
            "SNOWRAIL_HTTP_PORT": "0",
            "SNOWRAIL_LOG_LEVEL": "ERROR",
            **{f"SNOWRAIL_{name.upper()}": _text(value) for name, value in options.items()},
        }
        self._process: subprocess.Popen[bytes] | None = None

    async def start(self) -> None:
        """Start it, without waiting for anything."""
        command = [sys.executable, "-m", "snowrail_kit", "run", "snowrail_notification"]
        self._process = await asyncio.to_thread(
            subprocess.Popen, command, env=self._environment, stdin=subprocess.DEVNULL
        )

    async def kill(self) -> None:
        """SIGKILL."""
        if self._process is not None:
            self._process.kill()
            await asyncio.to_thread(self._process.wait, 15)
            self._process = None


def _text(value: object) -> str:
    if isinstance(value, tuple):
        items: tuple[object, ...] = value
        return "[" + ",".join(f'"{item}"' for item in items) + "]"
    return str(value)


async def connect(database: Database, user: UUID, channel: str, address: str) -> None:
    """Store a confirmed contact as the service would."""
    sealing, contact = Sealing(SECRET), uuid4()
    await database.fetch(
        "INSERT INTO contact (contact_id, user_id, channel, lookup, sealed_address, label, created_at,"
        " confirmed_at) VALUES ($1, $2, $3, $4, $5, '', now(), now())",
        contact,
        user,
        channel,
        sealing.lookup(channel, address),
        sealing.seal(contact, address),
    )


@dataclass
class Providers:
    """What messages leave for, and how often each message got there."""

    mail: MailServer
    telegram: TelegramEmulator
    push: PushService
    browsers: list[Subscription] = field(default_factory=list[Subscription])

    def hold_at(self, point: Holding) -> None:
        """Keep calls of every channel waiting from now on, those at another point no more."""
        for provider in (self.mail, self.telegram, self.push):
            provider.hold.at, provider.hold.held = point, 0

    @property
    def held(self) -> list[int]:
        """How many calls of each channel wait."""
        return [provider.hold.held for provider in (self.mail, self.telegram, self.push)]

    def arrived(self, notices: Mapping[str, str]) -> dict[str, Counter[str]]:
        """Return by channel how often each notification arrived. `notices`: their ids by what they say."""
        return {
            "email": Counter(str(item["Message-ID"])[1:37] for item in self.mail.received),
            "telegram": Counter(
                notices[item.text.partition("\n")[2]] for item in self.telegram.sent.values()
            ),
            "web_push": Counter(item.data["id"] for browser in self.browsers for item in browser.waiting),
        }


async def people(providers: Providers, broker: Broker, build: Builder, database: Database) -> None:
    """Connect people on every channel: the first half is told of payments, the other of sign-ins."""
    for number in range(2 * PEOPLE):
        user, browser = uuid4(), providers.push.subscribe()
        providers.browsers.append(browser)
        keys = browser.to_json()["keys"]
        subscription = check_subscription(
            browser.endpoint, keys["p256dh"], keys["auth"], ("127.0.0.1",), over_http=True
        )
        await connect(database, user, "email", f"person{number}@example.com")
        await connect(database, user, "telegram", str(4_242 + number))
        await connect(database, user, "web_push", subscription)
        address = checksum_address(number.to_bytes(20, "big"))
        await broker.probe.publish(build(UserRegisteredV1, user_id=user, address=address))
        for each in range(ROUNDS + 1):
            unique = number * (ROUNDS + 1) + each + 1
            if number < PEOPLE:
                values = {"user_id": uuid4(), "recipient": address, "token": TOKEN}
                await broker.probe.publish(build(PaymentSucceededV1, **values, amount=unique * 10**18))
            else:
                label = f"Device {unique}."
                await broker.probe.publish(build(DeviceSignedInV1, user_id=user, is_new=True, label=label))


async def interrupt(killable: Killable, providers: Providers, database: Database) -> Counter[str]:
    """Kill the process while providers keep it waiting. Returns the attempts under way, by channel."""

    async def all_wait() -> bool:
        return min(providers.held) >= 2 * PEOPLE

    await killable.start()
    try:
        await eventually(all_wait, timeout_seconds=45)
    finally:
        await killable.kill()
    rows = await database.fetch(
        "SELECT channel, count(*) FROM delivery WHERE state = 'sending' GROUP BY channel"
    )
    return Counter({row["channel"]: row["count"] for row in rows})


@pytest.mark.faults
async def test_nothing_is_lost_or_doubled_over_kills(
    broker: Broker, build: Builder, create_database: CreateDatabase, tmp_path: Path
) -> None:
    """What a kill in the midst of an attempt leaves, for each channel.

    Web push: at least one attempt too many, and one notification that is seen, because the second takes the
    place of the first. E-mail and Telegram have nothing of the kind: what is critical is sent at least once,
    everything else at most once (decision 0011).
    """
    chains = tmp_path / "chains.json"
    chains.write_text(CHAINS)
    stored = await create_database("snowrail_notification")
    async with (
        running_telegram(chat_pause_seconds=0, per_second=1_000) as telegram,
        running_push_service() as push,
    ):
        with MailServer() as mail:
            providers = Providers(mail, telegram, push)
            options = {
                **email_options(mail),
                **telegram_options(telegram, telegram_mode="poll", telegram_poll_seconds=0),
                **push_options(),
                "attempt_timeout_seconds": 3,
                "claim_lease_seconds": 6.5,
            }
            database = Database(stored.url, 4, 10)
            await database.open()
            await people(providers, broker, build, database)
            killable = Killable(broker, stored, chains, options)
            interrupted: Counter[str] = Counter()
            for number in range(ROUNDS):
                providers.hold_at((Holding.AFTER_TAKING, Holding.BEFORE_TAKING)[number % 2])
                interrupted += await interrupt(killable, providers, database)
            print(f"interrupted attempts: {dict(interrupted)}")
            assert min(interrupted[channel] for channel in CHANNELS) >= LEAST_INTERRUPTED
            providers.hold_at(Holding.NOWHERE)
            await killable.start()
            try:
                await eventually(lambda: all_ended(database), timeout_seconds=120)
            finally:
                await killable.kill()
            rows = await database.fetch(
                "SELECT delivery.channel, delivery.state, delivery.attempts, type, message,"
                " notification_id FROM delivery JOIN notification USING (notification_id)"
            )
            await database.close()
    arrived = providers.arrived({row["message"]: str(row["notification_id"]) for row in rows})
    for row in rows:
        check(row, arrived[row["channel"]][str(row["notification_id"])])
    unknown = Counter(row["channel"] for row in rows if row["state"] == "unknown")
    assert unknown == {"email": ROUNDS * PEOPLE, "telegram": ROUNDS * PEOPLE}


async def all_ended(database: Database) -> bool:
    """Whether every notification has left, or was given up, on every channel."""
    rows = await database.fetch("SELECT state, count(*) FROM delivery GROUP BY 1")
    counts = {row["state"]: row["count"] for row in rows}
    unended = counts.get("pending", 0) + counts.get("sending", 0)
    return unended == 0 and sum(counts.values()) == len(CHANNELS) * 2 * PEOPLE * (ROUNDS + 1)


def check(row: Row, times: int) -> None:
    """Check how often a message arrived."""
    if row["channel"] == "web_push":
        assert (row["state"], times) == ("sent", 1)
    elif row["type"] == "security_alert":
        assert row["state"] == "sent"
        assert 1 <= times <= row["attempts"]
    elif row["state"] == "unknown":
        assert row["attempts"] == 1
        assert times <= 1
    else:
        assert (row["state"], row["attempts"], times) == ("sent", 1, 1)
