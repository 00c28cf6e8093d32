"""Dialogues: asked one by one, kept over restarts, left at any time."""

from datetime import timedelta
from uuid import uuid4

from snowrail_chat.app import service
from snowrail_chat.settings import Settings
from snowrail_events import FeedEventV1, IntentCreateV1
from snowrail_testkit import Broker, Builder, FakeClock, running_service

from .support import BOB, Conversation, Person, actions_of, rows_of


async def test_a_dialogue_asks_for_what_is_missing(talk: Conversation, alice: Person) -> None:
    card = await talk.ask(alice, "/recurring setup")
    assert (card["kind"], card["progress"]) == ("dialogue", {"done": 0, "total": 6})
    assert "Who is paid?" in card["title"]
    assert "How much" in (await talk.ask(alice, BOB))["title"]
    card = await talk.ask(alice, "1,50")
    assert card["status"] == "amount_malformed"
    assert rows_of(card)["Answer"] == "1,50\n^^^^"
    assert [action["command"] for action in card["actions"]][:2] == ["1.50", "150"]
    card = await talk.ask(alice, "1.50")
    assert actions_of(card)["Skip"]["command"] == "skip"
    assert "How often?" in (await talk.ask(alice, "SKIP"))["title"]
    assert "How many" in (await talk.ask(alice, "friday at 18:00"))["title"]
    card = await talk.ask(alice, "12")
    assert rows_of(card) == {
        "to": BOB, "amount": "1.50", "every": "every week on friday at 18:00", "for": "for 12 times"
    }  # fmt: skip
    await talk.say(alice, "skip")
    command: IntentCreateV1 = await talk.published(IntentCreateV1)
    assert command.recurrence is not None
    assert (command.recurrence.weekday, command.recurrence.count) == (4, 12)
    assert (command.amount, command.recurrence.end_at) == (15 * 10**17, None)
    assert (await talk.ask(alice, "thanks"))["status"] == "not_a_command"


async def test_what_is_said_at_once_is_not_asked_again(talk: Conversation, alice: Person) -> None:
    card = await talk.ask(alice, f"/recurring setup {BOB} 5 USDC --missed all")
    assert "How often?" in card["title"]
    await talk.ask(alice, "every day at 9:00")
    await talk.ask(alice, "3 times")
    await talk.say(alice, "until 2030-01-01")
    command: IntentCreateV1 = await talk.published(IntentCreateV1)
    assert command.recurrence is not None
    assert (command.recurrence.missed, command.recurrence.count) == ("run_all", 3)


async def test_an_error_points_into_the_command_that_a_dialogue_made(
    talk: Conversation, alice: Person
) -> None:
    for line in ("/recurring setup @nobody 5 CRO", "every day at 9:00", "skip"):
        await talk.ask(alice, line)
    card = await talk.ask(alice, "skip")
    assert card["status"] == "user_unknown"
    line, caret = rows_of(card)["Line"].split("\n")
    assert line == "/recurring setup @nobody 5 CRO every day at 09:00"
    assert line[caret.index("^") :].startswith("@nobody")


async def test_a_set_of_payments_is_collected(talk: Conversation, alice: Person) -> None:
    assert "What do you call it?" in (await talk.ask(alice, "/template save"))["title"]
    card = await talk.ask(alice, "pay roll")
    assert "Whom does it pay?" in card["title"]
    assert rows_of(card) == {"name": '"pay roll"'}
    assert (await talk.ask(alice, f"{BOB}"))["status"] == "argument_missing"
    await talk.ask(alice, f"{BOB} 5 USDC")
    card = await talk.ask(alice, f'"Rent account" 7; {BOB} 8')
    assert rows_of(card)["payments"] == f'{BOB} 5 USDC; "Rent account" 7; {BOB} 8'
    card = await talk.ask(alice, "done")
    assert (card["kind"], card["title"]) == ("template", "Saved pay roll")
    assert len(card["rows"]) == 3


async def test_a_dialogue_can_be_left(talk: Conversation, alice: Person) -> None:
    await talk.ask(alice, "/recurring setup")
    card = await talk.ask(alice, "/cancel")
    assert (card["status"], card["title"]) == ("left", "You left /recurring setup; nothing came of it.")
    assert (await talk.ask(alice, "/cancel"))["status"] == "argument_missing"
    await talk.ask(alice, "/recurring setup")
    assert "You left /recurring setup" in (await talk.ask(alice, "/help"))["notes"][-1]
    assert (await talk.ask(alice, "@bob"))["status"] == "not_a_command"
    await talk.ask(alice, "/recurring setup")
    message_id = await talk.say(alice, f"/pay {BOB} 1")
    await talk.create(await talk.published(IntentCreateV1))
    assert "You left /recurring setup" in (await talk.answer(message_id))["card"]["notes"][-1]


async def test_a_mistyped_command_does_not_leave_a_dialogue(talk: Conversation, alice: Person) -> None:
    await talk.ask(alice, "/recurring setup")
    assert (await talk.ask(alice, "/staus"))["status"] == "unknown_command"
    assert "How much" in (await talk.ask(alice, BOB))["title"]


async def test_lines_of_one_batch_are_a_dialogue_in_their_order(talk: Conversation, alice: Person) -> None:
    for line in ("/recurring setup", BOB, "5", "skip", "every day at 9:00", "skip", "skip"):
        await talk.say(alice, line)
        talk.clock.advance(timedelta(milliseconds=1))
    command: IntentCreateV1 = await talk.published(IntentCreateV1)
    assert command.recurrence is not None
    assert command.amount == 5 * 10**18


async def test_a_dialogue_survives_a_restart(
    broker: Broker, build: Builder, clock: FakeClock, settings: Settings, alice: Person
) -> None:
    async with running_service(service, settings, clock) as running:
        await Conversation(broker, build, clock, running).ask(alice, f"/recurring setup {BOB} 5")
    async with running_service(service, settings, clock) as running:
        talk = Conversation(broker, build, clock, running)
        assert "How often?" in (await talk.ask(alice, "CRO"))["title"]
        await talk.say(alice, "nonsense", uuid4())
        assert await talk.published(FeedEventV1, 3)
