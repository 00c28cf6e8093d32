"""What is refused gets a precise answer and changes nothing."""

import asyncio
import time

import pytest
from eth_utils.address import to_checksum_address

from snowrail_client import ApiError, Reply, SnowrailClient, Wallet
from snowrail_local.stack import Stack

from .people import NewPerson


def refused(reply: Reply, *words: str) -> None:
    for word in words:
        assert word.lower() in reply.text.lower(), reply.text
    assert not reply.card.signing_actions


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("/pay", ["/pay", "<to>"]),
        ("/pya @someone 5 CRO", ["/pay"]),
        ("hello", ["/help"]),
        ("/pay @nobody_of_this_name 5 CRO", ["nobody_of_this_name"]),
        ("/pay {bob} 5 DOGE", ["DOGE", "CRO"]),
        ("/pay {bob} five CRO", ["five"]),
        ("/pay {bob} 1,000 CRO", ["1,000"]),
        ("/pay {bob} 1e3 CRO", ["1e3"]),
        ("/pay {bob} -5 CRO", ["-5"]),
        ("/pay {bob} 0 CRO", ["zero"]),
        ("/pay {bob} 0.0000001 USDC", ["decimal places"]),
        ('/pay "unclosed 5 CRO', ["quote"]),
        ("/pay {bob_lower} 5 CRO", ["{bob}"]),
        ("/pay {bob_wrong} 5 CRO", ["checksum"]),
        ("/pay {self} 5 CRO", ["own account"]),
        ("/pay {bob} 100000 CRO", ["CRO"]),
        ("/status 00000000", ["00000000"]),
        ("/confirm 00000000", ["00000000"]),
    ],
)
async def test_a_line_that_cannot_be_done_says_what_to_type(
    new_person: NewPerson, line: str, words: list[str]
) -> None:
    alice = await new_person(cro=5)
    bob = to_checksum_address("0x" + "5aaeb6053f3e94c9b9a09f33669435e7ef1beaed")
    names = {
        "bob": bob,
        "bob_lower": bob.lower(),
        "bob_wrong": bob[:-1] + ("D" if bob[-1] == "d" else bob[-1].swapcase() if bob[-1].isalpha() else "1"),
        "self": alice.address,
    }
    reply = await alice.say(line.format(**names))
    refused(reply, *(word.format(**names) for word in words))


async def test_insufficient_funds_are_named(new_person: NewPerson) -> None:
    alice, bob = await asyncio.gather(new_person(cro=3), new_person())
    refused(await alice.pay(bob, "40", "CRO"), "insufficient funds", "4 CRO")


async def test_a_signature_by_somebody_else_is_refused(new_person: NewPerson) -> None:
    alice, bob = await asyncio.gather(new_person(cro=1, usdc=20), new_person())
    card = await alice.pay(bob, "5", "USDC")
    intent = await alice.created_intent(card)
    sign = card.card.action("Sign")
    assert sign.sign is not None
    forged = Wallet.create().sign_typed_data(sign.sign["typed_data"])
    refused(await alice.say(f"/confirm {intent['intent_id'][:8]} {forged}"), "sign")
    other_chain = {**sign.sign["typed_data"]}
    other_chain["domain"] = {**other_chain["domain"], "chainId": 25}
    wrong = alice.wallet.sign_typed_data(other_chain)
    refused(await alice.say(f"/confirm {intent['intent_id'][:8]} {wrong}"), "sign")
    refused(await alice.say(f"/confirm {intent['intent_id'][:8]} 0x1234"), "signature")
    status = await alice.say(f"/status {intent['intent_id'][:8]}")
    assert status.card.status == "awaiting_authorisation"


async def test_nobody_touches_another_persons_payment(new_person: NewPerson) -> None:
    alice, mallory, bob = await asyncio.gather(new_person(cro=3), new_person(cro=3), new_person())
    card = await alice.pay(bob, "1", "CRO")
    intent = await alice.created_intent(card)
    for line in ("/status", "/cancel", "/preview", "/withdraw"):
        refused(await mallory.say(f"{line} {intent['intent_id']}"), intent["intent_id"][:8])
    with pytest.raises(ApiError) as error:
        await mallory.client.request("GET", f"/api/intents/{intent['intent_id']}")
    assert error.value.status == 404


async def test_the_same_payment_twice_asks_first(new_person: NewPerson) -> None:
    alice, bob = await asyncio.gather(new_person(cro=9), new_person())
    await alice.created_intent(await alice.pay(bob, "1", "CRO"))
    again = await alice.pay(bob, "1", "CRO")
    refused(again, "same payment")
    command = next(action.command for action in again.card.actions if "--acknowledge" in action.command)
    assert (await alice.say(command)).card.signing_actions


async def test_an_address_that_looks_like_a_known_one_asks_first(new_person: NewPerson) -> None:
    alice, bob = await asyncio.gather(new_person(cro=9), new_person())
    card = await alice.pay(bob, "1", "CRO")
    intent = await alice.created_intent(card)
    await alice.sign(card)
    await alice.until_final(intent["intent_id"])
    await alice.until_status(intent["intent_id"], "completed")
    body = bob.address[2:].lower()
    middle = "".join("0123456789abcdef"[15 - int(digit, 16)] for digit in body[6:-6])
    double = to_checksum_address("0x" + body[:6] + middle + body[-6:])
    refused(await alice.say(f"/pay {double} 1 CRO"), "look")


async def test_commands_are_limited_and_say_when_to_retry(new_person: NewPerson) -> None:
    alice, bob = await asyncio.gather(new_person(cro=50), new_person())
    began, allowed = time.monotonic(), 0
    while (reply := await alice.say(f"/pay {bob.address} 0.{allowed + 1:02d} CRO")).card.signing_actions:
        allowed += 1
    assert reply.card.retry_after_seconds
    assert 0 < reply.card.retry_after_seconds <= 120
    assert 10 <= allowed <= 11 + (time.monotonic() - began) * 10 / 60


async def test_roles_are_required(new_person: NewPerson) -> None:
    alice = await new_person()
    for method, path in (
        ("GET", "/api/payment-orchestrator/ledger/journals"),
        ("GET", "/api/settlement/lanes"),
        ("GET", "/api/routing/rails"),
        ("GET", "/api/fraud/reviews"),
        ("GET", "/api/accounts/admin/users"),
    ):
        with pytest.raises(ApiError) as error:
            await alice.client.request(method, path)
        assert error.value.status == 403, path


async def test_http_is_limited_per_address(stack: Stack) -> None:
    await asyncio.to_thread(stack.restart, "gateway", {"SNOWRAIL_ADDRESS_REQUESTS_PER_MINUTE": "20"})
    try:
        async with SnowrailClient(stack.origin) as client:
            refusals: list[ApiError] = []
            for _ in range(25):
                with pytest.raises(ApiError) as error:
                    await client.request("GET", "/api/accounts/users/nobody", authenticated=False)
                refusals.append(error.value)
    finally:
        await asyncio.to_thread(stack.restart, "gateway")
    assert refusals[0].status == 404
    assert (refusals[-1].status, refusals[-1].code) == (429, "rate_limited")


async def test_internal_routes_are_not_public(new_person: NewPerson) -> None:
    alice = await new_person()
    for path in ("/api/chain-monitor/internal/balances", "/api/intent/internal/intents/x"):
        with pytest.raises(ApiError) as error:
            await alice.client.request("POST", path)
        assert error.value.status == 404
