"""A payment after its preview: signing, cards in place, cancelling, deposits."""

from typing import Any
from uuid import UUID, uuid4

import pytest
import pytest_asyncio

from snowrail_chat.domain.values import short_id
from snowrail_events import (
    ChatAnsweredV1,
    FeedEventV1,
    IntentAuthoriseV1,
    IntentCancelledV1,
    IntentCancelV1,
    IntentCreatedV1,
    IntentCreateV1,
    IntentRejectedV1,
    PaymentBlockedV1,
    PaymentCancelledV1,
    PaymentFailedV1,
    PaymentSucceededV1,
)
from snowrail_testkit import eventually

from .support import BOB, CHAIN_ID, ESCROW, TX, Conversation, Neighbours, Person, actions_of, rows_of

SIGNATURE = f"0x{'5a' * 65}"
_STORED_CARD = "SELECT card.card FROM message JOIN card USING (card_id) WHERE in_reply_to = $1"
APPROVAL = {"chain_id": CHAIN_ID, "to": ESCROW, "data": "0x02", "value": 0, "purpose": "approve"}


class Payment:
    """One payment with its preview shown."""

    def __init__(self, talk: Conversation, owner: Person, intent: IntentCreatedV1, message_id: UUID) -> None:
        self.talk = talk
        self.owner = owner
        self.intent = intent
        self.message_id = message_id
        self.id = short_id(intent.intent_id)

    async def shown(self, status: str) -> dict[str, Any]:
        """Return the data of the feed event in which the payment's card has this status."""

        async def arrived() -> Any:
            for event in await self.talk.feed(self.message_id):
                if event.data["card"]["status"] == status:
                    return event.data
            return None

        return await eventually(arrived)


async def start(talk: Conversation, person: Person, line: str, **changes: Any) -> Payment:
    message_id = await talk.say(person, line)
    intent = await talk.create(await talk.published(IntentCreateV1), **changes)
    payment = Payment(talk, person, intent, message_id)
    await payment.shown("awaiting_authorisation")
    return payment


@pytest_asyncio.fixture(loop_scope="session")
async def token_payment(talk: Conversation, alice: Person) -> Payment:
    """A payment that is signed for."""
    return await start(talk, alice, f"/pay {BOB} 2 USDC")


@pytest_asyncio.fixture(loop_scope="session")
async def coin_payment(talk: Conversation, alice: Person) -> Payment:
    """A payment that is funded."""
    return await start(talk, alice, f"/pay {BOB} 2 CRO")


async def test_a_signature_goes_to_the_intent_service_which_answers(
    token_payment: Payment, alice: Person
) -> None:
    talk = token_payment.talk
    message_id = await talk.say(alice, f"/confirm {token_payment.id} {SIGNATURE}")
    command: IntentAuthoriseV1 = await talk.published(IntentAuthoriseV1)
    assert (command.intent_id, command.request_id) == (token_payment.intent.intent_id, message_id)
    assert command.signature == SIGNATURE
    await talk.update(token_payment.intent, 2, "armed", request_id=message_id)
    data = await talk.answer(message_id)
    assert data["card"]["status"] == "armed"
    assert "Sign" not in actions_of(data["card"])
    assert data["card"]["version"] > 1


async def test_a_card_in_telegram_follows_what_is_done_elsewhere(talk: Conversation, alice: Person) -> None:
    line = await talk.say(alice, f"/pay {BOB} 2 USDC", origin="telegram")
    intent = await talk.create(await talk.published(IntentCreateV1))
    await talk.answer(line)
    again = await talk.say(alice, f"/preview {short_id(intent.intent_id)}", origin="telegram")
    await talk.answer(again)
    signed = await talk.say(alice, f"/confirm {short_id(intent.intent_id)} {SIGNATURE}")
    await talk.published(IntentAuthoriseV1)
    await talk.update(intent, 2, "armed", request_id=signed)
    assert (await talk.answer(signed))["card"]["status"] == "armed"
    await talk.update(intent, 3, "delayed", reason="earlier_payments")
    told = await talk.broker.probe.collect(ChatAnsweredV1, 6)
    assert [(item.in_reply_to, item.card["status"]) for item in told[:2]] == [
        (line, "awaiting_authorisation"),
        (again, "awaiting_authorisation"),
    ]
    for status, items in (("armed", told[2:4]), ("delayed", told[4:])):
        assert {(item.in_reply_to, item.card["status"]) for item in items} == {
            (line, status),
            (again, status),
        }


async def test_a_refused_signature_is_told(token_payment: Payment, alice: Person) -> None:
    talk = token_payment.talk
    message_id = await talk.say(alice, f"/confirm {SIGNATURE}")
    command: IntentAuthoriseV1 = await talk.published(IntentAuthoriseV1)
    await talk.broker.probe.publish(
        talk.build(
            IntentRejectedV1,
            intent_id=command.intent_id,
            user_id=alice.user_id,
            request_id=message_id,
            command="authorise",
            code="wrong_signature",
            detail="It was signed by another account.",
        )
    )
    card = (await talk.answer(message_id))["card"]
    assert (card["status"], card["notes"]) == ("wrong_signature", ["It was signed by another account."])
    assert actions_of(card)["Show payment"]["command"] == f"/status {token_payment.id}"


async def test_the_card_follows_the_payment_in_place(token_payment: Payment) -> None:
    talk, intent = token_payment.talk, token_payment.intent
    first = await token_payment.shown("awaiting_authorisation")
    await talk.update(intent, 2, "due")
    await talk.pay(intent, version=1, status="executing", step="submitted", tx_hash=TX)
    pending = await token_payment.shown("pending")
    assert pending["message_id"] == first["message_id"]
    assert pending["replaces"] == pending["card"]["card_id"] == first["card"]["card_id"]
    assert rows_of(pending["card"])["Transaction"] == TX
    assert rows_of(pending["card"])["Explorer"] == f"https://explorer.example/tx/{TX}"
    await talk.pay(intent, version=2, status="executing", step="included", tx_hash=TX)
    await token_payment.shown("confirmed")
    await talk.pay(intent, PaymentSucceededV1, version=3, tx_hash=TX, attempt=1, block_number=7)
    final = await token_payment.shown("final")
    assert final["card"]["progress"] == {"done": 6, "total": 6}
    assert final["card"]["actions"] == []
    assert rows_of(final["card"])["Block"] == "7"
    versions = [event.data["card"]["version"] for event in await talk.feed(token_payment.message_id)]
    assert versions == sorted(versions)
    stored = await talk.fetch(
        "SELECT card.card FROM message JOIN card USING (card_id) WHERE in_reply_to = $1",
        token_payment.message_id,
    )
    assert stored[0]["card"] == final["card"]


async def test_what_comes_late_or_twice_changes_nothing(token_payment: Payment) -> None:
    talk, intent = token_payment.talk, token_payment.intent
    await talk.pay(intent, PaymentSucceededV1, version=3, tx_hash=TX, attempt=1)
    await token_payment.shown("final")
    before = len(await talk.feed())
    await talk.pay(intent, version=2, status="executing", step="included", tx_hash=TX)
    await talk.update(intent, 1, "expired")
    marker = await talk.say(token_payment.owner, "/help")
    await talk.answer(marker)
    assert len(await talk.feed()) == before + 1
    card = await talk.ask(token_payment.owner, f"/status {token_payment.id}")
    assert card["status"] == "final"


async def test_events_that_come_before_their_intent_wait_for_it(talk: Conversation, alice: Person) -> None:
    message_id = await talk.say(alice, f"/pay {BOB} 2 USDC")
    command: IntentCreateV1 = await talk.published(IntentCreateV1)
    values = {"recipient": BOB, "token": command.token, "amount": command.amount, "payer": command.payer}
    early = talk.build(IntentCreatedV1, intent_id=command.intent_id, user_id=alice.user_id, **values)
    await talk.pay(early, version=1, status="executing", step="included", tx_hash=TX)
    await talk.update(early, 2, "due")

    async def parked() -> bool:
        return len(await talk.fetch("SELECT 1 FROM parked_message")) == 2

    await eventually(parked)
    intent = await talk.create(command)
    await Payment(talk, alice, intent, message_id).shown("confirmed")


@pytest.mark.parametrize(
    ("event", "values", "status", "reason"),
    [
        (PaymentFailedV1, {"code": "reverted", "detail": "It was refused."}, "failed", "It was refused."),
        (PaymentFailedV1, {"code": "rail_closed"}, "failed", "Rail closed."),
        (PaymentBlockedV1, {"reasons": ("new_payee", "velocity")}, "blocked", "New payee. Velocity."),
        (PaymentCancelledV1, {}, "cancelled", None),
    ],
)  # fmt: skip
async def test_an_end_without_payment_says_why(
    token_payment: Payment, event: type[Any], values: dict[str, Any], status: str, reason: str | None
) -> None:
    await token_payment.talk.pay(token_payment.intent, event, version=2, **values)
    card = (await token_payment.shown(status))["card"]
    assert rows_of(card).get("Reason") == reason
    assert "Sign" not in actions_of(card)


async def test_reasons_are_shown_while_somebody_looks_and_not_when_it_goes_on(token_payment: Payment) -> None:
    talk, intent = token_payment.talk, token_payment.intent
    reasons = ("new_payee", "velocity")
    await talk.pay(intent, version=1, status="review", step="review", reasons=reasons)
    held = (await token_payment.shown("review"))["card"]
    assert rows_of(held)["Reason"] == "New payee. Velocity."
    await talk.pay(intent, version=2, status="executing", step="submitted", reasons=reasons, tx_hash=TX)
    sent = (await token_payment.shown("pending"))["card"]
    assert "Reason" not in rows_of(sent)


async def test_a_failed_native_payment_offers_its_deposit_back(coin_payment: Payment) -> None:
    await coin_payment.talk.pay(coin_payment.intent, PaymentFailedV1, version=2, code="reverted")
    actions = actions_of((await coin_payment.shown("failed"))["card"])
    assert actions["Withdraw deposit"]["command"] == f"/withdraw {coin_payment.id}"


async def test_cancelling_off_chain_answers_and_updates(coin_payment: Payment, alice: Person) -> None:
    talk, intent = coin_payment.talk, coin_payment.intent
    message_id = await talk.say(alice, f"/cancel {coin_payment.id}")
    command: IntentCancelV1 = await talk.published(IntentCancelV1)
    assert (command.intent_id, command.request_id) == (intent.intent_id, message_id)
    await talk.update(intent, 2, "cancelled")
    card = (await talk.answer(message_id))["card"]
    assert card["status"] == "cancelled"
    assert card["actions"] == []
    stored = await talk.fetch(
        "SELECT card.card FROM message JOIN card USING (card_id) WHERE in_reply_to = $1",
        coin_payment.message_id,
    )
    assert stored[0]["card"]["status"] == "cancelled"


async def test_a_cancellation_fact_alone_answers_too(coin_payment: Payment, alice: Person) -> None:
    talk, intent = coin_payment.talk, coin_payment.intent
    message_id = await talk.say(alice, f"/cancel {coin_payment.id}")
    await talk.settled(message_id)
    await talk.broker.probe.publish(
        talk.build(IntentCancelledV1, intent_id=intent.intent_id, user_id=alice.user_id, on_chain=True)
    )
    card = (await talk.answer(message_id))["card"]
    assert (card["status"], rows_of(card)["Reason"]) == (
        "cancelled",
        "Cancelled on the chain: it can never execute.",
    )


async def test_a_cancellation_on_chain_is_offered_to_the_wallet(coin_payment: Payment, alice: Person) -> None:
    talk = coin_payment.talk
    message_id = await talk.say(alice, f"/cancel {coin_payment.id}")
    await talk.settled(message_id)
    step = {**APPROVAL, "data": "0x03", "purpose": "cancel"}
    await talk.update(coin_payment.intent, 2, "armed", request_id=message_id, next_step=step)
    action = actions_of((await talk.answer(message_id))["card"])["Cancel on chain"]
    assert (action["style"], action["sign"]["transaction"]["data"]) == ("danger", "0x03")


async def test_a_missing_approval_is_offered_after_the_signature(token_payment: Payment) -> None:
    talk = token_payment.talk
    await talk.update(
        token_payment.intent, 2, "awaiting_approval", reason="approval_missing", next_step=APPROVAL
    )
    card = (await token_payment.shown("awaiting_approval"))["card"]
    assert list(actions_of(card)) == ["Approve", "Cancel"]
    assert rows_of(card)["Reason"] == "The escrow may not move this token for you yet; approve it."


async def test_a_payment_that_is_funded_in_part_asks_for_the_rest(coin_payment: Payment) -> None:
    talk = coin_payment.talk
    await talk.update(coin_payment.intent, 2, "awaiting_authorisation", reason="funding_partial")

    async def changed() -> Any:
        return [e for e in await talk.feed(coin_payment.message_id) if e.data["card"]["version"] > 1]

    actions = actions_of((await eventually(changed))[0].data["card"])
    assert "Sign" not in actions
    assert actions["Deposit the rest"]["command"] == f"/deposit {coin_payment.id} "


async def test_terms_that_were_edited_elsewhere_are_not_signed_here(token_payment: Payment) -> None:
    talk, intent = token_payment.talk, token_payment.intent
    await talk.update(intent, 2, "awaiting_authorisation", amount=5, order_hash=f"0x{'9' * 64}")

    async def changed() -> Any:
        return [e for e in await talk.feed(token_payment.message_id) if e.data["card"]["version"] > 1]

    card = (await eventually(changed))[0].data["card"]
    assert "Sign" not in actions_of(card)
    assert "changed elsewhere" in " ".join(card["notes"])


async def test_confirm_and_status_show_the_card_again(coin_payment: Payment, alice: Person) -> None:
    talk = coin_payment.talk
    for line in (
        "/confirm",
        f"/confirm {coin_payment.id}",
        f"/preview {coin_payment.id}",
        f"/status {coin_payment.id}",
    ):
        message_id = await talk.say(alice, line)
        data = await talk.answer(message_id)
        assert data["replaces"] is None
        assert data["card"]["card_id"] == (await talk.answer(coin_payment.message_id))["card"]["card_id"]
        assert "Sign" in actions_of(data["card"])


async def test_confirm_asks_which_of_several(talk: Conversation, alice: Person) -> None:
    assert (await talk.ask(alice, "/confirm"))["status"] == "nothing_waits"
    first = await start(talk, alice, f"/pay {BOB} 1 CRO")
    await talk.say(alice, f"/pay {BOB} 2 CRO")
    second = await talk.create(await talk.published(IntentCreateV1, 2))
    await talk.published(FeedEventV1, 3)
    card = await talk.ask(alice, f"/confirm {SIGNATURE}")
    assert card["status"] == "choose"
    assert {action["command"] for action in card["actions"]} == {
        f"/confirm {first.id}", f"/confirm {short_id(second.intent_id)}"
    }  # fmt: skip


async def test_ids_are_resolved_per_user_and_never_guessed(
    coin_payment: Payment, alice: Person, bob: Person
) -> None:
    talk = coin_payment.talk
    assert (await talk.ask(bob, f"/status {coin_payment.id}"))["status"] == "id_unknown"
    assert (await talk.ask(alice, f"/status {coin_payment.intent.intent_id}"))[
        "status"
    ] == "awaiting_authorisation"
    twin = UUID(hex=coin_payment.intent.intent_id.hex[:8] + uuid4().hex[8:])
    await talk.broker.probe.publish(coin_payment.intent.model_copy(update={"intent_id": twin}))
    await eventually(lambda: talk.fetch("SELECT 1 FROM intent WHERE intent_id = $1", twin))
    card = await talk.ask(alice, f"/status {coin_payment.id}")
    assert card["status"] == "id_ambiguous"
    longer = coin_payment.intent.intent_id.hex[:16]
    assert (await talk.ask(alice, f"/status {longer}"))["status"] == "awaiting_authorisation"


def transaction(purpose: str, value: int = 0) -> dict[str, Any]:
    return {"chain_id": CHAIN_ID, "to": ESCROW, "data": "0x0a", "value": str(value), "purpose": purpose}


async def test_a_deposit_is_shown_for_the_wallet(
    coin_payment: Payment, alice: Person, neighbours: Neighbours
) -> None:
    half = 5 * 10**17
    neighbours.transactions["deposit", str(half)] = [transaction("deposit", half)]
    card = await coin_payment.talk.ask(alice, f"/deposit {coin_payment.id} 0.5")
    assert (card["status"], card["title"]) == ("awaiting_wallet", "Deposit 0.5 CRO")
    assert actions_of(card)["Sign"]["sign"]["transaction"] == transaction("deposit", half)
    assert "once the deposit covers its whole amount" in " ".join(card["notes"])
    assert neighbours.asked == [(str(coin_payment.intent.intent_id), "deposit", str(half))]


async def test_a_deposit_that_needs_an_approval_shows_both(
    token_payment: Payment, alice: Person, neighbours: Neighbours
) -> None:
    neighbours.transactions["deposit", "2000000"] = [transaction("approve"), transaction("deposit")]
    card = await token_payment.talk.ask(alice, f"/deposit {token_payment.id} 2")
    assert list(actions_of(card)) == ["Approve", "Sign", "Show payment"]
    assert "Approve first" in " ".join(card["notes"])


async def test_a_deposit_with_too_many_places_is_refused_before_anyone_is_asked(
    coin_payment: Payment, alice: Person, neighbours: Neighbours
) -> None:
    card = await coin_payment.talk.ask(alice, f"/deposit {coin_payment.id} 0.0000000000000000001")
    assert card["status"] == "amount_too_precise"
    assert neighbours.asked == []


@pytest.mark.parametrize(
    ("refusal", "status", "title", "word"),
    [
        (
            (422, "deposit_out_of_range", "Deposit between 1 and 7 atoms."),
            "deposit_out_of_range",
            "less",
            "2.5",
        ),
        ((409, "intent_closed", "It is closed."), "intent_closed", "It is closed.", "id"),
        ((503, "chain_unavailable", "Later."), "unavailable", "Try again shortly.", "id"),
    ],
)
async def test_a_deposit_that_is_refused_says_why(
    coin_payment: Payment,
    alice: Person,
    neighbours: Neighbours,
    refusal: tuple[int, str, str],
    status: str,
    title: str,
    word: str,
) -> None:
    neighbours.refusal = refusal
    line = f"/deposit {coin_payment.id} 2.5"
    card = await coin_payment.talk.ask(alice, line)
    assert card["status"] == status
    assert title in card["title"]
    marked = coin_payment.id if word == "id" else word
    assert rows_of(card)["Line"].split("\n")[1].index("^") == line.index(marked)


async def test_a_withdrawal_cancels_until_the_order_expires_and_returns_afterwards(
    coin_payment: Payment, alice: Person, neighbours: Neighbours
) -> None:
    talk = coin_payment.talk
    neighbours.transactions["cancel", None] = [transaction("cancel")]
    neighbours.transactions["return_expired", None] = [transaction("return_expired")]
    card = await talk.ask(alice, f"/withdraw {coin_payment.id}")
    assert list(actions_of(card)) == ["Withdraw", "Show payment"]
    talk.clock.set(coin_payment.intent.expires_at)
    talk.clock.advance(1)
    card = await talk.ask(alice, f"/withdraw {coin_payment.id}")
    assert actions_of(card)["Withdraw"]["sign"]["transaction"]["purpose"] == "return_expired"
    assert rows_of(card)["To"] == alice.address
    assert [purpose for _, purpose, _ in neighbours.asked] == ["cancel", "return_expired"]


@pytest.mark.parametrize("read_timeout_seconds", [0.3])
async def test_a_slow_intent_service_delays_no_other_line(
    coin_payment: Payment, alice: Person, bob: Person, neighbours: Neighbours
) -> None:
    talk = coin_payment.talk
    neighbours.delay_seconds = 5
    waiting = await talk.say(alice, f"/withdraw {coin_payment.id}")
    assert (await talk.ask(bob, "/help"))["kind"] == "help"
    assert (await talk.answer(waiting))["card"]["status"] == "unavailable"


async def test_what_came_back_is_shown(coin_payment: Payment) -> None:
    talk = coin_payment.talk
    await talk.update(coin_payment.intent, 2, "cancelled", refunded=2 * 10**18)
    card = (await coin_payment.shown("cancelled"))["card"]
    assert rows_of(card)["Returned"] == "2 CRO (price unavailable)"


async def test_an_intent_made_elsewhere_is_known_but_not_announced(talk: Conversation, alice: Person) -> None:
    command = talk.build(IntentCreateV1, user_id=alice.user_id, payer=alice.address, recipient=BOB)
    intent = await talk.create(command)
    await eventually(lambda: talk.fetch("SELECT 1 FROM intent"))
    card = await talk.ask(alice, f"/status {short_id(intent.intent_id)}")
    assert card["status"] == "awaiting_authorisation"
    assert len(await talk.feed()) == 1
