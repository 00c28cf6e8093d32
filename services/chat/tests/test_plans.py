"""Payments that wait or repeat: what is asked for, how it is shown, held back and listed."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from snowrail_events import (
    IntentCreateV1,
    IntentPauseV1,
    IntentRejectedV1,
    IntentResumeV1,
    PaymentSucceededV1,
    UserRejectedV1,
    UserSetTimeZoneV1,
    UserUpdatedV1,
)
from snowrail_testkit import eventually

from .support import BOB, TX, Conversation, Person, actions_of, rows_of


async def set_zone(talk: Conversation, person: Person, zone: str = "Europe/Berlin") -> None:
    """Have a person set their zone, and accounts follow."""
    asked_before = await talk.broker.probe.count(UserSetTimeZoneV1)
    message_id = await talk.say(person, f"/settings zone {zone}")
    asked: UserSetTimeZoneV1 = await talk.published(UserSetTimeZoneV1, asked_before + 1)
    assert (asked.user_id, asked.request_id) == (person.user_id, message_id)
    await tell_account(talk, person, asked.time_zone, message_id)
    card = (await talk.answer(message_id))["card"]
    assert (card["title"], rows_of(card)["Time zone"]) == ("Time zone set", zone)


async def tell_account(talk: Conversation, person: Person, zone: str, request_id: UUID | None = None) -> None:
    """Have accounts announce in which zone a person lives."""
    talk.clock.advance(1)
    await talk.broker.probe.publish(
        talk.build(
            UserUpdatedV1,
            user_id=person.user_id,
            handle=person.handle,
            address=person.address,
            time_zone=zone,
            changed_at=talk.clock.now(),
            request_id=request_id,
        )
    )


async def test_a_payment_waits_for_a_time_of_the_users_zone(talk: Conversation, alice: Person) -> None:
    await set_zone(talk, alice)
    message_id = await talk.say(alice, f"/pay {BOB} 1 at tomorrow 9am if gas < 5000 gwei")
    command: IntentCreateV1 = await talk.published(IntentCreateV1)
    assert command.not_before is not None
    local = command.not_before.astimezone(UTC)
    assert command.not_before > talk.clock.now()
    assert command.condition is not None
    assert command.condition.model_dump() == {
        "kind": "gas", "token": None, "comparison": "below", "value": str(5_000 * 10**9)
    }  # fmt: skip
    await talk.create(command, next_run_at=local, condition=command.condition)
    card = (await talk.answer(message_id))["card"]
    rows = rows_of(card)
    assert rows["When"].endswith("09:00:00 Europe/Berlin")
    assert rows["Condition"] == "if gas < 5000 gwei"
    edit = actions_of(card)["Edit"]["command"]
    assert edit == f"/pay {BOB} 1 CRO at {local:%Y-%m-%d %H:%M} UTC if gas < 5000 gwei"
    listed = await talk.ask(alice, "/schedule list")
    assert listed["title"].startswith("1 payment")
    assert "condition: if gas < 5000 gwei" in listed["rows"][0]["value"]
    assert (await talk.ask(alice, "/recurring"))["rows"] == []


async def test_a_price_condition_names_the_token(talk: Conversation, alice: Person) -> None:
    await talk.say(alice, f"/pay {BOB} 1 if usdc > 1.01")
    command: IntentCreateV1 = await talk.published(IntentCreateV1)
    assert command.condition is not None
    assert (command.condition.token, command.condition.comparison) == ("USDC", "above")
    assert command.condition.value == "1.01"


@pytest.mark.parametrize(
    ("clause", "status", "offered"),
    [
        ("at 2020-01-01 9:00", "time_past", []),
        ("at {autumn} 2:30", "time_ambiguous", ["{autumn} 00:30 UTC", "{autumn} 01:30 UTC"]),
        ("at {spring} 2:30", "time_skipped", ["{spring} 01:30", "{spring} 03:30"]),
    ],
)
async def test_times_that_are_none_are_refused(
    talk: Conversation, alice: Person, clause: str, status: str, offered: list[str]
) -> None:
    talk.clock.set(datetime(2026, 11, 20, 10, tzinfo=UTC))
    await set_zone(talk, alice)
    days = {"autumn": "2027-10-31", "spring": "2027-03-28"}
    card = await talk.ask(alice, f"/pay {BOB} 1 {clause.format(**days)}")
    assert card["status"] == status
    commands = [action["command"] for action in card["actions"]]
    assert commands == [f"/pay {BOB} 1 at {text.format(**days)}" for text in offered]
    assert "^" in rows_of(card)["Line"]
    assert await talk.broker.probe.count(IntentCreateV1) == 0


async def recurring(talk: Conversation, alice: Person, **changes: Any) -> Any:
    line = "every month on 31 at 9:00 until 2030-01-31 for 12 times --missed once"
    await talk.say(alice, f"/recurring setup {BOB} 5 USDC {line}")
    command: IntentCreateV1 = await talk.published(IntentCreateV1)
    plan = {"next_run_at": talk.clock.now() + timedelta(days=3), "occurrences_total": 12}
    return await talk.create(command, recurrence=command.recurrence, **{**plan, **changes})


async def test_a_payment_repeats(talk: Conversation, alice: Person) -> None:
    await set_zone(talk, alice)
    intent = await recurring(talk, alice)
    recurrence = intent.recurrence
    assert (recurrence.kind, recurrence.interval, recurrence.day) == ("monthly", 1, 31)
    assert (recurrence.time_zone, recurrence.count, recurrence.missed) == ("Europe/Berlin", 12, "run_once")
    await talk.update(intent, 2, "armed", paused=False, next_run_at=intent.next_run_at, occurrences_total=12)
    await eventually(lambda: talk.fetch("SELECT 1 FROM intent WHERE version = 2"))
    card = await talk.ask(alice, f"/status {intent.intent_id}")
    rows = rows_of(card)
    assert card["status"] == "scheduled"
    assert rows["Repeats"].startswith("every month on 31 at 09:00 Europe/Berlin from ")
    assert rows["Repeats"].endswith("until 2030-01-31 for 12 times")
    assert rows["Paid"] == "0 of 12"
    await talk.pay(intent, PaymentSucceededV1, version=3, tx_hash=TX, attempt=1)
    result = {"last_result": "succeeded", "last_result_at": talk.clock.now(), "occurrences_paid": 1}
    await talk.update(
        intent, 3, "armed", paused=False, next_run_at=intent.next_run_at, occurrences_total=12, **result
    )
    await eventually(lambda: talk.fetch("SELECT 1 FROM intent WHERE version = 3"))
    await eventually(lambda: talk.fetch("SELECT 1 FROM payment WHERE status = 'succeeded'"))
    card = await talk.ask(alice, "/recurring list")
    assert card["title"] == "1 payments repeat"
    assert "scheduled" in card["rows"][0]["value"]
    assert "paid: 1 of 12" in card["rows"][0]["value"]
    assert "last result: succeeded" in card["rows"][0]["value"]


async def test_a_repeated_payment_is_held_back_and_goes_on(talk: Conversation, alice: Person) -> None:
    intent = await recurring(talk, alice)
    await talk.update(intent, 2, "armed", paused=False, next_run_at=intent.next_run_at)
    await eventually(lambda: talk.fetch("SELECT 1 FROM intent WHERE version = 2"))
    message_id = await talk.say(alice, f"/recurring pause {intent.intent_id}")
    asked: IntentPauseV1 = await talk.published(IntentPauseV1)
    assert (asked.intent_id, asked.request_id) == (intent.intent_id, message_id)
    await talk.update(intent, 3, "armed", paused=True, request_id=message_id, next_run_at=intent.next_run_at)
    card = (await talk.answer(message_id))["card"]
    assert card["status"] == "paused"
    assert "Resume" in actions_of(card)
    message_id = await talk.say(alice, actions_of(card)["Resume"]["command"])
    await talk.published(IntentResumeV1)
    await talk.update(intent, 4, "armed", paused=False, request_id=message_id, next_run_at=intent.next_run_at)
    assert (await talk.answer(message_id))["card"]["status"] == "scheduled"
    message_id = await talk.say(alice, f"/recurring pause {intent.intent_id}")
    await talk.published(IntentPauseV1, 2)
    await talk.broker.probe.publish(
        talk.build(
            IntentRejectedV1,
            intent_id=intent.intent_id,
            user_id=alice.user_id,
            request_id=message_id,
            command="pause",
            code="not_pausable",
            detail="Too late.",
        )
    )
    card = (await talk.answer(message_id))["card"]
    assert (card["status"], card["notes"]) == ("not_pausable", ["Too late."])


async def test_the_zone_is_that_of_the_account(talk: Conversation, alice: Person) -> None:
    await talk.register(alice)
    await set_zone(talk, alice)
    assert rows_of(await talk.ask(alice, "/settings"))["Time zone"] == "Europe/Berlin"
    await tell_account(talk, alice, "Asia/Tokyo")
    await eventually(lambda: talk.fetch("SELECT 1 FROM user_account WHERE time_zone = 'Asia/Tokyo'"))
    assert rows_of(await talk.ask(alice, "/settings"))["Time zone"] == "Asia/Tokyo"
    card = await talk.ask(alice, "/settings currency EUR")
    assert (card["status"], "USD" in card["title"]) == ("currency_unknown", True)
    assert rows_of(await talk.ask(alice, "/settings currency usd"))["Currency"] == "USD"


async def test_a_zone_that_accounts_refuse_is_not_set(talk: Conversation, alice: Person) -> None:
    message_id = await talk.say(alice, "/settings zone Europe/Berlin")
    await talk.published(UserSetTimeZoneV1)
    await talk.broker.probe.publish(
        talk.build(
            UserRejectedV1,
            user_id=alice.user_id,
            request_id=message_id,
            command="set_time_zone",
            code="time_zone_unknown",
            detail="There is none.",
        )
    )
    card = (await talk.answer(message_id))["card"]
    assert (card["title"], card["status"]) == ("Your time zone was not set.", "time_zone_unknown")
    assert rows_of(await talk.ask(alice, "/settings"))["Time zone"] == "UTC"
