"""Sessions go on, are stolen, and end; devices are approved and removed."""

import asyncio
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import httpx

from snowrail_accounts.app import service
from snowrail_accounts.settings import Settings
from snowrail_events import (
    PLATFORM_FEED,
    DeviceApproveV1,
    DeviceDecidedV1,
    DeviceDenyV1,
    DeviceSignedInV1,
    FeedEventV1,
)
from snowrail_kit.audit import AUDIT_LOCK
from snowrail_testkit import Broker, FakeClock, RunningService, TestDatabase, eventually, running_service
from snowrail_testkit.fixed import START_OF_TIME as NOW

from .conftest import ALICE_KEY, Wallet


async def refresh(wallet: Wallet, token: str | None = None) -> httpx.Response:
    """Present a refresh token, the wallet's own unless another is given."""
    body = {"refresh_token": token or wallet.tokens["refresh_token"]}
    return await wallet.http.post("/auth/refresh", json=body)


async def value(running: RunningService, query: str, *arguments: Any) -> Any:
    """Return one value from the service's database."""
    row = await running.runtime.database.fetch_row(query, *arguments)
    return row[0]


async def test_a_refresh_token_gives_new_tokens(alice: Wallet, clock: FakeClock) -> None:
    first = await alice.sign_in()
    clock.advance(606)
    assert (await alice.http.get("/user/profile", headers=alice.headers)).status_code == 401
    answer = await refresh(alice)
    assert answer.status_code == 200
    alice.tokens = answer.json()
    assert alice.tokens["refresh_token"] != first["refresh_token"]
    assert (await alice.get("/user/profile"))["id"] == first["user"]["id"]


async def test_a_second_use_ends_the_session_for_thief_and_owner(
    running: RunningService, alice: Wallet
) -> None:
    stolen = (await alice.sign_in())["refresh_token"]
    alice.tokens = (await refresh(alice)).json()
    reused = await refresh(alice, stolen)
    assert (reused.status_code, reused.json()["code"]) == (401, "refresh_token_reused")
    owner = await refresh(alice)
    assert (owner.status_code, owner.json()["code"]) == (401, "session_ended")
    assert await value(running, "SELECT end_reason FROM session") == "refresh_token_reused"
    assert await value(running, "SELECT action FROM audit_entry") == "session.token_reused"
    assert await alice.get("/user/sessions") == []


async def test_of_two_uses_at_once_one_is_a_reuse(running: RunningService, alice: Wallet) -> None:
    await alice.sign_in()
    answers = await asyncio.gather(*(refresh(alice) for _ in range(2)))
    assert sorted(answer.status_code for answer in answers) == [200, 401]
    assert await value(running, "SELECT end_reason FROM session") == "refresh_token_reused"


async def test_one_stolen_session_leaves_the_others_alone(alice: Wallet) -> None:
    other = (await alice.sign_in())["refresh_token"]
    stolen = (await alice.sign_in())["refresh_token"]
    await refresh(alice, stolen)
    await refresh(alice, stolen)
    assert (await refresh(alice, other)).status_code == 200


async def test_an_unknown_or_old_token_is_refused(alice: Wallet, clock: FakeClock) -> None:
    await alice.sign_in()
    unknown = await refresh(alice, "A" * 43)
    assert (unknown.status_code, unknown.json()["code"]) == (401, "refresh_token_unknown")
    clock.advance(7 * 86_400)
    expired = await refresh(alice)
    assert (expired.status_code, expired.json()["code"]) == (401, "refresh_token_expired")


async def test_a_session_ends_however_often_it_is_refreshed(
    running: RunningService, alice: Wallet, clock: FakeClock
) -> None:
    await alice.sign_in()
    for _ in range(5):
        clock.advance(6 * 86_400 - 1)
        answer = await refresh(alice)
        if answer.status_code != 200:
            break
        alice.tokens = answer.json()
    clock.advance(10)
    assert (await refresh(alice)).json()["code"] == "refresh_token_expired"
    running.runtime.wake_task("prune")

    async def pruned() -> bool:
        return await value(running, "SELECT count(*) FROM refresh_token") == 0

    assert await eventually(pruned)


async def test_logging_out_ends_the_session(alice: Wallet) -> None:
    await alice.sign_in()
    answer = await alice.http.post("/auth/logout", headers=alice.headers)
    assert answer.status_code == 204
    assert (await refresh(alice)).json()["code"] == "session_ended"
    await alice.sign_in()
    body = {"refresh_token": alice.tokens["refresh_token"]}
    answer = await alice.http.post("/auth/logout", json=body)
    assert answer.status_code == 204
    assert (await refresh(alice)).json()["code"] == "session_ended"


async def test_logging_out_needs_a_session(alice: Wallet) -> None:
    for body in (None, {}, {"refresh_token": "A" * 43}):
        answer = await alice.http.post("/auth/logout", json=body)
        assert (answer.status_code, answer.json()["code"]) == (401, "unauthenticated")
    bad = await alice.http.post("/auth/logout", headers={"Authorization": "Bearer x.y.z"})
    assert bad.status_code == 401


async def test_own_sessions_are_listed_and_ended(alice: Wallet, bob: Wallet, clock: FakeClock) -> None:
    first = await alice.sign_in()
    clock.advance(1)
    await alice.sign_in()
    await bob.sign_in()
    sessions = await alice.get("/user/sessions")
    assert [session["is_current"] for session in sessions] == [True, False]
    older = sessions[1]["id"]
    assert (await bob.http.delete(f"/user/sessions/{older}", headers=bob.headers)).status_code == 404
    assert (await alice.http.delete(f"/user/sessions/{older}", headers=alice.headers)).status_code == 204
    assert (await alice.http.delete(f"/user/sessions/{older}", headers=alice.headers)).status_code == 404
    assert (await refresh(alice, first["refresh_token"])).json()["code"] == "session_ended"
    assert len(await alice.get("/user/sessions")) == 1


async def test_a_new_device_is_approved_from_another_one(running: RunningService, alice: Wallet) -> None:
    phone = Wallet(ALICE_KEY, running.http, {"label": "Phone"})
    await alice.sign_in()
    answer = await phone.sign_in()
    assert (answer["device"]["is_new"], answer["device"]["approved"]) == (True, False)
    own = await phone.http.post(f"/user/devices/{phone.device['id']}/approve", headers=phone.headers)
    assert (own.status_code, own.json()["code"]) == (403, "device_own")
    path = f"/user/devices/{phone.device['id']}/approve"
    assert (await alice.http.post(path, headers=alice.headers)).status_code == 204
    assert (await alice.http.post(path, headers=alice.headers)).status_code == 204
    devices = await alice.get("/user/devices")
    assert {device["label"]: device["approved"] for device in devices} == {
        "Firefox on Linux": True,
        "Phone": True,
    }
    unknown = await alice.http.post(f"/user/devices/{uuid4()}/approve", headers=alice.headers)
    assert unknown.status_code == 404
    assert (await phone.sign_in())["device"]["approved"] is True


async def test_removing_a_device_ends_its_sessions_and_makes_it_new_again(
    running: RunningService, alice: Wallet, bob: Wallet
) -> None:
    phone = Wallet(ALICE_KEY, running.http, {"label": "Phone"})
    await alice.sign_in()
    await phone.sign_in()
    await bob.sign_in()
    path = f"/user/devices/{phone.device['id']}"
    assert (await bob.http.delete(path, headers=bob.headers)).status_code == 404
    assert (await alice.http.post(f"{path}/approve", headers=alice.headers)).status_code == 204
    assert (await alice.http.delete(path, headers=alice.headers)).status_code == 204
    assert (await alice.http.delete(path, headers=alice.headers)).status_code == 404
    assert (await alice.http.post(f"{path}/approve", headers=alice.headers)).status_code == 404
    assert (await refresh(phone)).json()["code"] == "session_ended"
    assert [device["label"] for device in await alice.get("/user/devices")] == ["Firefox on Linux"]
    again = await phone.sign_in()
    assert (again["device"]["is_new"], again["device"]["approved"]) == (True, False)
    actions = await running.runtime.database.fetch("SELECT action FROM audit_entry ORDER BY position")
    assert [row["action"] for row in actions] == ["device.approved", "device.removed"]


async def test_when_no_approved_device_is_left_the_next_one_is_approved(
    running: RunningService, alice: Wallet
) -> None:
    await alice.sign_in()
    path = f"/user/devices/{alice.device['id']}"
    assert (await alice.http.delete(path, headers=alice.headers)).status_code == 204
    phone = Wallet(ALICE_KEY, running.http, {"label": "Phone"})
    assert (await phone.sign_in())["device"]["approved"] is True


async def test_sessions_and_devices_of_a_user_are_bounded(
    running: RunningService, settings: Settings, clock: FakeClock
) -> None:
    narrow = settings.model_copy(update={"sessions_per_user": 2, "devices_per_user": 3})
    async with running_service(service, narrow, clock) as bounded:
        wallet = Wallet(ALICE_KEY, bounded.http, {"label": "device 0"})
        first = (await wallet.sign_in())["refresh_token"]
        for number in range(1, 5):
            clock.advance(1)
            wallet = Wallet(ALICE_KEY, bounded.http, {"label": f"device {number}"})
            await wallet.sign_in()
        assert len(await wallet.get("/user/sessions")) == 2
        labels = [device["label"] for device in await wallet.get("/user/devices")]
        assert labels == ["device 4", "device 3", "device 2"]
        assert (await refresh(wallet, first)).json()["code"] == "refresh_token_unknown"


async def test_everything_of_ones_own_needs_a_token(running: RunningService) -> None:
    for path in ("/user/profile", "/user/limits", "/limits", "/user/devices", "/user/sessions"):
        answer = await running.http.get(path)
        assert (answer.status_code, answer.headers["WWW-Authenticate"]) == (401, "Bearer")


async def test_a_denied_device_is_told_to_everybody_who_still_believes_it(
    running: RunningService, alice: Wallet, broker: Broker
) -> None:
    phone = Wallet(ALICE_KEY, running.http, {"label": "Phone"})
    first = await alice.sign_in()
    await phone.sign_in()
    user, own, new = UUID(first["user"]["id"]), UUID(alice.device["id"]), UUID(phone.device["id"])
    commands = (
        DeviceApproveV1(device_id=own, request_id=uuid4(), user_id=user, by_device_id=new, requested_at=NOW),
        DeviceApproveV1(device_id=new, request_id=uuid4(), user_id=user, requested_at=NOW),
        DeviceApproveV1(device_id=new, request_id=uuid4(), user_id=user, by_device_id=new, requested_at=NOW),
        DeviceDenyV1(device_id=own, request_id=uuid4(), user_id=user, by_device_id=new, requested_at=NOW),
        DeviceDenyV1(device_id=uuid4(), request_id=uuid4(), user_id=user, by_device_id=own, requested_at=NOW),
        DeviceDenyV1(device_id=new, request_id=uuid4(), user_id=user, by_device_id=own, requested_at=NOW),
    )
    for command in commands:
        await broker.probe.publish(command)
    decided = {item.request_id: item for item in await broker.probe.collect(DeviceDecidedV1, 6)}
    assert [decided[command.request_id].code for command in commands] == [
        "device_not_approved",
        "device_needed",
        "device_own",
        "device_not_approved",
        "not_found",
        None,
    ]
    denied = decided[commands[-1].request_id]
    assert (denied.decision, denied.sessions_ended, denied.label) == ("denied", 1, "Phone")
    ended = (await broker.probe.collect(FeedEventV1, 1))[0]
    assert (ended.user_id, ended.name, ended.data["reason"]) == (
        PLATFORM_FEED,
        "session:ended",
        "device_removed",
    )
    assert len(ended.data["session_ids"]) == 1
    assert (await refresh(phone)).json()["code"] == "session_ended"
    assert (await refresh(alice)).status_code == 200


async def test_a_device_that_signs_in_while_it_is_removed_alarms_its_owner(
    running: RunningService, broker: Broker, database: TestDatabase, alice: Wallet
) -> None:
    """The removal has done its work and cannot commit yet; the device, which was approved, signs in again."""
    phone = Wallet(ALICE_KEY, running.http, {"label": "Phone"})
    await alice.sign_in()
    await phone.sign_in()
    path = f"/user/devices/{phone.device['id']}"
    assert (await alice.http.post(f"{path}/approve", headers=alice.headers)).status_code == 204
    connection = await asyncpg.connect(database.superuser_url, ssl=False)

    async def until_waiting(count: int) -> None:
        query = "SELECT count(*) = $2 FROM pg_stat_activity WHERE datname = $1 AND wait_event_type = 'Lock'"

        async def are_waiting() -> Any:
            return await connection.fetchval(query, database.name, count)

        await eventually(are_waiting)

    await connection.execute("SELECT pg_advisory_lock($1)", AUDIT_LOCK)
    removal = asyncio.create_task(alice.http.delete(path, headers=alice.headers))
    await until_waiting(1)
    sign_in = asyncio.create_task(phone.sign_in())
    await until_waiting(2)
    await connection.close()
    assert (await removal).status_code == 204
    device = (await sign_in)["device"]
    assert (device["is_new"], device["approved"]) == (True, False)
    *_, told = await broker.probe.collect(DeviceSignedInV1, 3)
    assert told.is_new
