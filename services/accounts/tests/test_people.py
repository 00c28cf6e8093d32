"""Profiles, limits, and what administrators change about them."""

from typing import Any
from uuid import UUID, uuid4

import asyncpg
import httpx

from snowrail_events import UserRegisteredV1, UserRejectedV1, UserSetTimeZoneV1, UserUpdatedV1
from snowrail_testkit import Broker, FakeClock, RunningService, TestDatabase
from snowrail_testkit.fixed import START_OF_TIME as NOW

from .conftest import Wallet


async def change(wallet: Wallet, **fields: Any) -> httpx.Response:
    """Change a person's own profile."""
    return await wallet.http.patch("/user/profile", json=fields, headers=wallet.headers)


async def post(wallet: Wallet, path: str, **body: Any) -> httpx.Response:
    """Send something as this person."""
    return await wallet.http.post(path, json=body, headers=wallet.headers)


async def patch(wallet: Wallet, path: str, **body: Any) -> httpx.Response:
    """Change something as this person."""
    return await wallet.http.patch(path, json=body, headers=wallet.headers)


async def test_a_profile_changes_and_others_hear_of_it(broker: Broker, alice: Wallet) -> None:
    await alice.sign_in()
    answer = await change(alice, handle="alice", time_zone="Europe/Berlin")
    assert answer.status_code == 200
    assert (answer.json()["handle"], answer.json()["time_zone"]) == ("alice", "Europe/Berlin")
    assert await alice.get("/user/profile") == answer.json()
    (event,) = await broker.probe.collect(UserUpdatedV1, 1)
    assert (event.handle, event.time_zone, event.address) == ("alice", "Europe/Berlin", alice.address)
    assert (await change(alice, handle="alice")).json() == answer.json()
    assert (await change(alice)).json() == answer.json()
    assert await broker.probe.count(UserUpdatedV1) == 1


async def test_a_time_zone_is_set_by_command_and_every_command_is_answered(
    broker: Broker, alice: Wallet
) -> None:
    user = UUID((await alice.sign_in())["user"]["id"])
    commands = [
        UserSetTimeZoneV1(request_id=uuid4(), user_id=user_id, time_zone=zone, requested_at=NOW)
        for user_id, zone in (
            (user, "Europe/Vienna"),
            (user, "Europe/Vienna"),
            (user, "Mars/Olympus"),
            (uuid4(), "Europe/Vienna"),
        )
    ]
    for command in commands:
        await broker.probe.publish(command)
    updated = await broker.probe.collect(UserUpdatedV1, 2)
    assert {event.request_id for event in updated} == {command.request_id for command in commands[:2]}
    assert {(event.user_id, event.time_zone) for event in updated} == {(user, "Europe/Vienna")}
    rejected = {event.request_id: event.code for event in await broker.probe.collect(UserRejectedV1, 2)}
    assert rejected == {commands[2].request_id: "time_zone_unknown", commands[3].request_id: "not_found"}
    assert (await alice.get("/user/profile"))["time_zone"] == "Europe/Vienna"


async def test_a_bad_profile_is_refused(alice: Wallet) -> None:
    await alice.sign_in()
    bad: tuple[tuple[dict[str, Any], str], ...] = (
        ({"handle": "A"}, "handle_malformed"),
        ({"handle": "admin"}, "handle_reserved"),
        ({"time_zone": "Mars/Olympus"}, "time_zone_unknown"),
        ({"roles": ["admin"]}, "invalid_request"),
        ({"handle": 5}, "invalid_request"),
    )
    for fields, code in bad:
        answer = await change(alice, **fields)
        assert (answer.status_code, answer.json()["code"]) == (422, code)


async def test_a_handle_never_passes_to_somebody_else(
    running: RunningService, alice: Wallet, bob: Wallet
) -> None:
    await alice.sign_in()
    await bob.sign_in()
    await change(alice, handle="alice")
    taken = await change(bob, handle="alice")
    assert (taken.status_code, taken.json()["code"]) == (409, "handle_taken")
    await change(alice, handle="alice_2")
    assert (await change(bob, handle="alice")).json()["code"] == "handle_taken"
    assert (await running.http.get("/users/alice")).status_code == 404
    assert (await running.http.get("/users/@Alice_2")).json() == {
        "handle": "alice_2",
        "address": alice.address,
    }
    assert (await change(alice, handle="alice")).status_code == 200


async def test_handles_change_rarely(running: RunningService, alice: Wallet, clock: FakeClock) -> None:
    await alice.sign_in()
    for number in range(3):
        assert (await change(alice, handle=f"alice_{number}")).status_code == 200
    refused = await change(alice, handle="alice_3")
    assert (refused.status_code, refused.headers["Retry-After"]) == (429, str(8 * 3_600))
    clock.advance(8 * 3_600)
    await alice.sign_in()
    assert (await change(alice, handle="alice_3")).status_code == 200


async def test_nobody_hoards_handles(running: RunningService, alice: Wallet) -> None:
    narrow = running.parts.settings.model_copy(update={"handles_per_user": 2})
    object.__setattr__(running.parts, "settings", narrow)
    await alice.sign_in()
    assert (await change(alice, handle="alice")).status_code == 200
    refused = await change(alice, handle="alice_2")
    assert (refused.status_code, refused.json()["code"]) == (409, "handles_exhausted")
    assert (await change(alice, handle=alice.tokens["user"]["handle"])).status_code == 200


async def test_limits_follow_the_level_unless_they_are_ones_own(
    running: RunningService, alice: Wallet, admin: Wallet
) -> None:
    await alice.sign_in()
    await admin.sign_in()
    user_id = alice.tokens["user"]["id"]
    assert await alice.get("/user/limits") == {
        "currency": "USD",
        "decimals": 2,
        "per_transaction": "100000",
        "per_day": "200000",
        "per_month": "1000000",
        "kyc_level": 0,
        "is_own": False,
    }
    assert (
        await post(admin, f"/admin/users/{user_id}/kyc", kyc_level=2, reason="passport seen")
    ).status_code == 200
    assert (await alice.get("/user/limits"))["per_transaction"] == "5000000"
    own = await patch(admin, f"/admin/users/{user_id}/limits", per_transaction="7", reason="at risk")
    assert own.status_code == 204
    limits = await alice.get("/user/limits")
    assert (limits["per_transaction"], limits["per_day"], limits["is_own"]) == ("7", "10000000", True)
    await patch(admin, f"/admin/users/{user_id}/limits", per_day="70", reason="at risk")
    limits = (await running.http.get(f"/internal/users/{user_id}/limits")).json()
    assert (limits["per_transaction"], limits["per_day"]) == ("7", "70")
    removed = await post(admin, f"/admin/users/{user_id}/limits/removal", reason="risk is over")
    assert removed.status_code == 204
    assert (await alice.get("/user/limits"))["is_own"] is False
    assert (await running.http.get(f"/internal/users/{uuid4()}/limits")).status_code == 404


async def test_limits_of_a_level_are_changed_by_administrators(alice: Wallet, admin: Wallet) -> None:
    await alice.sign_in()
    await admin.sign_in()
    answer = await patch(admin, "/admin/limits/0", per_transaction="50000", reason="careful start")
    assert answer.json()["per_transaction"] == "50000"
    levels = await alice.get("/limits")
    assert [level["kyc_level"] for level in levels] == [0, 1, 2, 3]
    assert levels[0]["per_transaction"] == "50000"
    for body in ({"per_day": "1"}, {"per_transaction": "0"}, {"per_month": str(10**16)}):
        refused = await patch(admin, "/admin/limits/0", **body, reason="wrong order")
        assert (refused.status_code, refused.json()["code"]) == (422, "limits_out_of_order")
    for body in ({"per_day": 5.5}, {"per_day": "-1"}, {"per_day": "01"}, {"reason": ""}):
        refused = await patch(admin, "/admin/limits/0", **{"reason": "malformed", **body})
        assert (refused.status_code, refused.json()["code"]) == (422, "invalid_request")
    assert (await patch(admin, "/admin/limits/4", per_day="1", reason="no level")).status_code == 422


async def test_roles_are_granted_and_revoked_with_a_trace(
    running: RunningService, broker: Broker, alice: Wallet, admin: Wallet
) -> None:
    await alice.sign_in()
    await admin.sign_in()
    path = f"/admin/users/{alice.tokens['user']['id']}/roles"
    granted = await post(admin, path, grant=["business", "merchant"], reason="contract signed")
    assert granted.json()["roles"] == ["business", "merchant", "user"]
    revoked = await post(admin, path, revoke=["merchant"], reason="contract ended")
    assert revoked.json()["roles"] == ["business", "user"]
    events = await broker.probe.collect(UserUpdatedV1, 2)
    assert [event.roles for event in events] == [("business", "merchant", "user"), ("business", "user")]
    again = await post(admin, path, revoke=["merchant"], reason="contract ended")
    assert again.json()["roles"] == ["business", "user"]
    assert await broker.probe.count(UserUpdatedV1) == 2

    log = await admin.get("/admin/audit?subject=" + alice.tokens["user"]["id"])
    assert [entry["action"] for entry in log["items"]] == ["roles.changed"] * 3
    assert log["items"][0]["actor"] == admin.tokens["user"]["id"]
    assert '"reason":"contract signed"' in log["items"][2]["details"]
    assert log["next"] is None


async def test_a_bad_change_of_roles_is_refused(alice: Wallet, admin: Wallet) -> None:
    await alice.sign_in()
    await admin.sign_in()
    bad: tuple[tuple[dict[str, Any], str], ...] = (
        ({"grant": ["root"], "reason": "because"}, "role_unknown"),
        ({"revoke": ["user"], "reason": "because"}, "role_required"),
        ({"grant": ["merchant"]}, "invalid_request"),
        ({"grant": ["merchant"], "reason": "  "}, "invalid_request"),
        ({"grant": ["merchant"] * 11, "reason": "because"}, "invalid_request"),
    )
    for body, code in bad:
        answer = await post(admin, f"/admin/users/{alice.tokens['user']['id']}/roles", **body)
        assert (answer.status_code, answer.json()["code"]) == (422, code)


async def test_an_administrator_cannot_give_up_the_role_alone(admin: Wallet) -> None:
    await admin.sign_in()
    path = f"/admin/users/{admin.tokens['user']['id']}/roles"
    answer = await post(admin, path, revoke=["admin"], reason="tired")
    assert (answer.status_code, answer.json()["code"]) == (422, "role_own_admin")


async def test_a_token_that_still_says_admin_is_not_enough(
    running: RunningService, alice: Wallet, admin: Wallet
) -> None:
    await admin.sign_in()
    await alice.sign_in()
    path = f"/admin/users/{alice.tokens['user']['id']}/roles"
    await post(admin, path, grant=["admin"], reason="deputy")
    await alice.sign_in()
    assert (await post(admin, path, revoke=["admin"], reason="no deputy")).status_code == 200
    admin_path = f"/admin/users/{admin.tokens['user']['id']}"
    for answer in (
        await post(alice, f"{admin_path}/roles", revoke=["admin"], reason="revenge"),
        await post(alice, f"{admin_path}/kyc", kyc_level=3, reason="revenge"),
        await patch(alice, f"{admin_path}/limits", per_transaction="1", reason="revenge"),
        await patch(alice, "/admin/limits/0", per_transaction="1", reason="revenge"),
    ):
        assert (answer.status_code, answer.json()["code"]) == (403, "role_required")


async def test_administration_is_for_administrators(running: RunningService, alice: Wallet) -> None:
    await alice.sign_in()
    user_id = alice.tokens["user"]["id"]
    for path in ("/admin/users", f"/admin/users/{user_id}", "/admin/audit", "/admin/audit/verification"):
        assert (await running.http.get(path)).status_code == 401
        assert (await running.http.get(path, headers=alice.headers)).status_code == 403
    grant = await post(alice, f"/admin/users/{user_id}/roles", grant=["admin"], reason="please")
    assert grant.status_code == 403


async def test_nobody_is_not_found(admin: Wallet) -> None:
    await admin.sign_in()
    nobody = f"/admin/users/{uuid4()}"
    assert (await admin.http.get(nobody, headers=admin.headers)).status_code == 404
    assert (await post(admin, f"{nobody}/roles", grant=["merchant"], reason="because")).status_code == 404
    assert (await post(admin, f"{nobody}/kyc", kyc_level=1, reason="because")).status_code == 404
    assert (await patch(admin, f"{nobody}/limits", per_day="1", reason="because")).status_code == 404
    assert (await admin.http.get("/admin/users/me", headers=admin.headers)).status_code == 422


async def test_users_are_listed_in_pages(
    running: RunningService, broker: Broker, admin: Wallet, clock: FakeClock
) -> None:
    await admin.sign_in()
    for number in range(1, 6):
        clock.advance(0.001 if number % 2 else 0)
        await Wallet(f"0x{number:064x}", running.http).sign_in()
    seen: list[str] = []
    cursor = ""
    while True:
        page = await admin.get(f"/admin/users?limit=2{cursor}")
        seen += [user["id"] for user in page["items"]]
        if page["next"] is None:
            break
        cursor = f"&cursor={page['next']}"
    registered = await broker.probe.collect(UserRegisteredV1, 6)
    assert len(seen) == 6
    assert {UUID(user_id) for user_id in seen} == {event.user_id for event in registered}
    one = await admin.get(f"/admin/users/{seen[0]}")
    assert one["id"] == seen[0]
    bad = await admin.http.get("/admin/users?cursor=x", headers=admin.headers)
    assert (bad.status_code, bad.json()["code"]) == (400, "invalid_cursor")


async def test_an_altered_audit_log_shows(
    running: RunningService, database: TestDatabase, alice: Wallet, admin: Wallet
) -> None:
    await admin.sign_in()
    await alice.sign_in()
    path = f"/admin/users/{alice.tokens['user']['id']}/kyc"
    for level in (1, 2):
        await post(admin, path, kyc_level=level, reason="papers seen")
    whole = await admin.get("/admin/audit/verification")
    assert (whole["intact"], whole["entries"], whole["broken_at"]) == (True, 3, None)
    page = await admin.get("/admin/audit?limit=2")
    assert [entry["position"] for entry in page["items"]] == [3, 2]
    assert page["items"][0]["hash"] == whole["head"]
    assert [entry["position"] for entry in (await admin.get("/admin/audit?before=2"))["items"]] == [1]
    superuser = await asyncpg.connect(database.superuser_url, ssl=False)
    await superuser.execute("ALTER TABLE audit_entry DISABLE TRIGGER ALL")
    await superuser.execute("UPDATE audit_entry SET actor = 'nobody' WHERE position = 2")
    await superuser.close()
    broken = await admin.get("/admin/audit/verification")
    assert (broken["intact"], broken["entries"], broken["broken_at"]) == (False, 1, 2)


async def test_a_user_whose_row_is_gone_is_not_found(
    running: RunningService, database: TestDatabase, alice: Wallet
) -> None:
    await alice.sign_in()
    superuser = await asyncpg.connect(database.superuser_url, ssl=False)
    await superuser.execute("TRUNCATE account CASCADE")
    await superuser.close()
    assert (await alice.http.get("/user/profile", headers=alice.headers)).status_code == 404
    assert (await alice.http.get("/user/limits", headers=alice.headers)).status_code == 404
    assert (await change(alice, time_zone="UTC")).status_code == 404
