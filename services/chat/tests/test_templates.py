"""Sets of payments: kept, run once, shown in place until their end."""

from typing import Any
from uuid import UUID, uuid4

from snowrail_chain.addresses import checksum_address
from snowrail_events import FeedEventV1, IntentCreateV1, PaymentSucceededV1
from snowrail_kit.ids import derived_id
from snowrail_testkit import eventually

from .support import BOB, CAROL, TX, Conversation, Person, actions_of, rows_of


async def test_a_set_is_kept_replaced_listed_and_deleted(
    talk: Conversation, alice: Person, bob: Person
) -> None:
    card = await talk.ask(alice, f"/template save Payroll {BOB} 1 usdc; {CAROL} 2")
    assert card["title"] == "Saved Payroll"
    assert rows_of(card) == {"Payment 1": f"{BOB} 1 USDC", "Payment 2": f"{CAROL} 2"}
    assert (await talk.ask(alice, f"/template save payroll {BOB} 3"))["title"] == "Replaced payroll"
    listed = await talk.ask(alice, "/template")
    assert rows_of(listed) == {"payroll": f"{BOB} 3"}
    assert (await talk.ask(bob, "/template list"))["title"] == "No templates yet"
    assert (await talk.ask(bob, "/template run payroll"))["status"] == "template_unknown"
    assert (await talk.ask(bob, "/template delete payroll"))["status"] == "template_unknown"
    assert (await talk.ask(alice, "/template delete PAYROLL"))["title"] == "Deleted PAYROLL"
    assert (await talk.ask(alice, "/template list"))["rows"] == []


async def test_a_set_on_several_lines_is_read(talk: Conversation, alice: Person) -> None:
    card = await talk.ask(alice, f"/template save x {BOB} 1 CRO\n{CAROL} 2\n")
    assert len(card["rows"]) == 2


async def test_a_run_asks_for_each_payment_once(talk: Conversation, alice: Person) -> None:
    await talk.ask(alice, f"/template save payroll {BOB} 1; {CAROL} 2 USDC; @nobody 3; {alice.address} 4")
    message_id = uuid4()
    for _ in range(3):
        await talk.say(alice, "/template run payroll", message_id)
    data = await talk.answer(message_id)
    await talk.ask(alice, "/help")
    commands: list[IntentCreateV1] = await talk.broker.probe.collect(IntentCreateV1, 2)
    assert await talk.broker.probe.count(IntentCreateV1) == 2
    assert [command.intent_id for command in commands] == [
        derived_id("intent", message_id, 1),
        derived_id("intent", message_id, 2),
    ]
    card = data["card"]
    assert (card["status"], card["progress"]) == ("partly_refused", {"done": 0, "total": 4})
    rows = rows_of(card)
    assert rows["Payment 1"] == f"{BOB} 1: preparing"
    assert "refused (user unknown)" in rows["Payment 3"]
    assert "refused (same account)" in rows["Payment 4"]


async def last_card(talk: Conversation, message_id: UUID) -> dict[str, Any]:
    shown = await talk.feed(message_id)
    return shown[-1].data["card"] if shown else {}


async def test_a_run_is_shown_in_place_until_it_is_final(talk: Conversation, alice: Person) -> None:
    await talk.ask(alice, f"/template save payroll {BOB} 1; {CAROL} 2 USDC; {CAROL} 3")
    message_id = await talk.say(alice, "/template run payroll")
    first, second, third = await talk.broker.probe.collect(IntentCreateV1, 3)
    intents = [await talk.create(first), await talk.create(second)]
    await talk.reject(third, "insufficient_funds", "Your wallet holds too little.")

    async def offered() -> bool:
        card = await last_card(talk, message_id)
        return "insufficient" in str(card) and len(card["actions"]) == 2

    await eventually(offered)
    card = (await talk.feed(message_id))[-1].data["card"]
    actions = actions_of(card)
    assert list(actions) == ["Sign 1", "Sign 2"]
    assert actions["Sign 2"]["sign"]["typed_data"]["message"]["amount"] == "2000000"
    assert "Your wallet holds too little." in rows_of(card)["Payment 3"]
    assert "First payments to an address: 1, 2. Compare all 42 characters." in card["notes"]
    for intent in intents:
        await talk.pay(intent, PaymentSucceededV1, version=3, tx_hash=TX, attempt=1)

    async def final() -> bool:
        return (await last_card(talk, message_id))["progress"] == {"done": 2, "total": 3}

    await eventually(final)
    events: list[FeedEventV1] = await talk.feed(message_id)
    versions = [event.data["card"]["version"] for event in events]
    assert versions == sorted(versions)
    assert {event.data["card"]["card_id"] for event in events} == {str(derived_id("card", message_id))}
    assert {event.data["message_id"] for event in events} == {events[0].data["message_id"]}


async def test_a_payee_of_a_set_that_resembles_a_known_one_is_refused(
    talk: Conversation, alice: Person
) -> None:
    double = checksum_address(bytes.fromhex("709900970c51812dc3a010c7d01b50e0d17d79c8"))
    assert (await talk.ask(alice, f"/contacts add bob {BOB}"))["title"] == "Saved bob"
    await talk.ask(alice, f"/template save pay {double} 1")
    assert "refused (lookalike address)" in rows_of(await talk.ask(alice, "/template run pay"))["Payment 1"]
    assert await talk.broker.probe.count(IntentCreateV1) == 0
    await talk.say(alice, "/template run pay --acknowledge lookalike")
    command: IntentCreateV1 = await talk.published(IntentCreateV1)
    assert command.acknowledged == ("lookalike_address",)


async def test_sets_are_bounded(talk: Conversation, alice: Person) -> None:
    await talk.fetch(
        "INSERT INTO template (user_id, key, name, payments, saved_at)"
        " SELECT $1, n::text, n::text, $2, now() FROM generate_series(1, 100) AS n",
        alice.user_id,
        f"{BOB} 1",
    )
    assert (await talk.ask(alice, f"/template save more {BOB} 1"))["status"] == "templates_full"
    assert (await talk.ask(alice, f"/template save 7 {BOB} 2"))["title"] == "Replaced 7"
    many = "; ".join([f"{BOB} 1"] * 21)
    assert (await talk.ask(alice, f"/template save many {many}"))["status"] == "payments_too_many"
