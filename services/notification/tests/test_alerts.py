"""Price alerts, preferences by command, quiet hours, and the weekly summary."""

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4
from zoneinfo import ZoneInfo

import pytest

from snowrail_events import (
    AlertCreateV1,
    AlertDeleteV1,
    AlertUpdatedV1,
    DeviceSignedInV1,
    FeedEventV1,
    NotificationPreferencesUpdatedV1,
    NotificationRejectedV1,
    NotificationSetPreferenceV1,
    NotificationSetQuietHoursV1,
    PaymentSucceededV1,
    PriceUpdatedV1,
    UserUpdatedV1,
)
from snowrail_notification.usecases.summaries import summarise
from snowrail_testkit import Broker, Builder, FakeClock, RunningService, eventually
from snowrail_testkit.tokens import TokenIssuer

from .support import SECRET, TOKEN, Caller, StartNotification, register


async def arm(broker: Broker, build: Builder, comparison: str, price: str, **fields: Any) -> AlertCreateV1:
    event = build(AlertCreateV1, alert_id=uuid4(), comparison=comparison, price=price, **fields)
    await broker.probe.publish(event, producer="chat")
    return event


async def quote(broker: Broker, build: Builder, price: str, at: datetime, symbol: str = "CRO") -> None:
    event = build(PriceUpdatedV1, symbol=symbol, price=price, observed_at=at)
    await broker.probe.publish(event, producer="rates")


async def test_an_alert_fires_once_when_its_mark_is_passed(
    broker: Broker, build: Builder, clock: FakeClock, notification: RunningService
) -> None:
    above = await arm(broker, build, "above", "0.1", user_id=uuid4())
    below = await arm(broker, build, "below", "0.05", user_id=uuid4())
    exact = await arm(broker, build, "above", "0.2", user_id=uuid4())
    await broker.probe.collect(AlertUpdatedV1, 3)
    moments = [clock.now() + timedelta(seconds=number) for number in range(6)]
    await quote(broker, build, "0.099", moments[0])
    await quote(broker, build, "0.15", moments[1])
    await quote(broker, build, "0.16", moments[2])
    await quote(broker, build, "0.04", moments[1])  # older than what is known
    await quote(broker, build, "0.2", moments[3])
    updates = await broker.probe.collect(AlertUpdatedV1, 5)
    fired = {item.alert_id: item.fired_price for item in updates if item.status == "fired"}
    assert fired == {above.alert_id: "0.15", exact.alert_id: "0.2"}
    told = await broker.probe.collect(FeedEventV1, 2)
    assert [(item.user_id, item.data["type"]) for item in told] == [
        (above.user_id, "price_alert"),
        (exact.user_id, "price_alert"),
    ]
    assert told[0].data["actions"][0]["command"] == "/alert CRO above 0.1"
    await quote(broker, build, "0.01", moments[4])
    assert (await broker.probe.collect(AlertUpdatedV1, 6))[5].alert_id == below.alert_id


async def test_a_stale_price_fires_nothing(
    broker: Broker, build: Builder, clock: FakeClock, notification: RunningService
) -> None:
    alert = await arm(broker, build, "above", "0.1", user_id=uuid4())
    await broker.probe.collect(AlertUpdatedV1, 1)
    await quote(broker, build, "5", clock.now() - timedelta(seconds=301))
    await quote(broker, build, "0.3", clock.now() - timedelta(seconds=100))
    update = (await broker.probe.collect(AlertUpdatedV1, 2))[1]
    assert (update.alert_id, update.fired_price) == (alert.alert_id, "0.3")


async def test_alerts_that_cannot_be_are_rejected_and_those_that_are_deleted(
    broker: Broker, build: Builder, start_notification: StartNotification, clock: FakeClock
) -> None:
    await start_notification(clock, alerts_per_user=2)
    user = uuid4()
    first = await arm(broker, build, "above", "1", user_id=user)
    await arm(broker, build, "above", "2", user_id=user)
    await broker.probe.collect(AlertUpdatedV1, 2)
    await arm(broker, build, "above", "3", user_id=user)
    await arm(broker, build, "above", "3", user_id=user, symbol="DOGE")
    await arm(broker, build, "above", "0.000", user_id=user)
    command = build(AlertDeleteV1, alert_id=first.alert_id, user_id=uuid4())
    await broker.probe.publish(command, producer="chat")
    rejected = await broker.probe.collect(NotificationRejectedV1, 4)
    assert {(item.command, item.code) for item in rejected} == {
        ("alert_create", "too_many_alerts"),
        ("alert_create", "unknown_token"),
        ("alert_create", "bad_price"),
        ("alert_delete", "unknown_alert"),
    }
    command = build(AlertDeleteV1, alert_id=first.alert_id, user_id=user)
    await broker.probe.publish(command, producer="chat")
    deleted = (await broker.probe.collect(AlertUpdatedV1, 3))[2]
    assert (deleted.status, deleted.request_id) == ("deleted", command.request_id)
    await quote(broker, build, "9", clock.now())
    assert (await broker.probe.collect(AlertUpdatedV1, 4))[3].alert_id != first.alert_id


async def test_alerts_over_http(
    broker: Broker, build: Builder, clock: FakeClock, notification: RunningService, issuer: TokenIssuer
) -> None:
    caller = Caller(notification, issuer, clock, uuid4())
    body = {"symbol": "CRO", "comparison": "below", "price": "0.050"}
    made = await caller("POST", "/alerts", 201, body)
    assert (made["price"], made["status"]) == ("0.05", "armed")
    await caller("POST", "/alerts", 422, {**body, "price": "1e3"})
    await caller("POST", "/alerts", 422, {**body, "symbol": "DOGE"})
    assert [item["id"] for item in await caller("GET", "/alerts")] == [made["id"]]
    other = Caller(notification, issuer, clock, uuid4())
    await other("DELETE", f"/alerts/{made['id']}", 404)
    await caller("DELETE", f"/alerts/{made['id']}", 204)
    assert await caller("GET", "/alerts") == []


async def test_preferences_and_quiet_hours_by_command(
    broker: Broker, build: Builder, notification: RunningService
) -> None:
    user = await register(broker, build, notification, time_zone="Asia/Kolkata")

    async def send(model: Any, **fields: Any) -> None:
        await broker.probe.publish(build(model, user_id=user, **fields), producer="chat")

    await send(NotificationSetPreferenceV1, type="payment_sent", channel=None, enabled=False)
    event = (await broker.probe.collect(NotificationPreferencesUpdatedV1, 2))[1]
    chosen = {(item.type, item.channel): item.enabled for item in event.preferences}
    assert {chosen["payment_sent", name] for name in ("in_app", "email", "telegram", "web_push")} == {False}
    assert len(chosen) == 64
    assert event.time_zone == "Asia/Kolkata"
    await send(NotificationSetPreferenceV1, type=None, channel="telegram", enabled=False)
    event = (await broker.probe.collect(NotificationPreferencesUpdatedV1, 3))[2]
    on = {item.type for item in event.preferences if item.channel == "telegram" and item.enabled}
    assert on == {"security_alert"}
    await send(NotificationSetQuietHoursV1, starts_at="22:00", ends_at="07:30")
    event = (await broker.probe.collect(NotificationPreferencesUpdatedV1, 4))[3]
    assert (event.quiet_starts_at, event.quiet_ends_at) == ("22:00", "07:30")
    await send(NotificationSetPreferenceV1, type="nothing", channel=None, enabled=True)
    await send(NotificationSetPreferenceV1, type=None, channel="pigeon", enabled=True)
    await send(NotificationSetPreferenceV1, type="security_alert", channel=None, enabled=False)
    await send(NotificationSetQuietHoursV1, starts_at="22:00", ends_at="22:00")
    await send(NotificationSetQuietHoursV1, starts_at="22:00", ends_at=None)
    rejected = await broker.probe.collect(NotificationRejectedV1, 5)
    assert sorted(item.code for item in rejected) == [
        "always_told",
        "bad_quiet_hours",
        "bad_quiet_hours",
        "unknown_channel",
        "unknown_type",
    ]
    await send(NotificationSetQuietHoursV1)
    event = (await broker.probe.collect(NotificationPreferencesUpdatedV1, 5))[4]
    assert event.quiet_starts_at is None


@pytest.mark.parametrize("critical", [True, False])
async def test_quiet_hours_hold_back_what_is_not_critical(
    broker: Broker, build: Builder, start_notification: StartNotification, clock: FakeClock, critical: bool
) -> None:
    clock.set(datetime(2026, 6, 1, 20, 0, tzinfo=ZoneInfo("UTC")))  # 22:00 in Berlin
    running = await start_notification(
        clock,
        channel_secret=SECRET,
        smtp_host="127.0.0.1",
        smtp_port=1,
        email_from="told@snowrail.example",
        deliver_every_seconds=60,
    )
    user = await register(broker, build, running, time_zone="Asia/Tokyo")
    database = running.runtime.database
    moved = build(UserUpdatedV1, user_id=user, time_zone="Europe/Berlin", changed_at=clock.now())
    await broker.probe.publish(moved)
    await eventually(lambda: database.fetch("SELECT 1 FROM known_user WHERE time_zone = 'Europe/Berlin'"))
    contact = uuid4()
    await database.fetch(
        "INSERT INTO contact (contact_id, user_id, channel, lookup, sealed_address, label, created_at,"
        " confirmed_at) VALUES ($1, $2, 'email', $3, $3, '', $4, $4)",
        contact,
        user,
        bytes(32),
        clock.now(),
    )
    command = build(NotificationSetQuietHoursV1, user_id=user, starts_at="21:30", ends_at="06:45")
    await broker.probe.publish(command, producer="chat")
    await broker.probe.collect(NotificationPreferencesUpdatedV1, 2)
    if critical:
        await broker.probe.publish(build(DeviceSignedInV1, user_id=user, is_new=True))
    else:
        event = build(PaymentSucceededV1, user_id=uuid4(), recipient="0x" + "7" * 40, token=TOKEN)
        address = (await database.fetch("SELECT address FROM known_user"))[0]["address"]
        await broker.probe.publish(event.model_copy(update={"recipient": address}))

    async def stored() -> Any:
        return await database.fetch("SELECT due_at FROM delivery")

    rows = await eventually(stored)
    expected = clock.now() if critical else datetime(2026, 6, 2, 4, 45, tzinfo=ZoneInfo("UTC"))
    assert [row["due_at"] for row in rows] == [expected]
    shown = [item for item in await broker.probe.collect(FeedEventV1, 1) if item.name == "notification"]
    assert all(item.data["quiet"] is not critical for item in shown if item.user_id == user)


async def test_weeks_are_summed_up_once_on_monday_mornings(
    broker: Broker, build: Builder, start_notification: StartNotification, clock: FakeClock
) -> None:
    clock.set(datetime(2026, 6, 3, 12, 0, tzinfo=ZoneInfo("UTC")))
    running = await start_notification(clock)
    payer = await register(
        broker, build, running, time_zone="Asia/Kolkata", address="0x" + "1" * 40, handle="kiran"
    )
    recipient = await register(
        broker, build, running, time_zone="America/New_York", address="0x" + "2" * 40, handle="nora"
    )
    await register(broker, build, running, address="0x" + "3" * 40, handle="idle")
    for amount in (10**18, 5 * 10**17):
        event = build(
            PaymentSucceededV1,
            payment_id=uuid4(),
            user_id=payer,
            payer="0x" + "1" * 40,
            recipient="0x" + "2" * 40,
            token=TOKEN,
            amount=amount,
            succeeded_at=clock.now(),
        )
        await broker.probe.publish(event)
    database = running.runtime.database

    async def moved() -> bool:
        return len(await database.fetch("SELECT 1 FROM movement")) == 4

    await eventually(moved)

    async def told(user: UUID) -> list[str]:
        rows = await database.fetch(
            "SELECT message FROM notification WHERE user_id = $1 AND type = 'weekly_summary'", user
        )
        return [row["message"] for row in rows]

    clock.set(datetime(2026, 6, 8, 3, 29, tzinfo=ZoneInfo("UTC")))  # 8:59 in Kolkata
    await summarise(running.parts)
    assert await told(payer) == []
    clock.advance(timedelta(minutes=1))
    await summarise(running.parts)
    await summarise(running.parts)
    assert await told(payer) == ["2 payments; sent 1.5 CRO."]
    assert await told(recipient) == []
    again = await start_notification(clock)
    clock.set(datetime(2026, 6, 8, 13, 0, tzinfo=ZoneInfo("UTC")))  # 9:00 in New York
    await summarise(again.parts)
    await summarise(running.parts)
    assert await told(recipient) == ["2 payments; received 1.5 CRO."]
    assert len(await told(payer)) == 1
    clock.set(datetime(2026, 6, 15, 13, 0, tzinfo=ZoneInfo("UTC")))
    await summarise(again.parts)
    assert len(await told(payer)) == 1  # nothing moved in that week
