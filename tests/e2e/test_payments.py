"""People pay each other: typed, signed in their wallets, cleared on a real chain, seen over WebSockets."""

import asyncio
import json
from typing import Any

from websockets.asyncio.client import connect

from snowrail_client import Event, SnowrailClient
from snowrail_local.stack import Stack
from snowrail_testkit import eventually

from .people import PATIENCE_SECONDS, NewPerson, Person

NAMES = {
    "intent:created",
    "tx:pending",
    "tx:confirmed",
    "intent:executed",
    "payment_processed",
    "chat:message",
}
CRO = 10**18
USDC = 10**6


async def collect(person: Person, events: list[Event]) -> None:
    """Add each event of somebody's feed to a list, until cancelled."""
    async for event in person.client.connection.events():
        events.append(event)  # noqa: PERF401 - the list is read while it grows


async def test_native_payment_clears_and_both_are_told(new_person: NewPerson) -> None:
    alice, bob = await asyncio.gather(new_person(cro=20), new_person())
    before = await bob.balance("CRO")
    card = await alice.pay(bob, "7.5", "CRO")
    assert card.card.status == "awaiting_authorisation"
    assert bob.address in card.text
    intent = await alice.created_intent(card)
    await alice.sign(card)
    final = await alice.until_final(intent["intent_id"])
    assert await bob.balance("CRO") - before == 75 * CRO // 10
    received = await bob.client.connection.wait_for(
        "notification", lambda item: item.data["type"] == "payment_received", PATIENCE_SECONDS
    )
    assert received.data["message"] == f"7.5 CRO arrived from @{alice.handle}."
    await alice.until_status(intent["intent_id"], "completed")
    shown = await alice.say(f"/status {intent['intent_id'][:8]}")
    assert final["tx_hash"] in shown.text


async def test_erc20_payment_needs_one_approval_and_one_signature(new_person: NewPerson) -> None:
    alice, bob = await asyncio.gather(new_person(cro=1, usdc=500), new_person())
    first = await alice.pay(bob, "120.25", "USDC")
    assert [action.label for action in first.card.signing_actions] == ["Approve USDC", "Sign"]
    intent = await alice.created_intent(first)
    await alice.sign(first)
    await alice.until_final(intent["intent_id"])
    assert await bob.balance("USDC") == 12_025 * USDC // 100
    assert await alice.balance("USDC") == 500 * USDC - 12_025 * USDC // 100


async def test_events_have_the_names_and_order_of_the_product(new_person: NewPerson) -> None:
    alice, bob = await asyncio.gather(new_person(cro=1, usdc=50), new_person())
    events: list[Event] = []
    watching = asyncio.ensure_future(collect(alice, events))
    card = await alice.say(f"/pay {bob.address} 5 USDC")
    intent = await alice.created_intent(card)
    await alice.sign(card)
    await alice.until_final(intent["intent_id"])
    await alice.until_status(intent["intent_id"], "completed")

    async def all_seen() -> bool:
        return {event.name for event in events} >= NAMES

    await eventually(all_seen)
    watching.cancel()
    seen = [event.name for event in events]
    assert seen.index("intent:created") < seen.index("tx:pending") < seen.index("intent:executed")


async def test_cancelled_before_signing_nothing_was_moved(new_person: NewPerson) -> None:
    alice, bob = await asyncio.gather(new_person(cro=5), new_person())
    card = await alice.pay(bob, "2", "CRO")
    intent = await alice.created_intent(card)
    await alice.say(f"/cancel {intent['intent_id'][:8]}")
    await alice.until_status(intent["intent_id"], "cancelled")
    again = await alice.say(f"/cancel {intent['intent_id'][:8]}")
    assert "cancelled already" in again.text


async def test_a_funded_payment_is_cancelled_on_chain_and_the_deposit_comes_back(
    stack: Stack, new_person: NewPerson
) -> None:
    alice, bob = await asyncio.gather(new_person(cro=10), new_person())
    card = await alice.pay(bob, "4", "CRO")
    intent = await alice.created_intent(card)
    # nothing executes while routing is away: the payment waits where its payer can still stop it
    await asyncio.to_thread(stack.kill, "routing", stay_down=True)
    try:
        await alice.sign(card)
        await alice.until_status(intent["intent_id"], "due")
        before = await alice.balance("CRO")
        offer = await alice.say(f"/withdraw {intent['intent_id'][:8]}")
        await alice.sign(offer)
        ready = await alice.client.connection.wait_for(
            "notification", lambda item: item.data["type"] == "withdrawal_ready", PATIENCE_SECONDS
        )
        await alice.until_status(intent["intent_id"], "cancelled")
    finally:
        await asyncio.to_thread(stack.start_service, "routing")
    assert "4 CRO went back" in ready.data["message"]
    assert await alice.balance("CRO") > before + 3 * CRO
    assert await bob.balance("CRO") == 0


async def test_a_client_that_comes_back_missed_nothing_and_sees_nothing_twice(
    stack: Stack, new_person: NewPerson
) -> None:
    """Over a bare WebSocket: the client library would hide a copy."""
    alice, bob = await asyncio.gather(new_person(cro=1, usdc=90), new_person())
    frames: list[dict[str, Any]] = []
    listening = asyncio.ensure_future(listen(stack, bob, None, frames))
    await eventually(lambda: arrived(frames, "auth:success", 1))
    await pay_and_wait(alice, bob, "1")
    await eventually(lambda: arrived(frames, "payment_processed", 1))
    listening.cancel()
    position = next(item["position"] for item in reversed(frames) if "position" in item)
    for amount in ("2", "3"):
        await pay_and_wait(alice, bob, amount)
    listening = asyncio.ensure_future(listen(stack, bob, position, frames))
    await eventually(lambda: arrived(frames, "auth:success", 2))
    await pay_and_wait(alice, bob, "4")
    await eventually(lambda: arrived(frames, "payment_processed", 4))
    listening.cancel()
    amounts = [item["data"]["amount"] for item in frames if item["type"] == "payment_processed"]
    assert amounts == [str(number * USDC) for number in (1, 2, 3, 4)]
    ids = [item["id"] for item in frames if "position" in item and "id" in item]
    assert len(set(ids)) == len(ids)


async def pay_and_wait(payer: Person, recipient: Person, usdc: str) -> None:
    """Pay whole USDC and wait until it is final."""
    card = await payer.pay(recipient, usdc, "USDC")
    intent = await payer.created_intent(card)
    await payer.sign(card)
    await payer.until_final(intent["intent_id"])


async def listen(stack: Stack, person: Person, position: str | None, frames: list[dict[str, Any]]) -> None:
    """Add every frame of a bare WebSocket to a list, until cancelled."""
    async with connect("ws" + stack.origin.removeprefix("http") + "/ws") as socket:
        token = await person.client.access_token()
        await socket.send(json.dumps({"type": "auth", "token": token, "position": position}))
        async for frame in socket:
            frames.append(json.loads(frame))  # noqa: PERF401 - the list is read while it grows


async def arrived(frames: list[dict[str, Any]], kind: str, count: int) -> bool:
    """Whether so many frames of a type have arrived."""
    return sum(item["type"] == kind for item in frames) >= count


async def test_two_devices_of_a_user_see_the_same(stack: Stack, new_person: NewPerson) -> None:
    alice, bob = await asyncio.gather(new_person(cro=3), new_person())
    async with SnowrailClient(stack.origin) as phone:
        await phone.sign_in(alice.wallet, alice.chain.chain_id)
        await phone.connect()
        card = await alice.pay(bob, "1", "CRO")
        await phone.connection.wait_for(
            "chat:message", lambda item: item.data["text"] == card.text, PATIENCE_SECONDS
        )
        notice = await alice.client.connection.wait_for(
            "notification", lambda item: item.data["type"] == "security_alert", PATIENCE_SECONDS
        )
        await alice.client.connection.mark_read(notice.data["id"])
        read = await phone.connection.wait_for("notification:read", timeout_seconds=PATIENCE_SECONDS)
        assert notice.data["id"] in read.data["ids"]
