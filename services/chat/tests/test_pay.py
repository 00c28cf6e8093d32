"""/pay: from the line to the preview, and everything that stops it."""

import pytest

from snowrail_chain.addresses import checksum_address
from snowrail_chat.domain.values import short_id
from snowrail_events import IntentCreatedV1, IntentCreateV1, PriceUpdatedV1
from snowrail_kit.ids import derived_id
from snowrail_testkit import Builder, eventually

from .support import (
    ALICE,
    BOB,
    CAROL,
    CHAIN_ID,
    ESCROW,
    NATIVE,
    USDC,
    Conversation,
    Person,
    actions_of,
    rows_of,
)


async def prepare(talk: Conversation, person: Person, line: str) -> tuple[IntentCreateV1, IntentCreatedV1]:
    """Have a payment accepted, and return the request and the intent."""
    await talk.say(person, line)
    command: IntentCreateV1 = await talk.published(IntentCreateV1)
    return command, await talk.create(command)


async def test_a_payment_in_the_native_coin_is_answered_by_its_preview(
    talk: Conversation, build: Builder, alice: Person, bob: Person
) -> None:
    await talk.register(alice, bob)
    await talk.broker.probe.publish(
        build(PriceUpdatedV1, symbol="CRO", currency="USD", price="0.0812", source="test")
    )
    message_id = await talk.say(alice, "/pay @bob 100 CRO")
    command: IntentCreateV1 = await talk.published(IntentCreateV1)
    assert command.intent_id == derived_id("intent", message_id)
    assert (command.payer, command.recipient, command.recipient_label) == (ALICE, BOB, "@bob")
    assert (command.token, command.amount, command.acknowledged) == (NATIVE, 100 * 10**18, ())
    assert await talk.feed(message_id) == []
    await talk.create(command)
    data = await talk.answer(message_id)
    card = data["card"]
    assert card["card_id"] == str(derived_id("card", command.intent_id))
    assert (card["status"], card["kind"], data["replaces"]) == ("awaiting_authorisation", "payment", None)
    rows = rows_of(card)
    assert rows["To"] == "@bob (0x7099…79C8)"
    assert rows["Address"] == BOB
    assert rows["Amount"] == rows["Total"] == "100 CRO (≈ 8.12 USD)"
    assert rows["Network fee"] == "0.0013 CRO (< 0.01 USD), paid by Snowrail"
    assert rows["Expected time"] == "about 6 s after your wallet has sent the funding transaction"
    sign = actions_of(card)["Sign"]["sign"]
    assert sign["kind"] == "transaction"
    assert sign["transaction"] == {
        "chain_id": CHAIN_ID, "to": ESCROW, "data": "0x01", "value": str(100 * 10**18), "purpose": "fund"
    }  # fmt: skip
    assert actions_of(card)["Cancel"]["command"] == f"/cancel {short_id(command.intent_id)}"
    assert actions_of(card)["Edit"] == {
        "label": "Edit", "command": "/pay @bob 100 CRO", "style": "secondary", "sign": None, "draft": True
    }  # fmt: skip
    assert "first payment to this address" in card["notes"][0]
    assert data["text"].startswith("Pay 100 CRO to @bob (0x7099…79C8) [awaiting authorisation]\n")
    assert BOB in data["text"]


async def test_a_token_is_signed_for_and_approved_first_where_needed(
    talk: Conversation, alice: Person
) -> None:
    message_id = await talk.say(alice, f"/pay {BOB} 1.5 usdc")
    command: IntentCreateV1 = await talk.published(IntentCreateV1)
    assert (command.token, command.amount, command.recipient_label) == (f"{CHAIN_ID}:{USDC}", 1_500_000, "")
    approval = {"chain_id": CHAIN_ID, "to": USDC, "data": "0x02", "value": 0, "purpose": "approve"}
    intent = await talk.create(command, approval=approval)
    card = (await talk.answer(message_id))["card"]
    actions = actions_of(card)
    assert list(actions) == ["Approve USDC", "Sign", "Edit", "Cancel"]
    assert actions["Approve USDC"]["sign"]["transaction"]["to"] == USDC
    document = actions["Sign"]["sign"]["typed_data"]
    assert document["domain"]["verifyingContract"] == ESCROW
    assert document["message"]["amount"] == "1500000"
    assert document["message"]["salt"] == intent.order.salt
    assert rows_of(card)["Amount"] == "1.5 USDC (price unavailable)"
    assert [step["label"] for step in card["steps"]][:3] == [
        "Preparation",
        "Token approval",
        "Your signature",
    ]


async def test_old_prices_are_called_stale(talk: Conversation, build: Builder, alice: Person) -> None:
    await talk.broker.probe.publish(
        build(PriceUpdatedV1, symbol="CRO", currency="USD", price="2", source="test")
    )
    await eventually(lambda: talk.fetch("SELECT 1 FROM price"))
    talk.clock.advance(600)
    message_id = await talk.say(alice, f"/pay {BOB} 1")
    await talk.create(await talk.published(IntentCreateV1))
    card = (await talk.answer(message_id))["card"]
    assert rows_of(card)["Amount"] == "1 CRO (≈ 2.00 USD, price stale (10 min old))"


@pytest.mark.parametrize(
    ("code", "label", "word"),
    [("duplicate_payment", "Pay again", "duplicate"), ("lookalike_address", "Pay this address", "lookalike")],
)
async def test_a_warning_offers_the_command_with_its_acknowledgement(
    talk: Conversation, alice: Person, code: str, label: str, word: str
) -> None:
    message_id = await talk.say(alice, f"/pay {BOB} 1 CRO")
    await talk.reject(await talk.published(IntentCreateV1), code, "Look twice.")
    data = await talk.answer(message_id)
    action = actions_of(data["card"])[label]
    assert action["command"] == f"/pay {BOB} 1 CRO --acknowledge {word}"
    assert (data["card"]["status"], data["card"]["notes"]) == (code, ["Look twice."])
    await talk.say(alice, action["command"])
    assert (await talk.published(IntentCreateV1, 2)).acknowledged == (code,)


async def test_any_other_refusal_is_told_and_can_be_edited(talk: Conversation, alice: Person) -> None:
    message_id = await talk.say(alice, f"/pay {BOB} 1 CRO")
    await talk.reject(await talk.published(IntentCreateV1), "insufficient_funds", "Your wallet holds 0 CRO.")
    card = (await talk.answer(message_id))["card"]
    assert card["notes"] == ["Your wallet holds 0 CRO."]
    assert actions_of(card)["Edit"]["draft"] is True


@pytest.mark.parametrize(
    ("line", "status", "suggestion"),
    [
        (f"/pay {ALICE} 1", "same_account", None),
        ("/pay @alice 1", "same_account", None),
        ("/pay @nobody 1", "user_unknown", None),
        ("/pay bob 1", "contact_unknown", "/pay @bob 1"),
        ("/pay nobody 1", "contact_unknown", None),
        (f"/pay {BOB} 1.1234567 USDC", "amount_too_precise", None),
        (f"/pay {BOB.lower()} 1", "address_checksum_missing", f"/pay {BOB} 1"),
    ],
)
async def test_refused_before_the_intent_service_is_asked(
    talk: Conversation, alice: Person, bob: Person, line: str, status: str, suggestion: str | None
) -> None:
    await talk.register(alice, bob)
    card = await talk.ask(alice, line)
    assert (card["kind"], card["status"]) == ("error", status)
    shown, mark = rows_of(card)["Line"].split("\n")
    assert shown == line
    assert shown[mark.index("^") : len(mark)] in line.split(" ")
    assert [action["command"] for action in card["actions"]] == ([suggestion] if suggestion else [])
    assert await talk.broker.probe.count(IntentCreateV1) == 0


async def test_a_name_that_two_users_claim_is_paid_to_neither(
    talk: Conversation, alice: Person, bob: Person
) -> None:
    await talk.register(alice, bob, Person("bob", CAROL))
    assert (await talk.ask(alice, "/pay @bob 1"))["status"] == "user_ambiguous"


async def test_a_contact_is_paid_by_its_name(talk: Conversation, alice: Person, bob: Person) -> None:
    await talk.register(alice, bob)
    assert (await talk.ask(alice, '/contacts add "Rent Account" @bob'))["title"] == "Saved Rent Account"
    await talk.say(alice, '/pay "rent account" 1')
    command: IntentCreateV1 = await talk.published(IntentCreateV1)
    assert (command.recipient, command.recipient_label) == (BOB, "Rent Account")


async def test_an_address_that_imitates_a_contact_needs_an_acknowledgement(
    talk: Conversation, alice: Person
) -> None:
    imitation = checksum_address(bytes.fromhex(f"7099{'0' * 32}79c8"))
    await talk.ask(alice, f"/contacts add bob {BOB}")
    card = await talk.ask(alice, f"/pay {imitation} 5")
    assert card["status"] == "lookalike_address"
    assert rows_of(card) == {"You know": BOB, "This is": imitation}
    assert await talk.broker.probe.count(IntentCreateV1) == 0
    await talk.say(alice, card["actions"][0]["command"])
    command: IntentCreateV1 = await talk.published(IntentCreateV1)
    assert (command.recipient, command.acknowledged) == (imitation, ("lookalike_address",))
