"""The process is killed in the midst of sending: nothing is lost, nothing is doubled but what may be."""

import asyncio
import os
import random
import subprocess
import sys
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from uuid import UUID, uuid4

import pytest

from snowrail_events import DeviceSignedInV1, PaymentSucceededV1, UserRegisteredV1
from snowrail_kit.database import Database
from snowrail_notification.channels.web_push import check_subscription
from snowrail_notification.sealing import Sealing
from snowrail_testkit import Broker, Builder, CreateDatabase, TestDatabase, eventually
from snowrail_testkit.emulators.mail import MailServer
from snowrail_testkit.emulators.push import running_push_service
from snowrail_testkit.emulators.telegram import running_telegram

from .support import CHAINS, SECRET, TOKEN
from .test_email import options as email_options
from .test_telegram import options as telegram_options
from .test_web_push import options as push_options

EVENTS = 40
KILLS = 6
ADDRESS = "0x70997970C51812dc3A010C7d01b50e0d17dc79C8"


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


@pytest.mark.faults
async def test_nothing_is_lost_or_doubled_over_kills(
    broker: Broker, build: Builder, create_database: CreateDatabase, tmp_path: Path
) -> None:

    chains = tmp_path / "chains.json"
    chains.write_text(CHAINS)
    seed = random.SystemRandom().randrange(2**32)
    print(f"seed {seed}")
    chance = random.Random(seed)
    stored = await create_database("snowrail_notification")
    async with running_telegram(chat_pause_seconds=0) as telegram, running_push_service() as push:
        telegram.answer_after_seconds = push.answer_after_seconds = 0.03
        with MailServer(answer_after_seconds=0.03) as mail:
            options = {
                **email_options(mail),
                **telegram_options(telegram, telegram_mode="poll", telegram_poll_seconds=0),
                **push_options(),
                "attempt_timeout_seconds": 0.5,
                "claim_lease_seconds": 1.5,
                **dict.fromkeys(("email_per_second", "telegram_per_second", "web_push_per_second"), 15),
            }
            database = Database(stored.url, 4, 10)
            await database.open()
            user, browser = uuid4(), push.subscribe()
            keys = browser.to_json()["keys"]
            subscription = check_subscription(
                browser.endpoint, keys["p256dh"], keys["auth"], ("127.0.0.1",), over_http=True
            )
            for channel, address in (
                ("email", "alice@example.com"),
                ("telegram", "4242"),
                ("web_push", subscription),
            ):
                await connect(database, user, channel, address)
            killable = Killable(broker, stored, chains, options)
            await broker.probe.publish(build(UserRegisteredV1, user_id=user, address=ADDRESS))
            for number in range(EVENTS):
                await broker.probe.publish(
                    build(DeviceSignedInV1, user_id=user, is_new=True, label=f"Device {number}.")
                )
                amount = (number + 1) * 10**18
                await broker.probe.publish(
                    build(PaymentSucceededV1, user_id=uuid4(), recipient=ADDRESS, token=TOKEN, amount=amount)
                )
            try:
                for _ in range(KILLS):
                    await killable.start()
                    await asyncio.sleep(chance.uniform(2.5, 5))
                    await killable.kill()
                await killable.start()

                async def ended() -> bool:
                    rows = await database.fetch("SELECT state, count(*) FROM delivery GROUP BY 1")
                    counts = {row["state"]: row["count"] for row in rows}
                    unended = counts.get("pending", 0) + counts.get("sending", 0)
                    return sum(counts.values()) == 6 * EVENTS and unended == 0

                await eventually(ended, timeout_seconds=120)
            finally:
                await killable.kill()
            rows = await database.fetch(
                "SELECT delivery.channel, delivery.state, delivery.attempts, type, message, notification_id"
                " FROM delivery JOIN notification USING (notification_id)"
            )
            await database.close()
            notices = {row["notification_id"]: row for row in rows}
            assert Counter(row["type"] for row in notices.values()) == {
                "security_alert": EVENTS,
                "payment_received": EVENTS,
            }
            arrived = {
                "email": Counter(str(item["Message-ID"])[1:37] for item in mail.received),
                "telegram": Counter(
                    next(
                        str(key)
                        for key, row in notices.items()
                        if row["message"] == item.text.partition("\n")[2]
                    )
                    for item in telegram.sent.values()
                ),
                "web_push": Counter(item.data["id"] for item in browser.waiting),
            }
            for row in rows:
                times = arrived[row["channel"]][str(row["notification_id"])]
                if row["channel"] == "web_push":
                    assert (row["state"], times) == ("sent", 1)
                elif row["type"] == "security_alert":
                    assert row["state"] == "sent"
                    assert 1 <= times <= row["attempts"]
                else:
                    assert times <= 1
                    assert times == 1 or row["state"] == "unknown"
            print(
                "attempts that died:", sum(row["attempts"] > 1 or row["state"] == "unknown" for row in rows)
            )
