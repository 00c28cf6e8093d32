"""Price alerts, notification preferences and devices: asked for here, answered by their owners."""

from typing import Any
from uuid import UUID, uuid4

from snowrail_events import (
    AlertCreateV1,
    AlertDeleteV1,
    AlertUpdatedV1,
    ChatAnsweredV1,
    ChatMessagePostedV1,
    DeviceApproveV1,
    DeviceDecidedV1,
    DeviceDenyV1,
    NotificationPreferencesUpdatedV1,
    NotificationRejectedV1,
    NotificationSetPreferenceV1,
    NotificationSetQuietHoursV1,
)
from snowrail_events.parts import NotificationChannel, NotificationPreference
from snowrail_testkit import eventually

from .support import Conversation, Person, rows_of


async def tell_alert(talk: Conversation, asked: AlertCreateV1, **changes: Any) -> None:
    known = {name: getattr(asked, name) for name in ("alert_id", "user_id", "symbol", "comparison", "price")}
    values = {"version": 1, "status": "armed", "request_id": asked.request_id, "changed_at": talk.clock.now()}
    await talk.broker.probe.publish(talk.build(AlertUpdatedV1, **{**known, **values, **changes}))


async def test_an_alert_is_set_listed_and_forgotten(talk: Conversation, alice: Person, bob: Person) -> None:
    assert (await talk.ask(alice, "/alerts"))["title"] == "No price alerts"
    message_id = await talk.say(alice, "/alert cro ABOVE 0.25")
    asked: AlertCreateV1 = await talk.published(AlertCreateV1)
    assert (asked.symbol, asked.comparison, asked.price) == ("CRO", "above", "0.25")
    await tell_alert(talk, asked)
    card = (await talk.answer(message_id))["card"]
    assert card["title"] == "You will be told: CRO above 0.25 USD"
    short = asked.alert_id.hex[:8]
    assert rows_of(await talk.ask(alice, "/alerts"))[short].startswith("CRO above 0.25 USD, armed")
    assert (await talk.ask(bob, f"/alerts delete {short}"))["status"] == "id_unknown"
    message_id = await talk.say(alice, f"/alerts delete {short}")
    delete: AlertDeleteV1 = await talk.published(AlertDeleteV1)
    assert delete.alert_id == asked.alert_id
    await tell_alert(talk, asked, version=2, status="deleted", request_id=message_id)
    assert (await talk.answer(message_id))["card"]["status"] == "deleted"
    await tell_alert(talk, asked, version=1, request_id=None)
    assert (await talk.ask(alice, "/alerts"))["rows"] == []


async def test_a_refusal_says_why(talk: Conversation, alice: Person) -> None:
    message_id = await talk.say(alice, "/alert USDC below 0.9")
    await talk.published(AlertCreateV1)
    await talk.broker.probe.publish(
        talk.build(
            NotificationRejectedV1,
            user_id=alice.user_id,
            request_id=message_id,
            command="alert_create",
            code="alerts_full",
            detail="You have enough.",
        )
    )
    card = (await talk.answer(message_id))["card"]
    assert (card["title"], card["status"], card["notes"]) == (
        "The alert was not set.",
        "alerts_full",
        ["You have enough."],
    )


async def tell_preferences(talk: Conversation, user_id: UUID, request_id: UUID | None) -> None:
    await talk.broker.probe.publish(
        talk.build(
            NotificationPreferencesUpdatedV1,
            user_id=user_id,
            request_id=request_id,
            preferences=(NotificationPreference(type="price_alert", channel="email", enabled=False),),
            channels=(NotificationChannel(channel="email", configured=True, connected=True, label="a…@b.c"),),
            quiet_starts_at="22:00",
            quiet_ends_at="07:00",
            time_zone="Europe/Berlin",
            changed_at=talk.clock.now(),
        )
    )


async def test_preferences_are_changed_and_shown(talk: Conversation, alice: Person) -> None:
    assert "changed nothing yet" in (await talk.ask(alice, "/notifications"))["notes"][0]
    message_id = await talk.say(alice, "/notifications set price_alert email off")
    asked: NotificationSetPreferenceV1 = await talk.published(NotificationSetPreferenceV1)
    assert (asked.type, asked.channel, asked.enabled) == ("price_alert", "email", False)
    await tell_preferences(talk, alice.user_id, message_id)
    card = (await talk.answer(message_id))["card"]
    assert rows_of(card) == {
        "price alert": "email off",
        "via email": "connected (a…@b.c)",
        "Quiet hours": "22:00 to 07:00, UTC",
    }
    assert rows_of(await talk.ask(alice, "/notifications")) == rows_of(card)
    await talk.say(alice, "/notifications set all telegram on")
    everything: NotificationSetPreferenceV1 = await talk.published(NotificationSetPreferenceV1, 2)
    assert (everything.type, everything.channel, everything.enabled) == (None, "telegram", True)
    await talk.say(alice, "/notifications quiet 22:00-7:00")
    await talk.say(alice, "/notifications quiet off")
    hours, none = await talk.broker.probe.collect(NotificationSetQuietHoursV1, 2)
    assert (hours.starts_at, hours.ends_at) == ("22:00", "07:00")
    assert (none.starts_at, none.ends_at) == (None, None)


async def test_devices_are_decided_by_whole_ids(talk: Conversation, alice: Person) -> None:
    device_id, own_device = uuid4(), uuid4()
    assert (await talk.ask(alice, "/device approve 1a2b3c4d"))["status"] == "id_incomplete"
    posted = talk.build(
        ChatMessagePostedV1,
        message_id=uuid4(),
        user_id=alice.user_id,
        handle=alice.handle,
        address=alice.address,
        roles=alice.roles,
        text=f"/device approve {device_id}",
        posted_at=talk.clock.now(),
        device_id=own_device,
        origin="feed",
    )
    await talk.broker.probe.publish(posted)
    asked: DeviceApproveV1 = await talk.published(DeviceApproveV1)
    assert (asked.device_id, asked.by_device_id) == (device_id, own_device)
    decided = {"device_id": device_id, "user_id": alice.user_id, "label": "Phone", "code": None, "detail": ""}
    await talk.broker.probe.publish(
        talk.build(DeviceDecidedV1, **decided, decision="approved", request_id=posted.message_id)
    )
    assert (await talk.answer(posted.message_id))["card"]["title"] == "Phone is approved."
    message_id = await talk.say(alice, f"/device deny {device_id}")
    await talk.published(DeviceDenyV1)
    refused = {**decided, "code": "not_approved", "detail": "Ask another device."}
    await talk.broker.probe.publish(
        talk.build(DeviceDecidedV1, **refused, decision="refused", request_id=message_id)
    )
    card = (await talk.answer(message_id))["card"]
    assert (card["status"], card["notes"]) == ("not_approved", ["Ask another device."])


async def test_an_answer_goes_where_the_line_came_from(talk: Conversation, alice: Person) -> None:
    posted = talk.build(
        ChatMessagePostedV1,
        message_id=uuid4(),
        user_id=alice.user_id,
        handle=alice.handle,
        address=alice.address,
        roles=alice.roles,
        text="/help pay",
        posted_at=talk.clock.now(),
        origin="telegram",
    )
    await talk.broker.probe.publish(posted)
    answer: ChatAnsweredV1 = await talk.published(ChatAnsweredV1)
    data = await talk.answer(posted.message_id)
    assert (answer.origin, answer.in_reply_to) == ("telegram", posted.message_id)
    assert (answer.card, answer.text) == (data["card"], data["text"])
    await talk.ask(alice, "/help")

    async def only_one() -> bool:
        return await talk.broker.probe.count(ChatAnsweredV1) == 1

    await eventually(only_one)
