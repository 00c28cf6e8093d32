"""Telegram against an emulator of the Bot API with its limits."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from snowrail_events import ChatAnsweredV1, ChatMessagePostedV1
from snowrail_notification.domain.deliveries import Next, State
from snowrail_notification.store.deliveries import NewDelivery, claim, end, revise
from snowrail_testkit import Broker, Builder, RunningService, eventually
from snowrail_testkit.emulators.telegram import (
    SECRET_HEADER,
    BotMode,
    Sent,
    TelegramEmulator,
    running_telegram,
)
from snowrail_testkit.plugin import StartFaultProxy
from snowrail_testkit.tokens import TokenIssuer

from .support import (
    SECRET,
    Caller,
    MovingClock,
    StartNotification,
    let_pass,
    register,
    states,
    tell_critical,
    tell_payment,
    until,
)

ALICE = 4_242


def options(telegram: TelegramEmulator, **more: Any) -> dict[str, Any]:
    return {
        "channel_secret": SECRET,
        "telegram_bot_token": telegram.token,
        "telegram_bot_name": "snowrail_bot",
        "telegram_api_url": telegram.url,
        "telegram_per_second": 1_000,
        "telegram_chat_pause_seconds": 0.001,
        "deliver_every_seconds": 0.05,
        "attempt_timeout_seconds": 20,
        **more,
    }


async def push(running: RunningService, telegram: TelegramEmulator, update: dict[str, Any]) -> int:
    """Deliver an update to this process, wherever it listens."""
    await until(lambda: telegram.webhook is not None)
    assert telegram.webhook is not None
    headers = {SECRET_HEADER: telegram.webhook["secret_token"]}
    answer = await running.http.post("/telegram/webhook", json=update, headers=headers)
    return answer.status_code


async def linked(
    caller: Caller, running: RunningService, telegram: TelegramEmulator, person: int = ALICE
) -> str:
    """Connect a Telegram account, forget the message about it, and return the link's token."""
    link = await caller("POST", "/telegram/link", 201)
    token = link["url"].partition("https://t.me/snowrail_bot?start=")[2]
    assert 0 < len(token) <= 64
    assert await push(running, telegram, telegram.write(person, f"/start {token}")) == 200
    await until(lambda: len(telegram.sent) == 1)
    telegram.sent.clear()
    return token


def messages(telegram: TelegramEmulator) -> list[Sent]:
    return list(telegram.sent.values())


async def test_an_account_is_linked_once_by_its_link(
    broker: Broker,
    build: Builder,
    start_notification: StartNotification,
    moving_clock: MovingClock,
    issuer: TokenIssuer,
) -> None:
    async with running_telegram(chat_pause_seconds=0) as telegram:
        running = await start_notification(moving_clock, **options(telegram))
        user = await register(broker, build, running)
        caller = Caller(running, issuer, moving_clock, user)
        await until(lambda: telegram.webhook is not None)
        assert telegram.webhook is not None
        assert telegram.webhook["url"].endswith("/api/telegram/webhook")
        token = await linked(caller, running, telegram)
        assert await caller("GET", f"/telegram/user/{ALICE}") == {"telegram_id": ALICE, "user_id": str(user)}
        await Caller(running, issuer, moving_clock, uuid4())("GET", f"/telegram/user/{ALICE}", 404)
        admin = Caller(running, issuer, moving_clock, uuid4(), roles=("admin",))
        assert (await admin("GET", f"/telegram/user/{ALICE}"))["user_id"] == str(user)
        late = (await caller("POST", "/telegram/link", 201))["url"].partition("start=")[2]
        moving_clock.advance(16 * 60)
        for bad in (token, late, token[:-2] + "AA", "A" * 43):
            await push(running, telegram, telegram.write(777, f"/start {bad}"))
        assert ["expired" in item.text for item in messages(telegram)] == [True] * 4
        await caller("GET", "/telegram/user/777", 404)


async def test_the_webhook_is_the_bot_apis_alone(
    start_notification: StartNotification, moving_clock: MovingClock
) -> None:
    async with running_telegram() as telegram:
        running = await start_notification(moving_clock, **options(telegram))
        for headers in ({}, {SECRET_HEADER: "wrong"}):
            answer = await running.http.post("/telegram/webhook", json={"update_id": 1}, headers=headers)
            assert answer.status_code == 401
        assert await push(running, telegram, {"no": "update"}) == 400
        assert await push(running, telegram, {"update_id": 1, "poll": {"id": "x"}}) == 200


async def test_an_answer_revised_while_it_is_sent_is_sent_again_and_keeps_its_message(
    start_notification: StartNotification, moving_clock: MovingClock
) -> None:
    running = await start_notification(moving_clock)
    contact, delivery = uuid4(), uuid4()

    def answer(text: str, at: int) -> NewDelivery:
        content = {"at": f"2026-01-01T00:00:0{at}Z", "text": text}
        return NewDelivery(delivery, contact, "telegram", None, content, "medium", moving_clock.now())

    async with running.runtime.transaction() as tx:
        await tx.execute(
            "INSERT INTO contact (contact_id, user_id, channel, lookup, sealed_address, label, created_at,"
            " confirmed_at) VALUES ($1, $1, 'telegram', $2, '', 'alice', $3, $3)",
            contact,
            bytes(32),
            tx.now,
        )
        await revise(tx, answer("first", 1))
        (claimed,) = await claim(tx, "telegram", 10, 1_000, timedelta(0))
        await revise(tx, answer("second", 2))
        assert await end(tx, claimed, Next(State.SENT), "", "message 7")
    moving_clock.advance(1)
    async with running.runtime.transaction() as tx:
        (again,) = await claim(tx, "telegram", 10, 1_000, timedelta(0))
    assert (again.content["text"], again.provider_reference, again.attempts) == ("second", "message 7", 1)


async def test_lines_are_the_chats_and_cards_are_edited(
    broker: Broker,
    build: Builder,
    start_notification: StartNotification,
    moving_clock: MovingClock,
    issuer: TokenIssuer,
) -> None:
    async with running_telegram(chat_pause_seconds=0) as telegram:
        running = await start_notification(moving_clock, **options(telegram))
        user = await register(broker, build, running, roles=("user", "admin", "merchant"))
        await linked(Caller(running, issuer, moving_clock, user), running, telegram)
        update = telegram.write(ALICE, "/pay @bob 5 CRO")
        assert await push(running, telegram, update) == 200
        assert await push(running, telegram, update) == 200  # the Bot API repeats what it is unsure of
        await push(running, telegram, telegram.write(999, "/wallet"))
        assert "not connected" in messages(telegram)[0].text
        telegram.sent.clear()
        line = (await broker.probe.collect(ChatMessagePostedV1, 1))[0]
        assert (line.user_id, line.text, line.origin) == (user, "/pay @bob 5 CRO", "telegram")
        assert set(line.roles) == {"user", "merchant"}

        async def answer(text: str, seconds: int, **fields: Any) -> None:
            actions = [
                {
                    "label": "Sign",
                    "command": "/confirm 1",
                    "style": "primary",
                    "sign": {"kind": "transaction"},
                },
                {"label": "Edit", "command": "/pay", "style": "secondary", "draft": True},
                {"label": "Cancel", "command": "/cancel " + "9" * 80, "style": "danger", "sign": None},
            ]
            values = {
                "user_id": user,
                "in_reply_to": line.message_id,
                "origin": "telegram",
                "card": {"actions": actions},
                "text": text,
                "answered_at": datetime(2026, 1, 1, 0, 0, seconds, tzinfo=UTC),
                **fields,
            }
            await broker.probe.publish(build(ChatAnsweredV1, **values), producer="chat")

        await answer("for another screen", 1, origin="feed", in_reply_to=uuid4())
        await answer("Waiting to be signed", 1)
        await until(lambda: len(telegram.sent) == 1)
        first = messages(telegram)[0]
        assert [button["text"] for button in first.buttons] == ["Sign", "Cancel"]
        assert "url" in first.buttons[0]
        old = telegram.press(ALICE, first, "Cancel")
        await answer("Paid", 3)
        await answer("Underway, and told late", 2)
        await until(lambda: first.text == "Paid")
        assert (len(telegram.sent), first.edits) == (1, 1)
        await push(running, telegram, old)
        assert telegram.acknowledged[-1]["text"] == "This message has changed since."
        await push(running, telegram, telegram.press(ALICE, first, "Cancel"))
        pressed = (await broker.probe.collect(ChatMessagePostedV1, 2))[1]
        assert pressed.text == "/cancel " + "9" * 80
        await push(running, telegram, telegram.press(999, first, "Cancel"))
        assert "not connected" in telegram.acknowledged[-1]["text"]
        assert await broker.probe.count(ChatMessagePostedV1) == 2


async def test_updates_are_polled_where_no_webhook_reaches(
    broker: Broker,
    build: Builder,
    start_notification: StartNotification,
    moving_clock: MovingClock,
    issuer: TokenIssuer,
) -> None:
    async with running_telegram(chat_pause_seconds=0) as telegram:
        polled = options(telegram, telegram_mode="poll", telegram_poll_seconds=1)
        running = await start_notification(moving_clock, **polled)
        user = await register(broker, build, running)
        caller = Caller(running, issuer, moving_clock, user)
        link = await caller("POST", "/telegram/link", 201)
        telegram.write(ALICE, "/start " + link["url"].partition("start=")[2])
        for number in range(5):
            telegram.write(ALICE, f"/status {number}")
        lines = await broker.probe.collect(ChatMessagePostedV1, 5)
        assert [line.text for line in lines] == [f"/status {number}" for number in range(5)]
        assert telegram.webhook is None


@pytest.mark.parametrize(
    ("mode", "critical", "sent", "state"),
    [
        (BotMode.REPLY_LOST, False, 1, "unknown"),
        (BotMode.REPLY_LOST, True, 2, "sent"),
        (BotMode.SERVER_ERROR, False, 0, "unknown"),
        (BotMode.SERVER_ERROR, True, 1, "sent"),
    ],
)
async def test_what_may_have_arrived_is_sent_again_only_when_it_is_critical(
    broker: Broker,
    build: Builder,
    start_notification: StartNotification,
    moving_clock: MovingClock,
    issuer: TokenIssuer,
    mode: BotMode,
    critical: bool,
    sent: int,
    state: str,
) -> None:
    async with running_telegram(chat_pause_seconds=0) as telegram:
        running = await start_notification(moving_clock, **options(telegram))
        user = await register(broker, build, running)
        await linked(Caller(running, issuer, moving_clock, user), running, telegram)
        telegram.mode, telegram.failures = mode, 1
        if critical:
            await tell_critical(broker, build, user)
        else:
            await tell_payment(broker, build, user)

        async def ended() -> bool:
            await let_pass(running, moving_clock, 2)
            type_ = "security_alert" if critical else "payment_received"
            seen = await states(running, "telegram", type_)  # the first alert told of the link itself
            return seen == (["sent", state] if critical else [state])

        await eventually(ended)
        assert len(telegram.sent) == sent


async def test_limits_are_kept_to_and_429_is_obeyed(
    broker: Broker,
    build: Builder,
    start_notification: StartNotification,
    moving_clock: MovingClock,
    issuer: TokenIssuer,
    start_fault_proxy: StartFaultProxy,
) -> None:
    async with running_telegram() as telegram:
        way = await start_fault_proxy(int(telegram.url.rpartition(":")[2]))
        usual = options(telegram, telegram_per_second=25, telegram_chat_pause_seconds=1.1)
        usual["telegram_api_url"] = way.url_for(telegram.url)
        running = await start_notification(moving_clock, **usual)
        user = await register(broker, build, running)
        caller = Caller(running, issuer, moving_clock, user)
        await linked(caller, running, telegram)
        way.delay_seconds = 0.7  # a message that was long on its way is no reason to send the next one sooner
        await tell_critical(broker, build, user)
        await until(lambda: len(telegram.sent) == 1)
        way.delay_seconds = 0
        await tell_critical(broker, build, user)
        await tell_critical(broker, build, user)
        await until(lambda: len(telegram.sent) == 3)
        assert telegram.limited == 0
        telegram.chat_pause_seconds = 3  # the provider became stricter than documented
        await tell_critical(broker, build, user)
        await tell_critical(broker, build, user)
        await until(lambda: len(telegram.sent) == 5)
        assert 1 <= telegram.limited <= 3


async def test_who_blocks_the_bot_is_not_written_to_again(
    broker: Broker,
    build: Builder,
    start_notification: StartNotification,
    moving_clock: MovingClock,
    issuer: TokenIssuer,
) -> None:
    async with running_telegram(chat_pause_seconds=0) as telegram:
        running = await start_notification(moving_clock, **options(telegram))
        user = await register(broker, build, running)
        caller = Caller(running, issuer, moving_clock, user)
        await linked(caller, running, telegram)
        telegram.blocked.add(ALICE)
        await tell_payment(broker, build, user)

        async def forgotten() -> bool:
            return not (await caller("GET", "/channels"))[1]["contacts"]

        await eventually(forgotten)
        state = (await caller("GET", f"/internal/users/{user}/preferences"))["channels"]
        assert {item["channel"]: (item["configured"], item["connected"]) for item in state} == {
            "in_app": (True, True),
            "email": (False, False),
            "telegram": (True, False),
            "web_push": (False, False),
        }


async def test_an_account_belongs_to_one_user(
    broker: Broker,
    build: Builder,
    start_notification: StartNotification,
    moving_clock: MovingClock,
    issuer: TokenIssuer,
) -> None:
    async with running_telegram(chat_pause_seconds=0) as telegram:
        running = await start_notification(moving_clock, **options(telegram))
        first, second = await register(broker, build, running), await register(broker, build, running)
        await linked(Caller(running, issuer, moving_clock, first), running, telegram)
        await linked(Caller(running, issuer, moving_clock, second), running, telegram)
        rows = await running.runtime.database.fetch("SELECT user_id FROM contact")
        assert [row["user_id"] for row in rows] == [UUID(str(second))]
