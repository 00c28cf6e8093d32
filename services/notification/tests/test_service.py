"""Notification over a real broker and database."""

from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

from snowrail_events import (
    DeviceSignedInV1,
    FeedEventV1,
    IntentCreatedV1,
    IntentLowBalanceV1,
    IntentUpdatedV1,
    NotificationMarkReadV1,
    PaymentBlockedV1,
    PaymentFailedV1,
    PaymentSucceededV1,
    PaymentUpdatedV1,
    PriceAnomalyDetectedV1,
    UserRegisteredV1,
)
from snowrail_notification.usecases.people import prune
from snowrail_testkit import (
    Broker,
    Builder,
    FakeClock,
    RunningService,
    eventually,
)
from snowrail_testkit.tokens import TokenIssuer

TOKEN = "31337:0x" + "0" * 40
PAYER = "0x70997970C51812dc3A010C7d01b50e0d17dc79C8"
RECIPIENT = "0x3C44CdDdB6a900fa2b585dd299e03d12FA4293BC"


async def register(broker: Broker, build: Builder, running: RunningService, **fields: Any) -> UUID:
    """Have a user known, and return their id."""
    user = uuid4()
    await broker.probe.publish(build(UserRegisteredV1, user_id=user, **fields))

    async def known() -> bool:
        rows = await running.runtime.database.fetch("SELECT 1 FROM known_user WHERE user_id = $1", user)
        return bool(rows)

    await eventually(known)
    return user


async def feed(broker: Broker, count: int) -> list[FeedEventV1]:
    """Return the first events of all feeds."""
    return await broker.probe.collect(FeedEventV1, count)


async def test_payer_and_recipient_are_told_once(
    broker: Broker, build: Builder, notification: RunningService
) -> None:
    payer = await register(broker, build, notification, address=PAYER, handle="bob", roles=("user",))
    recipient = await register(
        broker, build, notification, address=RECIPIENT, handle="alice", roles=("user",)
    )
    event = build(
        PaymentSucceededV1, user_id=payer, payer=PAYER, recipient=RECIPIENT, token=TOKEN, amount=10**18
    )
    event_id = await broker.probe.publish(event)
    events = await feed(broker, 5)
    by_user = {(item.user_id, item.name): item for item in events}
    assert set(by_user) == {
        (payer, "intent:executed"),
        (payer, "payment_processed"),
        (payer, "notification"),
        (recipient, "payment_processed"),
        (recipient, "notification"),
    }
    assert by_user[recipient, "notification"].data["message"] == "1 CRO arrived from @bob."
    assert by_user[payer, "notification"].data["message"] == "1 CRO reached @alice."
    await broker.probe.publish(event, event_id=event_id)
    await broker.probe.publish(build(IntentCreatedV1, user_id=payer))
    assert (await feed(broker, 6))[5].name == "intent:created"


async def test_progress_and_ends_have_their_names(
    broker: Broker, build: Builder, notification: RunningService
) -> None:
    user = uuid4()
    for event in (
        build(PaymentUpdatedV1, user_id=user, step="submitted", token=TOKEN),
        build(PaymentUpdatedV1, user_id=user, step="included", token=TOKEN),
        build(PaymentUpdatedV1, user_id=user, step="review", token=TOKEN),
        build(PaymentFailedV1, user_id=user, code="order_expired", token=TOKEN),
        build(PaymentBlockedV1, user_id=user, reasons=("sanctioned_address",), token=TOKEN),
    ):
        await broker.probe.publish(event)
    names = [item.name for item in await feed(broker, 6)]
    assert names.count("notification") == 2
    assert set(names) == {"tx:pending", "tx:confirmed", "tx:failed", "fraud_detected", "notification"}


async def test_waiting_and_refunds_are_told(
    broker: Broker, build: Builder, notification: RunningService
) -> None:
    user, intent = uuid4(), uuid4()
    await broker.probe.publish(build(IntentCreatedV1, user_id=user, intent_id=intent, version=1))
    states = (
        ("due", None, None),
        ("delayed", "gas_price_above_ceiling", None),
        ("due", None, None),
        ("due", "payment_in_review", None),
        ("cancelled", "cancelled_on_chain", 5),
    )
    for version, (status, reason, refunded) in enumerate(states, start=2):
        values = {"status": status, "reason": reason, "refunded": refunded, "version": version}
        await broker.probe.publish(
            build(IntentUpdatedV1, user_id=user, intent_id=intent, token=TOKEN, **values)
        )
    events = await feed(broker, 10)
    types = [item.data["type"] for item in events if item.name == "notification"]
    assert types == ["deposit_confirmed", "intent_delayed", "intent_delayed", "withdrawal_ready"]


async def test_a_deposit_to_take_back_and_missing_money_are_told(
    broker: Broker, build: Builder, notification: RunningService
) -> None:
    user, intent = uuid4(), uuid4()
    for version, values in enumerate(
        ({"status": "awaiting_funds"}, {"status": "expired", "reason": "deposit_to_return"}), start=2
    ):
        await broker.probe.publish(
            build(IntentUpdatedV1, user_id=user, intent_id=intent, token=TOKEN, version=version, **values)
        )
    events = {item.data["type"]: item.data for item in await feed(broker, 4) if item.name == "notification"}
    assert set(events) == {"low_balance", "withdrawal_ready"}
    assert events["withdrawal_ready"]["actions"][0]["command"] == f"/withdraw {intent}"


async def test_money_missing_for_a_coming_payment_is_told_once_with_what_is_missing(
    broker: Broker, build: Builder, notification: RunningService
) -> None:
    user, intent = uuid4(), uuid4()
    now = build(IntentLowBalanceV1).warned_at
    due_at = now + timedelta(hours=20)
    values = {"user_id": user, "intent_id": intent, "token": TOKEN}
    waits = {"status": "awaiting_funds", "reason": "insufficient_funds", "version": 2}
    await broker.probe.publish(build(IntentUpdatedV1, **values, **waits, changed_at=now, next_run_at=due_at))
    amounts = {"needed": 3 * 10**18, "available": 10**18, "reason": "insufficient_funds"}
    await broker.probe.publish(
        build(IntentLowBalanceV1, **values, **amounts, recipient_label="@alice", due_at=due_at)
    )
    shown, told = await feed(broker, 2)
    assert (shown.name, told.name) == ("intent:updated", "notification")
    assert told.data["type"] == "low_balance"
    assert (
        f"@alice on {due_at:%Y-%m-%d %H:%M} UTC needs 3 CRO; your wallet holds 1 CRO." in told.data["message"]
    )
    assert told.data["actions"][0]["command"] == f"/status {intent}"


async def test_new_devices_and_anomalies_are_told_to_those_concerned(
    broker: Broker, build: Builder, notification: RunningService
) -> None:
    admin = await register(broker, build, notification, roles=("user", "admin"), address=PAYER)
    user = uuid4()
    await broker.probe.publish(build(DeviceSignedInV1, user_id=user, is_new=False))
    await broker.probe.publish(build(DeviceSignedInV1, user_id=user, is_new=True))
    await broker.probe.publish(build(PriceAnomalyDetectedV1))
    told = {(item.user_id, item.data["type"]) for item in await feed(broker, 2)}
    assert told == {(user, "security_alert"), (admin, "price_alert")}


async def test_what_was_read_is_known_everywhere(
    broker: Broker, build: Builder, notification: RunningService
) -> None:
    user = uuid4()
    for _ in range(3):
        await broker.probe.publish(build(DeviceSignedInV1, user_id=user, is_new=True))
    events = await feed(broker, 3)
    first = UUID(events[0].data["id"])
    await broker.probe.publish(build(NotificationMarkReadV1, user_id=uuid4(), notification_ids=(first,)))
    await broker.probe.publish(build(NotificationMarkReadV1, user_id=user, notification_ids=(first,)))
    read = (await feed(broker, 4))[3]
    assert (read.name, read.user_id, read.data) == (
        "notification:read",
        user,
        {"ids": [str(first)], "unread": 2},
    )
    await broker.probe.publish(build(NotificationMarkReadV1, user_id=user, notification_ids=()))
    assert (await feed(broker, 5))[4].data["unread"] == 0


async def test_history_has_filters_and_pages(
    broker: Broker, build: Builder, clock: FakeClock, notification: RunningService, issuer: TokenIssuer
) -> None:
    user = await register(broker, build, notification, address=RECIPIENT, handle="alice", roles=("user",))
    headers = issuer.headers(clock.now(), user)

    async def get(path: str, **query: Any) -> Any:
        answer = await notification.http.get(path, params=query, headers=headers)
        assert answer.status_code == 200, answer.text
        return answer.json()

    await broker.probe.publish(build(PaymentSucceededV1, recipient=RECIPIENT, token=TOKEN))
    for _ in range(3):
        await broker.probe.publish(build(DeviceSignedInV1, user_id=user, is_new=True))

    async def told() -> bool:
        return (await get("/notifications/unread"))["unread"] == 4

    await eventually(told)
    first = await get("/notifications", limit=3)
    rest = await get("/notifications", limit=3, cursor=first["next"])
    assert (len(first["items"]), len(rest["items"]), rest["next"]) == (3, 1, None)
    assert (await get("/notifications", limit=4))["next"] is None
    received = (await get("/notifications", type="payment_received"))["items"]
    assert [item["priority"] for item in received] == ["high"]
    assert len((await get("/notifications", priority="critical"))["items"]) == 3
    answer = await notification.http.post(
        "/notifications/read", json={"ids": [received[0]["id"]]}, headers=headers
    )
    assert answer.json() == {"unread": 3}
    assert len((await get("/notifications", unread="true"))["items"]) == 3
    read = (await get("/notifications", type="payment_received"))["items"]
    assert read[0]["read"] is True
    assert (await notification.http.get("/notifications?type=none", headers=headers)).status_code == 422


async def test_preferences_decide_what_is_told(
    broker: Broker, build: Builder, clock: FakeClock, notification: RunningService, issuer: TokenIssuer
) -> None:
    user = uuid4()
    headers = issuer.headers(clock.now(), user)
    for type_, enabled in (
        ("transaction_pending", True),
        ("transaction_failed", False),
        ("security_alert", False),
    ):
        body = {"type": type_, "channel": "in_app", "enabled": enabled}
        answer = await notification.http.put("/preferences", json=body, headers=headers)
        assert answer.json()["enabled"] is (enabled or type_ == "security_alert")
    listed = (await notification.http.get("/preferences", headers=headers)).json()
    in_app = {item["type"]: item["enabled"] for item in listed if item["channel"] == "in_app"}
    assert in_app["transaction_failed"] is False
    await broker.probe.publish(build(PaymentUpdatedV1, user_id=user, step="submitted", token=TOKEN))
    await broker.probe.publish(build(PaymentFailedV1, user_id=user, token=TOKEN))
    await broker.probe.publish(build(DeviceSignedInV1, user_id=user, is_new=True))
    told = [item.data["type"] for item in await feed(broker, 4) if item.name == "notification"]
    assert told == ["transaction_pending", "security_alert"]


async def test_what_is_old_is_forgotten(
    broker: Broker, build: Builder, clock: FakeClock, notification: RunningService
) -> None:
    await broker.probe.publish(build(DeviceSignedInV1, user_id=uuid4(), is_new=True))
    await feed(broker, 1)
    database = notification.runtime.database
    assert await prune(notification.parts) is False
    assert len(await database.fetch("SELECT 1 FROM notification")) == 1
    clock.advance(timedelta(days=notification.parts.settings.retention_days, seconds=1))
    await prune(notification.parts)
    assert await database.fetch("SELECT 1 FROM notification") == []


async def test_notifications_are_their_users_own(notification: RunningService) -> None:
    assert (await notification.http.get("/notifications")).status_code == 401
    assert (await notification.http.put("/preferences", json={"type": "x"})).status_code == 401
