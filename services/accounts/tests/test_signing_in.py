"""Wallets sign in over HTTP, with a real database and broker."""

import asyncio
import secrets
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

import pytest
from pydantic import SecretStr

from snowrail_accounts.app import service
from snowrail_accounts.domain.people import HANDLE_RANDOM_BYTES
from snowrail_accounts.settings import Settings
from snowrail_events import DeviceSignedInV1, UserRegisteredV1, UserUpdatedV1
from snowrail_kit.auth import TokenVerifier
from snowrail_testkit import Broker, FakeClock, RunningService, TestDatabase, eventually, running_service
from snowrail_testkit.fault_proxy import FaultProxy

from .conftest import ALICE_KEY, Wallet


async def value(running: RunningService, query: str, *arguments: Any) -> Any:
    """Return one value from the service's database."""
    row = await running.runtime.database.fetch_row(query, *arguments)
    return row[0]


def draw_handles(running: RunningService, *draws: bytes) -> None:
    """Decide the randomness that the next handles are made of."""
    left = iter(draws)

    def random_bytes(count: int) -> bytes:
        return next(left) if count == HANDLE_RANDOM_BYTES else secrets.token_bytes(count)

    object.__setattr__(running.parts, "random_bytes", random_bytes)


async def test_a_wallet_becomes_a_user_with_a_session(
    running: RunningService, broker: Broker, settings: Settings, clock: FakeClock, alice: Wallet
) -> None:
    answer = await alice.sign_in()
    user = answer["user"]
    assert (user["address"], user["roles"], user["kyc_level"]) == (alice.address, ["user"], 0)
    assert answer["token_type"] == "Bearer"
    assert answer["expires_in"] == 600
    device = answer["device"]
    assert (device["is_new"], device["approved"], device["is_current"]) == (True, True, True)

    assert settings.jwt_public_keys_file is not None
    identity = TokenVerifier.from_file(settings.jwt_public_keys_file).verify(
        answer["access_token"], clock.now()
    )
    assert (str(identity.user_id), identity.handle) == (user["id"], user["handle"])
    assert str(identity.device_id) == device["id"]
    assert (await alice.get("/user/profile")) == user

    (registered,) = await broker.probe.collect(UserRegisteredV1, 1)
    assert (str(registered.user_id), registered.handle, registered.address) == (
        user["id"],
        user["handle"],
        alice.address,
    )
    (signed_in,) = await broker.probe.collect(DeviceSignedInV1, 1)
    assert (str(signed_in.device_id), signed_in.is_new, signed_in.label) == (
        device["id"],
        True,
        "Firefox on Linux",
    )
    assert signed_in.address == "127.0.0.1"


async def test_signing_in_again_is_the_same_user_on_a_known_device(
    broker: Broker, alice: Wallet, clock: FakeClock
) -> None:
    first = await alice.sign_in()
    clock.advance(60)
    second = await alice.sign_in()
    assert second["user"] == first["user"]
    assert second["device"]["id"] == first["device"]["id"]
    assert second["device"]["is_new"] is False
    assert second["refresh_token"] != first["refresh_token"]
    events = await broker.probe.collect(DeviceSignedInV1, 2)
    assert [event.is_new for event in events] == [True, False]
    assert await broker.probe.count(UserRegisteredV1) == 1
    assert len(await alice.get("/user/sessions")) == 2


async def test_the_same_device_may_serve_two_people(alice: Wallet, bob: Wallet) -> None:
    await alice.sign_in()
    bob.device = dict(alice.device)
    answer = await bob.sign_in()
    assert answer["device"]["id"] == alice.device["id"]
    assert answer["device"]["is_new"] is True
    assert answer["user"]["id"] != alice.tokens["user"]["id"]


async def test_a_nonce_works_once(alice: Wallet) -> None:
    message = await alice.message()
    assert (await alice.present(message)).status_code == 201
    again = await alice.present(message)
    assert (again.status_code, again.json()["code"]) == (401, "nonce_unknown")


async def test_of_two_at_once_one_gets_the_nonce(alice: Wallet) -> None:
    message = await alice.message()
    answers = await asyncio.gather(*(alice.present(message) for _ in range(5)))
    assert sorted(answer.status_code for answer in answers) == [201, 401, 401, 401, 401]


async def test_a_wrong_signature_uses_the_nonce_up(
    running: RunningService, alice: Wallet, bob: Wallet
) -> None:
    message = await alice.message()
    refused = await bob.present(message)
    assert (refused.status_code, refused.json()["code"]) == (401, "wrong_signature")
    assert refused.json()["detail"] == "The signature was made by another account."
    assert (await alice.present(message)).json()["code"] == "nonce_unknown"
    assert await value(running, "SELECT count(*) FROM account") == 0


async def test_a_nonce_expires(alice: Wallet, clock: FakeClock) -> None:
    message = await alice.message()
    clock.advance(600)
    assert (await alice.present(message)).json()["code"] == "nonce_unknown"


async def test_a_message_signed_for_something_else_is_refused(alice: Wallet) -> None:
    for old, new, code in (
        ("pay.example wants", "evil.example wants", "wrong_domain"),
        ("URI: https://pay.example", "URI: https://evil.example", "wrong_uri"),
        ("Chain ID: 31337", "Chain ID: 1", "wrong_chain"),
        ("Issued At: 2026-01-01T12:00:00.000Z", "Issued At: 2026-01-01T12:30:00Z", "issued_in_future"),
        ("Expiration Time: 2026-01-01T12:10", "Expiration Time: 2026-01-01T11:10", "message_expired"),
    ):
        message = await alice.message()
        assert old in message
        refused = await alice.present(message.replace(old, new))
        assert (refused.status_code, refused.json()["code"]) == (401, code)


async def test_a_message_for_another_address_is_refused(alice: Wallet, bob: Wallet) -> None:
    message = (await alice.message()).replace(alice.address, bob.address)
    assert (await bob.present(message)).json()["code"] == "wrong_address"


async def test_a_bad_request_for_a_nonce_says_what_is_wrong(running: RunningService, alice: Wallet) -> None:
    for body, code in (
        ({"address": alice.address.lower()}, "address_checksum_missing"),
        ({"address": "0xF39Fd6e51aad88F6F4ce6aB8827279cffFb92266"}, "address_checksum_wrong"),
        ({"address": "alice"}, "address_malformed"),
        ({"chain_id": 5}, "chain_unknown"),
        ({"chain_id": -1}, "invalid_request"),
        ({"chain_id": 2**70}, "invalid_request"),
        ({"extra": 1}, "invalid_request"),
    ):
        good: dict[str, Any] = {"address": alice.address, "chain_id": 31337}
        answer = await running.http.post("/auth/nonce", json={**good, **body})
        assert (answer.status_code, answer.json()["code"]) == (422, code)
        if code == "address_checksum_missing":
            assert answer.json()["checksummed"] == alice.address


async def test_a_bad_sign_in_says_what_is_wrong(alice: Wallet) -> None:
    for changed, status, code in (
        ({"message": "hello"}, 400, "message_malformed"),
        ({"message": "x" * 4_001}, 422, "invalid_request"),
        ({"signature": "0x00"}, 401, "signature_malformed"),
        ({"device": {"label": ""}}, 422, "invalid_request"),
        ({"device": {"id": "me", "label": "x"}}, 422, "invalid_request"),
        ({"device": {"label": "x" * 201}}, 422, "invalid_request"),
    ):
        message = await alice.message()
        body = {"message": message, "signature": alice.sign(message), "device": alice.device, **changed}
        answer = await alice.http.post("/auth/wallet", json=body)
        assert (answer.status_code, answer.json()["code"]) == (status, code)


async def test_two_first_sign_ins_at_once_make_one_user(
    running: RunningService, broker: Broker, alice: Wallet
) -> None:
    messages = [await alice.message() for _ in range(4)]
    answers = await asyncio.gather(*(alice.present(message) for message in messages))
    assert len({answer.json()["user"]["id"] for answer in answers}) == 1
    assert await value(running, "SELECT count(*) FROM account") == 1
    assert await value(running, "SELECT count(*) FROM handle_claim") == 1
    await broker.probe.collect(DeviceSignedInV1, 4)
    assert await broker.probe.count(UserRegisteredV1) == 1


async def test_a_taken_handle_is_not_given_twice(
    running: RunningService, alice: Wallet, bob: Wallet, monkeypatch: pytest.MonkeyPatch
) -> None:
    await alice.sign_in()
    handles = await value(running, "SELECT array_agg(handle) FROM handle_claim")
    draw_handles(running, bytes(6), bytes(6), bytes(6), b"\x01" * 6)
    first = await bob.sign_in()
    other = Wallet("0x" + "11" * 32, running.http)
    second = await other.sign_in()
    assert len({first["user"]["handle"], second["user"]["handle"], *handles}) == 3


async def test_without_a_free_handle_nothing_happens(
    running: RunningService, alice: Wallet, bob: Wallet
) -> None:
    draw_handles(running, *([bytes(6)] * 9))
    await alice.sign_in()
    refused = await bob.present(await bob.message())
    assert (refused.status_code, refused.json()["code"]) == (503, "unavailable")
    assert await value(running, "SELECT count(*) FROM account") == 1


async def test_attempts_of_a_network_are_limited(alice: Wallet, clock: FakeClock) -> None:
    messages = [await alice.message() for _ in range(30)]
    clock.advance(60)
    messages += [await alice.message() for _ in range(5)]
    for message in messages[:30]:
        assert (await alice.present(message, signature="0x00")).status_code == 401
    refused = await alice.present(messages[30])
    assert (refused.status_code, refused.json()["code"]) == (429, "rate_limited")
    assert refused.headers["Retry-After"] == str(refused.json()["retry_after_seconds"]) == "2"
    clock.advance(2)
    assert (await alice.present(messages[30])).status_code == 201


async def test_nonces_of_a_network_are_limited(
    running: RunningService, alice: Wallet, clock: FakeClock
) -> None:
    for _ in range(30):
        await alice.message()
    body = {"address": alice.address, "chain_id": 338}
    assert (await running.http.post("/auth/nonce", json=body)).status_code == 429
    clock.advance(2)
    assert (await running.http.post("/auth/nonce", json=body)).status_code == 201


async def test_nobody_can_lock_out_a_wallet_but_its_owner_is_limited(
    broker: Broker, settings: Settings, clock: FakeClock
) -> None:
    narrow = settings.model_copy(update={"sign_ins_per_address_per_hour": 2})
    async with running_service(service, narrow, clock) as running:
        alice, mallory = Wallet(ALICE_KEY, running.http), Wallet("0x" + "22" * 32, running.http)
        for _ in range(5):
            assert (await mallory.present(await alice.message())).json()["code"] == "wrong_signature"
        await alice.sign_in()
        await alice.sign_in()
        refused = await alice.present(await alice.message())
        assert (refused.status_code, refused.json()["retry_after_seconds"]) == (429, 1800)
        clock.advance(1800)
        await alice.sign_in()


async def test_without_the_database_nobody_gets_in(
    database: TestDatabase, settings: Settings, start_fault_proxy: Any
) -> None:
    proxy: FaultProxy = await start_fault_proxy(urlsplit(database.url).port)
    behind = settings.model_copy(update={"database_url": SecretStr(proxy.url_for(database.url))})
    async with running_service(service, behind) as running:
        alice = Wallet(ALICE_KEY, running.http)
        message = await alice.message()
        proxy.refuse()
        proxy.reset_all()
        refused = await alice.present(message)
        assert (refused.status_code, refused.json()["code"]) == (503, "unavailable")
        proxy.heal()

        async def healed() -> bool:
            return (await alice.present(message)).status_code == 201

        assert await eventually(healed)


async def test_expired_nonces_and_counts_are_deleted(
    running: RunningService, alice: Wallet, clock: FakeClock
) -> None:
    await alice.sign_in()
    await alice.message()
    clock.advance(601)
    running.runtime.wake_task("prune")

    async def clean() -> bool:
        # the wallet's own count lasts an hour
        nothing_expired = await value(
            running,
            "SELECT NOT EXISTS (SELECT 1 FROM sign_in_nonce)"
            " AND NOT EXISTS (SELECT 1 FROM rate_limit WHERE full_at <= $1)",
            clock.now(),
        )
        return bool(nothing_expired)

    assert await eventually(clean)
    assert await value(running, "SELECT count(*) FROM sign_in_nonce") == 0


async def test_the_published_keys_may_be_cached(running: RunningService, settings: Settings) -> None:
    answer = await running.http.get("/.well-known/jwks.json")
    assert answer.headers["Cache-Control"] == "public, max-age=300"
    (key,) = answer.json()["keys"]
    assert (key["kty"], key["crv"], key["alg"], key["use"]) == ("OKP", "Ed25519", "EdDSA", "sig")
    assert "d" not in key


async def test_administrators_of_the_settings_get_the_role_once(
    running: RunningService,
    broker: Broker,
    admin: Wallet,
    alice: Wallet,
    settings: Settings,
    clock: FakeClock,
) -> None:
    answer = await admin.sign_in()
    assert answer["user"]["roles"] == ["admin", "user"]
    await alice.sign_in()
    assert await value(running, "SELECT count(*) FROM audit_entry WHERE action = 'roles.changed'") == 1
    object.__setattr__(
        running.parts, "settings", settings.model_copy(update={"admin_addresses": (alice.address,)})
    )
    assert (await alice.sign_in())["user"]["roles"] == ["admin", "user"]
    assert (await alice.sign_in())["user"]["roles"] == ["admin", "user"]
    (changed,) = await broker.probe.collect(UserUpdatedV1, 1)
    assert changed.user_id == UUID(alice.tokens["user"]["id"])
    assert changed.roles == ("admin", "user")
    assert await value(running, "SELECT count(*) FROM audit_entry WHERE action = 'roles.changed'") == 2
    assert await broker.probe.count(UserUpdatedV1) == 1
