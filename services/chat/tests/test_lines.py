"""Lines as such: each is answered exactly once, within limits, by those who may."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest

from snowrail_chat.domain import registry
from snowrail_chat.domain.registry import COMMANDS
from snowrail_chat.settings import Settings
from snowrail_events import (
    FeedEventV1,
    GasPriceUpdatedV1,
    IntentCreateV1,
    PaymentSucceededV1,
    UserUpdatedV1,
)
from snowrail_testkit import eventually

from .support import BOB, TX, Conversation, Neighbours, Person, actions_of, created, rows_of


async def test_a_line_that_is_repeated_is_answered_once(talk: Conversation, alice: Person) -> None:
    message_id = uuid4()
    for _ in range(3):
        await talk.say(alice, f"/pay {BOB} 1", message_id)
    await talk.say(alice, "/help", message_id)
    await talk.ask(alice, "/help")
    await talk.published(IntentCreateV1)
    assert await talk.broker.probe.count(IntentCreateV1) == 1
    assert len(await talk.feed()) == 1


async def test_every_line_has_one_answer_whatever_it_says(talk: Conversation, alice: Person) -> None:
    lines = [
        "hello",
        "/nope",
        "/pay",
        "/help pay",
        "/history",
        "/contacts",
        "/status",
        "/help nope",
        "\0",
        "/pay @x\0",
    ]
    ids = [await talk.say(alice, line) for line in lines]
    await talk.published(FeedEventV1, len(lines))
    answered = [event.data["in_reply_to"] for event in await talk.feed()]
    assert sorted(answered) == sorted(str(message_id) for message_id in ids)
    rows = await talk.fetch("SELECT in_reply_to FROM message WHERE author = 'snowrail'")
    assert {row["in_reply_to"] for row in rows} == set(ids)


async def test_a_batch_of_many_kinds_is_answered_in_full(talk: Conversation, bob: Person) -> None:
    people = [Person(f"user{number}", BOB) for number in range(20)]
    lines = [
        "/help",
        "/status",
        "/wallet",
        "/history 5",
        "/contacts",
        "/confirm",
        "/cancel abcd",
        f"/pay {BOB} 1",
    ]
    for person in people:
        for line in lines:
            await talk.say(person, line)
    await talk.published(FeedEventV1, len(people) * len(lines))
    assert await talk.broker.probe.count(FeedEventV1) == len(people) * len(lines)


async def test_commands_are_limited_per_user_and_say_when(
    talk: Conversation, alice: Person, bob: Person
) -> None:
    for _ in range(10):
        await talk.say(alice, f"/pay {BOB} 1")
    card = await talk.ask(alice, f"/pay {BOB} 1")
    assert (card["kind"], card["status"]) == ("limit", "rate_limited")
    assert card["title"] == "Too many /pay commands: at most 10 per minute."
    assert rows_of(card)["Try again"] == "in 66 s"
    assert actions_of(card)["Try again"]["command"] == f"/pay {BOB} 1"
    await talk.published(IntentCreateV1, 10)
    assert await talk.broker.probe.count(IntentCreateV1) == 10
    assert (await talk.ask(alice, "/help"))["kind"] == "help"
    await talk.say(bob, "/pay @nobody 1")
    talk.clock.advance(66)
    await talk.say(alice, f"/pay {BOB} 1")
    await talk.published(IntentCreateV1, 11)


async def test_messages_are_limited_whatever_they_are(talk: Conversation, alice: Person) -> None:
    ids = [await talk.say(alice, "hello") for _ in range(53)]
    await talk.published(FeedEventV1, 53)
    cards = [(await talk.answer(message_id))["card"] for message_id in (*ids[:1], *ids[49:])]
    assert [card["kind"] for card in cards] == ["error", "error", "limit", "limit", "limit"]


async def test_a_command_needs_its_role(
    talk: Conversation, alice: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = replace(COMMANDS[0], roles=frozenset({"business"}))
    monkeypatch.setitem(registry._BY_NAME, "pay", spec)  # pyright: ignore[reportPrivateUsage]
    card = await talk.ask(alice, f"/pay {BOB} 1")
    assert (card["status"], card["title"]) == ("role_required", "/pay needs the role business.")
    assert await talk.broker.probe.count(IntentCreateV1) == 0
    await talk.say(replace(alice, roles=("user", "business")), f"/pay {BOB} 1")
    await talk.published(IntentCreateV1)


async def test_who_waits_long_is_told_and_then_answered_in_place(
    talk: Conversation, alice: Person, settings: Settings
) -> None:
    message_id = await talk.say(alice, f"/pay {BOB} 1")
    command: IntentCreateV1 = await talk.published(IntentCreateV1)
    talk.clock.advance(settings.waiting_notice_seconds + 1)
    waiting = await talk.answer(message_id)
    assert (waiting["card"]["status"], waiting["card"]["title"]) == ("working", "Preparing your payment")
    await talk.create(command)
    data = await talk.answer(message_id, 2)
    assert data["message_id"] == waiting["message_id"]
    assert data["replaces"] == waiting["card"]["card_id"]
    assert data["card"]["status"] == "awaiting_authorisation"
    rows = await talk.fetch("SELECT 1 FROM message WHERE in_reply_to = $1", message_id)
    assert len(rows) == 1


async def test_the_wallet_shows_balances_and_what_they_are_worth(
    talk: Conversation, alice: Person, neighbours: Neighbours
) -> None:
    native = "0x0000000000000000000000000000000000000000"
    neighbours.balances[alice.address, native] = 5 * 10**18
    card = await talk.ask(alice, "/wallet")
    rows = rows_of(card)
    assert (rows["Address"], rows["CRO"]) == (alice.address, "5 CRO (price unavailable)")
    assert (rows["USDC"], rows["Total"]) == ("0 USDC (price unavailable)", "price unavailable")
    assert actions_of(card)["Send"] == {
        "label": "Send", "command": "/pay ", "style": "primary", "sign": None, "draft": True
    }  # fmt: skip


async def test_balances_of_a_batch_are_asked_for_once(
    talk: Conversation, alice: Person, bob: Person, neighbours: Neighbours
) -> None:
    neighbours.delay_seconds = 0.1
    await asyncio.gather(*(talk.say(person, "/wallet") for person in 10 * [alice, bob]))
    await talk.published(FeedEventV1, 20)
    assert neighbours.requests < 10


@pytest.mark.parametrize("read_timeout_seconds", [0.3])
@pytest.mark.parametrize(("delay", "status"), [(5.0, 200), (0.0, 503)])
async def test_a_chain_monitor_that_does_not_answer_delays_nobody(
    talk: Conversation, alice: Person, bob: Person, neighbours: Neighbours, delay: float, status: int
) -> None:
    neighbours.delay_seconds, neighbours.status = delay, status
    wallet = await talk.say(alice, "/wallet")
    await talk.say(bob, f"/pay {alice.address} 1")
    await talk.published(IntentCreateV1)
    card = (await talk.answer(wallet))["card"]
    assert card["status"] == "unavailable"
    assert "cannot be read now" in card["notes"][0]
    neighbours.delay_seconds, neighbours.status = 0.0, 200

    async def recovered() -> bool:
        return (await talk.ask(alice, "/wallet"))["status"] is None

    await eventually(recovered)


async def test_history_shows_both_directions(talk: Conversation, alice: Person, bob: Person) -> None:
    await talk.register(alice, bob)
    assert (await talk.ask(alice, "/history"))["title"] == "No payments yet"
    await talk.say(alice, "/pay @bob 3")
    intent = await talk.create(await talk.published(IntentCreateV1))
    await talk.pay(intent, PaymentSucceededV1, version=3, tx_hash=TX, attempt=1)
    back = created(
        talk.build,
        talk.build(
            IntentCreateV1, user_id=bob.user_id, payer=BOB, recipient=alice.address, token=intent.token
        ),
    )
    await talk.broker.probe.publish(back)
    await talk.pay(back, PaymentSucceededV1, version=3, tx_hash=TX, attempt=1, amount=10**18)

    async def paid() -> bool:
        return len(await talk.fetch("SELECT 1 FROM payment WHERE status = 'succeeded'")) == 2

    await eventually(paid)
    card = await talk.ask(alice, "/history 5")
    assert {row["value"] for row in card["rows"]} == {
        "-3 CRO to @bob (0x7099…79C8), succeeded",
        "+1 CRO from 0x7099…79C8, received",
    }
    assert len((await talk.ask(alice, "/history 1"))["rows"]) == 1
    assert len((await talk.ask(alice, "/wallet"))["rows"]) == 6


async def test_status_shows_the_account_and_what_is_open(talk: Conversation, alice: Person) -> None:
    await talk.say(alice, f"/pay {BOB} 3")
    await talk.create(await talk.published(IntentCreateV1))
    await talk.published(FeedEventV1)
    card = await talk.ask(alice, "/status")
    assert card["title"] == "1 open payment"
    assert rows_of(card)["Name"] == "@alice"
    assert "3 CRO to 0x7099…79C8, awaiting authorisation" in rows_of(card).values()
    assert card["actions"][0]["label"] == "Show 3 CRO"


async def test_help_explains_and_offers_examples(talk: Conversation, alice: Person) -> None:
    card = await talk.ask(alice, "/help")
    assert [row["label"] for row in card["rows"]] == [f"/{spec.name}" for spec in COMMANDS]
    card = await talk.ask(alice, "/help PAY")
    assert rows_of(card)["Limit"] == "10 per minute"
    assert card["actions"][0]["draft"] is True
    card = await talk.ask(alice, "/help contact")
    assert actions_of(card) == {"/help contacts": Any} or card["actions"][0]["command"] == "/help contacts"


async def test_contacts_are_kept_per_user(talk: Conversation, alice: Person, bob: Person) -> None:
    await talk.register(alice, bob)
    assert (await talk.ask(alice, "/contacts"))["title"] == "No contacts yet"
    assert (await talk.ask(alice, f"/contacts add Bobby {BOB}"))["title"] == "Saved Bobby"
    assert (await talk.ask(alice, "/contacts add bobby @bob"))["status"] == "name_taken"
    assert (await talk.ask(alice, "/contacts add other @bob"))["title"] == "Saved other"
    card = await talk.ask(alice, "/contacts list")
    assert rows_of(card) == {"Bobby": BOB, "other": f"{BOB} (@bob)"}
    assert (await talk.ask(bob, "/contacts"))["rows"] == []
    assert (await talk.ask(bob, "/contacts remove Bobby"))["status"] == "contact_unknown"
    assert (await talk.ask(alice, "/contacts remove BOBBY"))["title"] == "Removed BOBBY"
    assert len((await talk.ask(alice, "/contacts"))["rows"]) == 1


async def test_an_address_book_is_bounded(talk: Conversation, alice: Person) -> None:
    await talk.fetch(
        "INSERT INTO contact (user_id, key, name, address, added_at)"
        " SELECT $1, n::text, n::text, $2, now() FROM generate_series(1, 500) AS n",
        alice.user_id,
        BOB,
    )
    assert (await talk.ask(alice, f"/contacts add more {BOB}"))["status"] == "contacts_full"


async def test_what_owners_tell_is_known(talk: Conversation, alice: Person, bob: Person) -> None:
    await talk.register(alice, bob)
    later = talk.clock.advance(1)
    renamed = {"user_id": bob.user_id, "address": BOB, "handle": "robert"}
    for at, handle in ((later, "robert"), (later - timedelta(seconds=5), "stale")):
        await talk.broker.probe.publish(
            talk.build(UserUpdatedV1, **{**renamed, "handle": handle, "changed_at": at})
        )
    await talk.broker.probe.publish(
        talk.build(GasPriceUpdatedV1, gas_price=3 * 10**10, observed_at=talk.clock.now())
    )
    await eventually(lambda: talk.fetch("SELECT 1 FROM gas_price"))
    await eventually(lambda: talk.fetch("SELECT 1 FROM user_account WHERE handle = 'robert'"))
    assert (await talk.ask(alice, "/pay @bob 1"))["status"] == "user_unknown"
    message_id = await talk.say(alice, "/pay @robert 1")
    await talk.create(await talk.published(IntentCreateV1))
    card = (await talk.answer(message_id))["card"]
    assert rows_of(card)["Network fee"].startswith("0.0039 CRO")
