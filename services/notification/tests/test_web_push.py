"""Web push against a push service that decrypts what it is sent."""

from base64 import urlsafe_b64decode
from typing import Any
from uuid import UUID, uuid4

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from snowrail_notification.channels.web_push import encrypt
from snowrail_testkit import Broker, Builder, RunningService, eventually
from snowrail_testkit.emulators.push import PushMode, PushService, Subscription, running_push_service
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


def pem() -> str:
    """A new VAPID key."""
    key = ec.generate_private_key(ec.SECP256R1())
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


def options(**more: Any) -> dict[str, Any]:
    return {
        "channel_secret": SECRET,
        "vapid_private_key": pem(),
        "vapid_subject": "mailto:operations@snowrail.example",
        "web_push_hosts": ("127.0.0.1",),
        "web_push_over_http": True,
        "web_push_per_second": 1_000,
        "deliver_every_seconds": 0.05,
        "attempt_timeout_seconds": 10,
        **more,
    }


async def subscribed(caller: Caller, service: PushService) -> Subscription:
    """Connect a browser, and let the message about that pass."""
    subscription = service.subscribe()
    await caller("POST", "/push/subscriptions", 201, {**subscription.to_json(), "label": "Firefox"})
    await until(lambda: bool(subscription.waiting))
    subscription.waiting.clear()
    subscription.attempts = 0
    return subscription


async def test_browsers_read_what_they_are_sent(
    broker: Broker,
    build: Builder,
    start_notification: StartNotification,
    moving_clock: MovingClock,
    issuer: TokenIssuer,
) -> None:
    async with running_push_service() as service:
        running = await start_notification(moving_clock, **options())
        user = await register(broker, build, running)
        caller = Caller(running, issuer, moving_clock, user)
        assert len((await caller("GET", "/push/key"))["key"]) == 87
        first, second = await subscribed(caller, service), await subscribed(caller, service)
        await until(lambda: bool(first.waiting))  # the first browser is told of the second
        first.waiting.clear()
        await tell_payment(broker, build, user)
        await until(lambda: len(first.waiting) == 1 and len(second.waiting) == 1)
        for message in (first.waiting[0], second.waiting[0]):
            assert message.data["title"] == "Payment received"
            assert (message.urgency, message.ttl_seconds) == ("high", 86_400)
            assert message.topic is not None
        notice = (await caller("GET", "/notifications?type=payment_received"))["items"][0]
        assert first.waiting[0].data["id"] == notice["id"]
        await caller("DELETE", "/channels/web_push", 204)
        await caller("DELETE", "/channels/web_push", 404)


@pytest.mark.parametrize(
    ("mode", "attempts", "state", "removed"),
    [
        (PushMode.GONE, 1, None, True),
        (PushMode.RATE_LIMITED, 2, "sent", False),
        (PushMode.SERVER_ERROR, 2, "sent", False),
        (PushMode.REPLY_LOST, 2, "sent", False),
    ],
)
async def test_what_follows_each_answer(
    broker: Broker,
    build: Builder,
    start_notification: StartNotification,
    moving_clock: MovingClock,
    issuer: TokenIssuer,
    mode: PushMode,
    attempts: int,
    state: str | None,
    removed: bool,
) -> None:
    async with running_push_service() as service:
        running = await start_notification(moving_clock, **options())
        user = await register(broker, build, running)
        caller = Caller(running, issuer, moving_clock, user)
        subscription = await subscribed(caller, service)
        subscription.mode, subscription.failures = mode, 1
        await tell_payment(broker, build, user)
        await until(lambda: subscription.attempts == 1)

        async def ended() -> bool:
            await let_pass(running, moving_clock, 1)
            if removed:
                return not (await caller("GET", "/channels"))[2]["contacts"]
            return await states(running, "web_push", "payment_received") == [state]

        await eventually(ended)
        assert subscription.attempts == attempts
        assert len(subscription.waiting) == (0 if removed else 1)  # a repetition took its own place


async def test_retry_after_is_obeyed(
    broker: Broker,
    build: Builder,
    start_notification: StartNotification,
    moving_clock: MovingClock,
    issuer: TokenIssuer,
) -> None:
    async with running_push_service() as service:
        running = await start_notification(moving_clock, **options())
        user = await register(broker, build, running)
        subscription = await subscribed(Caller(running, issuer, moving_clock, user), service)
        subscription.mode, subscription.failures, subscription.retry_after_seconds = (
            PushMode.RATE_LIMITED,
            1,
            1_800,
        )
        await tell_payment(broker, build, user)
        await until(lambda: subscription.attempts == 1)

        async def waits() -> bool:
            return await states(running, "web_push", "payment_received") == ["pending"]

        await eventually(waits)
        row = (await running.runtime.database.fetch("SELECT due_at FROM delivery WHERE state = 'pending'"))[0]
        assert 1_700 < (row["due_at"] - moving_clock.now()).total_seconds() <= 1_800
        moving_clock.advance(1_801)
        await until(lambda: len(subscription.waiting) == 1)


@pytest.mark.parametrize(
    "endpoint",
    [
        "https://169.254.169.254/latest/meta-data",
        "https://fcm.googleapis.com.evil.example/x",
        "https://evil.example/?fcm.googleapis.com",
        "http://fcm.googleapis.com/x",
        "https://fcm.googleapis.com@evil.example/x",
        "file:///etc/passwd",
        "https://user@fcm.googleapis.com/x",
        "",
    ],
)
async def test_only_push_services_are_posted_to(
    start_notification: StartNotification, moving_clock: MovingClock, issuer: TokenIssuer, endpoint: str
) -> None:
    plain = options(web_push_hosts=("fcm.googleapis.com",), web_push_over_http=False)
    running: RunningService = await start_notification(moving_clock, **plain)
    caller = Caller(running, issuer, moving_clock, uuid4())
    keys = Subscription(ec.generate_private_key(ec.SECP256R1()), b"a" * 16, "").to_json()["keys"]
    await caller("POST", "/push/subscriptions", 422, {"endpoint": endpoint, "keys": keys})
    good = {"endpoint": "https://fcm.googleapis.com/fcm/send/1", "keys": {**keys, "auth": "AA"}}
    await caller("POST", "/push/subscriptions", 422, good)
    good["keys"] = {**keys, "p256dh": "A" * 87}
    await caller("POST", "/push/subscriptions", 422, good)


async def test_a_browser_that_changes_hands_is_its_new_users(
    broker: Broker,
    build: Builder,
    start_notification: StartNotification,
    moving_clock: MovingClock,
    issuer: TokenIssuer,
) -> None:
    async with running_push_service() as service:
        running = await start_notification(moving_clock, **options())
        first, second = await register(broker, build, running), await register(broker, build, running)
        subscription = await subscribed(Caller(running, issuer, moving_clock, first), service)
        other = Caller(running, issuer, moving_clock, second)
        made = await other("POST", "/push/subscriptions", 201, subscription.to_json())
        await until(lambda: len(subscription.waiting) == 1)
        contacts = await running.runtime.database.fetch("SELECT user_id, contact_id FROM contact")
        assert [(row["user_id"], row["contact_id"]) for row in contacts] == [(second, UUID(made["id"]))]
        await tell_critical(broker, build, first)
        await tell_critical(broker, build, second)
        await until(lambda: len(subscription.waiting) == 2)


def test_encryption_is_that_of_the_standard() -> None:
    """The example of RFC 8291, section 5 and appendix A."""
    key = ec.derive_private_key(
        int.from_bytes(decode("yfWPiYE-n46HLnH0KqZOF1fJJU3MYrct3AELtAQ-oRw"), "big"), ec.SECP256R1()
    )
    browser = decode(
        "BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4"
    )
    secret, salt = decode("BTBZMqHH6r4Tts7J_aSIgg"), decode("DGv6ra1nlYgDCS1FRnbzlw")
    text = b"When I grow up, I want to be a watermelon"
    assert encrypt(text, browser, secret, key, salt) == decode(
        "DGv6ra1nlYgDCS1FRnbzlwAAEABBBP4z9KsN6nGRTbVYI_c7VJSPQTBtkgcy27mlmlMoZIIgDll6e3vCYLocInmYWAmS6Tlz"
        "AC8wEqKK6PBru3jl7A_yl95bQpu6cVPTpK4Mqgkf1CXztLVBSt2Ks3oZwbuwXPXLWyouBWLVWGNWQexSgSxsj_Qulcy4a-fN"
    )


def decode(text: str) -> bytes:
    """Return the bytes of base64url without padding."""
    return urlsafe_b64decode(text + "=" * (-len(text) % 4))
