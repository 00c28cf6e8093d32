"""Signing in, HTTP, and what cards ask the wallet for."""

import asyncio

import pytest
from eth_account import Account
from eth_account.messages import encode_defunct

from snowrail_client import ApiError, NotSignedIn, SnowrailClient, Wallet
from snowrail_client.cards import Action, parse_card
from snowrail_testkit import DevChain

from .conftest import DEV_KEY
from .fake_platform import FakePlatform

TYPED_DATA = {
    "types": {
        "EIP712Domain": [{"name": "name", "type": "string"}, {"name": "chainId", "type": "uint256"}],
        "Order": [{"name": "payer", "type": "address"}, {"name": "amount", "type": "uint256"}],
    },
    "primaryType": "Order",
    "domain": {"name": "Snowrail", "chainId": 31337},
    "message": {"payer": "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266", "amount": "1000000000000000000"},
}


async def test_signing_in_signs_the_message_that_was_given(
    client: SnowrailClient, platform: FakePlatform
) -> None:
    wallet = Wallet.from_key(DEV_KEY)
    nonce, entered = platform.requests
    assert nonce[2] == {"address": wallet.address, "chain_id": 31337}
    message = f"sign in {wallet.address}"
    assert entered[2]["message"] == message
    signer = Account.recover_message(encode_defunct(text=message), signature=entered[2]["signature"])
    assert signer == wallet.address
    assert entered[2]["device"] == {"label": "snowrail-client"}
    assert "Authorization" not in entered[3]
    assert (client.user.user_id, client.user.roles) == ("u-1", ("user",))
    await client.sign_in(wallet, 31337)
    assert platform.requests[-1][2]["device"] == {"label": "snowrail-client", "id": "d-1"}


async def test_requests_carry_the_token_and_return_json(
    client: SnowrailClient, platform: FakePlatform
) -> None:
    platform.answers["/api/intents"] = (200, {"items": []}, {})
    platform.answers["/api/nothing"] = (204, None, {})
    answer = await client.request(
        "POST", "/api/intents", {"amount": "1"}, query={"limit": "5"}, idempotency_key="k-1"
    )
    assert answer == {"items": []}
    method, path, body, headers = platform.requests[-1]
    assert (method, path, body) == ("POST", "/api/intents?limit=5", {"amount": "1"})
    assert headers["Authorization"] == "Bearer token-1"
    assert headers["Idempotency-Key"] == "k-1"
    assert await client.request("DELETE", "/api/nothing") is None


async def test_a_problem_is_an_exception_with_its_code(
    client: SnowrailClient, platform: FakePlatform
) -> None:
    problem = {"code": "rate_limited", "detail": "Too many.", "extra": 1}
    platform.answers["/api/limited"] = (429, problem, {"Retry-After": "7"})
    platform.answers["/api/broken"] = (502, "<html>", {})
    platform.answers["/api/odd"] = (500, [1], {})
    with pytest.raises(ApiError) as limited:
        await client.request("GET", "/api/limited")
    assert (limited.value.status, limited.value.code, limited.value.detail) == (
        429,
        "rate_limited",
        "Too many.",
    )
    assert limited.value.retry_after_seconds == 7
    assert limited.value.body["extra"] == 1
    for path, status in (("/api/broken", 502), ("/api/odd", 500)):
        with pytest.raises(ApiError) as broken:
            await client.request("GET", path)
        assert (broken.value.status, broken.value.code) == (status, "http_error")
        assert broken.value.retry_after_seconds is None


async def test_tokens_are_renewed_before_they_expire(platform: FakePlatform) -> None:
    platform.answers["/api/x"] = (200, {}, {})
    platform.lifetime_seconds = 0
    async with SnowrailClient(platform.origin) as client:
        await client.sign_in(Wallet.from_key(DEV_KEY), 31337)
        await client.request("GET", "/api/x")
        assert platform.requests[-2][2] == {"refresh_token": "refresh-1"}
        assert platform.requests[-1][3]["Authorization"] == "Bearer token-2"
        platform.refuse_refresh = True
        await client.request("GET", "/api/x")
        assert platform.requests[-1][3]["Authorization"] == "Bearer token-3"
        assert platform.requests[-2][1] == "/api/auth/wallet"


async def test_nobody_is_signed_in_at_first(platform: FakePlatform) -> None:
    async with SnowrailClient(platform.origin) as client:
        with pytest.raises(NotSignedIn):
            await client.request("GET", "/api/x")
        with pytest.raises(NotSignedIn):
            await client.refresh()
        with pytest.raises(NotSignedIn):
            await client.connect()
        with pytest.raises(NotSignedIn):
            _ = client.user
        with pytest.raises(NotSignedIn):
            _ = client.connection


def test_a_new_wallet_has_a_key_of_its_own() -> None:
    assert Wallet.create().address != Wallet.create().address


async def test_a_button_without_a_signature_sends_its_line(
    client: SnowrailClient, platform: FakePlatform
) -> None:
    await client.connect()
    action = Action("Cancel", "/cancel 5", "danger", None, draft=False)
    performed = await client.perform(action, Wallet.from_key(DEV_KEY))
    assert performed.reply is not None
    assert performed.reply.card.title == "/cancel 5"


async def test_a_button_with_typed_data_sends_its_line_with_the_signature(
    client: SnowrailClient, platform: FakePlatform
) -> None:
    await client.connect()
    wallet = Wallet.from_key(DEV_KEY)
    sign = {"kind": "typed_data", "typed_data": TYPED_DATA}
    performed = await client.perform(Action("Sign", "/confirm 5", "primary", sign, draft=False), wallet)
    assert performed.reply is not None
    line, _, signature = performed.reply.card.title.rpartition(" ")
    assert line == "/confirm 5"
    assert signature == wallet.sign_typed_data(TYPED_DATA)
    assert len(signature) == 132


async def test_a_button_with_a_transaction_sends_it_from_the_wallet(
    client: SnowrailClient, chain: DevChain
) -> None:
    wallet, recipient = Wallet.from_key(DEV_KEY), Wallet.create().address
    transaction = {
        "chain_id": 31337,
        "to": recipient,
        "data": "0x",
        "value": "1000000000000000000000",
        "purpose": "fund",
    }
    sign = {"kind": "transaction", "transaction": transaction}
    action = Action("Fund", "/status 5", "primary", sign, draft=False)
    performed = await client.perform(action, wallet, client.rpc(chain.url))
    assert performed.transaction_hash is not None
    assert int(chain.call("eth_getBalance", recipient, "latest"), 16) == 10**21
    with pytest.raises(ValueError, match="cannot sign"):
        await client.perform(action, wallet)


async def test_transactions_of_one_wallet_follow_each_other(client: SnowrailClient, chain: DevChain) -> None:
    wallet, recipient, rpc = Wallet.from_key(DEV_KEY), Wallet.create().address, client.rpc(chain.url)
    hashes = await asyncio.gather(
        *(wallet.send_transaction(rpc, {"to": recipient, "value": 1}) for _ in range(5))
    )
    assert len(set(hashes)) == 5
    for transaction_hash in hashes:
        await rpc.wait_for_receipt(transaction_hash)
    assert int(chain.call("eth_getBalance", recipient, "latest"), 16) == 5


def test_a_card_is_read_from_the_wire() -> None:
    card = parse_card(
        {
            "card_id": "c",
            "kind": "payment",
            "title": "Pay",
            "status": "awaiting",
            "rows": [{"label": "To", "value": "@bob", "mono": False}],
            "progress": {"done": 1, "total": 4},
            "steps": [{"label": "Sign", "state": "current"}],
            "actions": [
                {
                    "label": "Sign",
                    "command": "/confirm 1",
                    "style": "primary",
                    "sign": {"kind": "typed_data"},
                },
                {"label": "Cancel", "command": "/cancel 1"},
            ],
            "notes": ["n"],
            "version": 3,
        }
    )
    assert card.row("To") == "@bob"
    assert card.progress == (1, 4)
    assert card.steps == [("Sign", "current")]
    assert [action.label for action in card.signing_actions] == ["Sign"]
    assert card.action("Cancel").style == "secondary"
    assert (card.version, card.notes) == (3, ["n"])
    with pytest.raises(KeyError):
        card.row("From")
