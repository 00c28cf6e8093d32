"""The review queue, the lists, and a score without consequences."""

import asyncio
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import pytest

from snowrail_events import FraudAssessedV1, FraudReviewedV1, PaymentCancelledV1
from snowrail_testkit import Broker, Builder, FakeClock, RunningService, TestDatabase, eventually

from .conftest import ALICE, BOB, CAROL, TOKEN, MakePerson, Person, command

TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@pytest.fixture
def reviewer(person: MakePerson) -> Person:
    """Somebody who may review."""
    return person("admin")


async def report(reviewer: Person, address: str, kind: str = "reported") -> Any:
    """Put an address on a list."""
    answer = await reviewer.request(
        "POST",
        f"/lists/{kind}",
        json={"addresses": [address], "source": "police", "reason": "case 17"},
    )
    assert answer.status_code == 200, answer.text
    return answer.json()


async def hold(broker: Broker, reviewer: Person, **changed: Any) -> UUID:
    """Have a payment held for review, and return its id."""
    await report(reviewer, BOB)
    held = command(**changed)
    before = await broker.probe.count(FraudAssessedV1)
    await broker.probe.publish(held, traceparent=TRACE)
    answers = await broker.probe.collect(FraudAssessedV1, before + 1)
    assert answers[-1].decision == "review"
    return held.payment_id


async def decide(
    reviewer: Person, payment_id: UUID, approved: bool, key: str | None = "decision-1", note: str = ""
) -> Any:
    """Decide a review."""
    return await reviewer.request(
        "POST",
        f"/reviews/{payment_id}/decision",
        key,
        json={"approved": approved, "note": note},
    )


@pytest.mark.parametrize(("approved", "state"), [(True, "approved"), (False, "denied")])
async def test_a_held_payment_is_decided_once_and_teaches(
    running: RunningService, broker: Broker, reviewer: Person, approved: bool, state: str
) -> None:
    payment_id = await hold(broker, reviewer)
    queue = await reviewer.get("/reviews")
    assert [item["payment_id"] for item in queue["items"]] == [str(payment_id)]
    assert queue["items"][0]["score"] == "0.784"
    assert queue["items"][0]["context"]["is_reported"] is True

    answer = await decide(reviewer, payment_id, approved, note="called the payee")
    assert (answer.status_code, answer.json()) == (200, {"payment_id": str(payment_id), "state": state})
    again = await decide(reviewer, payment_id, approved, note="called the payee")
    assert again.content == answer.content
    other = await decide(reviewer, payment_id, not approved)
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")
    late = await decide(reviewer, payment_id, not approved, key="decision-2")
    assert (late.status_code, late.json()["code"]) == (409, "review_closed")
    assert (await decide(reviewer, payment_id, approved, key=None)).status_code == 400

    (reviewed,) = await broker.probe.collect(FraudReviewedV1, 1)
    assert (reviewed.payment_id, reviewed.approved, reviewed.note) == (
        payment_id,
        approved,
        "called the payee",
    )
    assert reviewed.reviewer_id == reviewer.user_id
    row = await running.runtime.database.fetch_row(
        "SELECT traceparent FROM outbox WHERE subject = 'fraud.reviewed.v1'"
    )
    assert row["traceparent"].split("-")[1] == TRACE.split("-")[1]

    assert (await reviewer.get("/reviews"))["items"] == []
    closed = await reviewer.get(f"/reviews?state={state}")
    assert (closed["items"][0]["note"], closed["items"][0]["review"]) == ("called the payee", state)
    (example,) = (await reviewer.get("/training-examples"))["items"]
    assert (example["payment_id"], example["is_fraud"]) == (str(payment_id), not approved)
    assert (example["features"]["reported"], example["features"]["look_alike"]) == (1, 0)
    verification = await reviewer.get("/audit/verification")
    assert verification == {"intact": True, "entries": 2, "broken_at": None}


async def test_of_two_reviewers_at_once_one_decides(
    broker: Broker, database: TestDatabase, reviewer: Person, person: MakePerson
) -> None:
    payment_id = await hold(broker, reviewer)
    holder = await asyncpg.connect(database.superuser_url, ssl=False)
    async with holder.transaction():
        # both get as far as they can before the first may go on
        await holder.execute("SELECT 1 FROM review FOR UPDATE")
        deciding = [
            asyncio.create_task(decide(person("admin"), payment_id, approved)) for approved in (True, False)
        ]

        async def both_wait() -> bool:
            return await holder.fetchval(
                "SELECT count(*) FROM pg_locks JOIN pg_stat_activity USING (pid)"
                " WHERE NOT granted AND datname = current_database()"
            ) == len(deciding)

        await eventually(both_wait)
    await holder.close()
    answers = await asyncio.gather(*deciding)
    assert sorted(answer.status_code for answer in answers) == [200, 409]
    await broker.probe.collect(FraudReviewedV1, 1)
    assert await broker.probe.count(FraudReviewedV1) == 1


async def test_nobody_reviews_their_own_payment(broker: Broker, person: MakePerson) -> None:
    payer = person("admin", address=ALICE)
    payment_id = await hold(broker, payer, user_id=payer.user_id)
    refused = await decide(payer, payment_id, True)
    assert (refused.status_code, refused.json()["code"]) == (403, "own_payment")
    assert (await decide(person("admin"), payment_id, True)).status_code == 200


async def test_a_cancelled_payment_leaves_the_queue(
    running: RunningService, broker: Broker, reviewer: Person, build: Builder
) -> None:
    waiting = await hold(broker, reviewer)
    decided = await hold(broker, reviewer)
    await decide(reviewer, decided, True)
    for payment_id in (waiting, decided, uuid4()):
        await broker.probe.publish(build(PaymentCancelledV1, payment_id=payment_id))

    async def withdrawn() -> Any:
        return await running.runtime.database.fetch_row(
            "SELECT 1 FROM review WHERE payment_id = $1 AND state = 'withdrawn'", waiting
        )

    await eventually(withdrawn)
    assert (await reviewer.get("/reviews"))["items"] == []
    assert (await reviewer.get("/reviews?state=approved"))["items"][0]["payment_id"] == str(decided)
    late = await decide(reviewer, waiting, True, key="late")
    assert (late.status_code, late.json()["code"]) == (409, "review_closed")


async def test_the_queue_is_read_in_pages(broker: Broker, reviewer: Person, clock: FakeClock) -> None:
    held: list[UUID] = []
    for number in range(5):
        clock.advance(0.001 if number % 2 else 0)
        held.append(await hold(broker, reviewer))
    seen: list[str] = []
    cursor = ""
    while True:
        page = await reviewer.get(f"/reviews?limit=2{cursor}")
        seen += [item["payment_id"] for item in page["items"]]
        if page["next"] is None:
            break
        cursor = f"&cursor={page['next']}"
    assert sorted(seen) == sorted(str(payment_id) for payment_id in held)
    for payment_id in held:
        assert (await decide(reviewer, payment_id, True)).status_code == 200
    first = await reviewer.get("/training-examples?limit=3")
    rest = await reviewer.get(f"/training-examples?limit=3&cursor={first['next']}")
    assert (len(first["items"]), len(rest["items"]), rest["next"]) == (3, 2, None)


async def test_lists_are_kept_by_administrators_with_a_trace(
    running: RunningService, database: TestDatabase, reviewer: Person
) -> None:
    mixed = "0xAbCdEf" + "12" * 17
    body = {"addresses": [mixed, mixed.lower(), BOB], "source": "list of 2026", "reason": "sanctions"}
    answer = await reviewer.request("POST", "/lists/sanctioned", json=body)
    assert answer.json() == {"added": sorted([mixed.lower(), BOB])}
    again = await reviewer.request("POST", "/lists/sanctioned", json=body)
    assert again.json() == {"added": []}
    assert (await report(reviewer, BOB))["added"] == [BOB]
    page = await reviewer.get("/lists/sanctioned?limit=1")
    assert len(page["items"]) == 1
    rest = await reviewer.get(f"/lists/sanctioned?limit=1&cursor={page['next']}")
    assert {page["items"][0]["address"], rest["items"][0]["address"]} == {mixed.lower(), BOB}
    assert rest["items"][0]["source"] == "list of 2026"
    path = f"/lists/sanctioned/{mixed}?reason=mistaken"
    assert (await reviewer.request("DELETE", path)).status_code == 204
    assert (await reviewer.request("DELETE", path)).status_code == 404
    assert [item["address"] for item in (await reviewer.get("/lists/sanctioned"))["items"]] == [BOB]
    actions = await running.runtime.database.fetch("SELECT action FROM audit_entry ORDER BY position")
    assert [row["action"] for row in actions] == [
        "list.sanctioned.added",
        "list.sanctioned.added",
        "list.reported.added",
        "list.sanctioned.removed",
    ]
    superuser = await asyncpg.connect(database.superuser_url, ssl=False)
    await superuser.execute("ALTER TABLE audit_entry DISABLE TRIGGER ALL")
    await superuser.execute("UPDATE audit_entry SET details = '{}' WHERE position = 3")
    await superuser.close()
    verification = await reviewer.get("/audit/verification")
    assert verification == {"intact": False, "entries": 2, "broken_at": 3}


async def test_bad_requests_are_refused(reviewer: Person) -> None:
    good = {"addresses": [BOB], "source": "police", "reason": "case 17"}
    bad: tuple[tuple[str, str, dict[str, Any]], ...] = (
        ("POST", "/lists/sanctioned", {**good, "addresses": []}),
        ("POST", "/lists/sanctioned", {**good, "addresses": ["0x12"]}),
        ("POST", "/lists/sanctioned", {**good, "addresses": [BOB] * 1_001}),
        ("POST", "/lists/sanctioned", {**good, "reason": " "}),
        ("POST", "/lists/disliked", good),
        ("POST", "/fraud", {"payer": ALICE, "recipient": BOB, "token": TOKEN, "amount": "-1"}),
        ("POST", "/fraud", {"payer": ALICE, "recipient": BOB, "token": TOKEN, "amount": "1e3"}),
        ("POST", "/fraud", {"payer": ALICE, "recipient": "bob", "token": TOKEN, "amount": "1"}),
        ("POST", "/fraud", {"payer": ALICE, "recipient": BOB, "token": "CRO", "amount": "1"}),
    )
    for method, path, body in bad:
        answer = await reviewer.request(method, path, json=body)
        assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request"), path
    assert (await reviewer.request("DELETE", f"/lists/sanctioned/{BOB}")).status_code == 422
    assert (await reviewer.request("GET", f"/assessments/{uuid4()}")).status_code == 404
    assert (await decide(reviewer, uuid4(), True)).status_code == 404
    assert (await reviewer.request("GET", "/reviews?state=lost")).status_code == 422
    assert (await reviewer.request("GET", "/reviews?cursor=lost")).status_code == 400


async def test_a_described_payment_is_scored_and_nothing_is_kept(
    running: RunningService, broker: Broker, reviewer: Person, person: MakePerson
) -> None:
    alice = person(address="0x" + ALICE[2:].upper())
    body = {"payer": ALICE, "recipient": BOB, "token": TOKEN, "amount": "1000"}
    answer = await alice.request("POST", "/fraud", json=body)
    assert answer.status_code == 200
    assert (answer.json()["score"], answer.json()["decision"]) == ("0.280", "allow")
    assert answer.json()["reasons"] == ["account_unknown", "payee_new"]
    assert answer.json()["model_version"] is None
    await report(reviewer, BOB, "sanctioned")
    assert (await alice.request("POST", "/fraud", json=body)).json()["score"] == "1.000"
    for table in ("assessment", "velocity", "score_cache", "review"):
        row = await running.runtime.database.fetch_row(f"SELECT count(*) FROM {table}")
        assert row[0] == 0
    assert await broker.probe.count(FraudAssessedV1) == 0


async def test_others_payments_are_scored_for_administrators_only(
    reviewer: Person, person: MakePerson
) -> None:
    body = {"payer": ALICE, "recipient": BOB, "token": TOKEN, "amount": "1000"}
    mallory = person(address=CAROL)
    for refused in (body, {**body, "payer": CAROL, "user_id": str(uuid4())}):
        answer = await mallory.request("POST", "/fraud", json=refused)
        assert (answer.status_code, answer.json()["code"]) == (403, "role_required")
    own = {**body, "payer": CAROL, "user_id": str(mallory.user_id)}
    assert (await mallory.request("POST", "/fraud", json=own)).status_code == 200
    assert (
        await reviewer.request("POST", "/fraud", json={**body, "user_id": str(uuid4())})
    ).status_code == 200


async def test_assessments_and_reviews_are_for_administrators(
    running: RunningService, broker: Broker, reviewer: Person, person: MakePerson
) -> None:
    payment_id = await hold(broker, reviewer)
    somebody = person("merchant")
    found = await reviewer.get(f"/assessments/{payment_id}")
    assert (found["payment_id"], found["review"], found["decision"]) == (str(payment_id), "open", "review")
    for path in (
        "/reviews",
        f"/assessments/{payment_id}",
        "/lists/reported",
        "/training-examples",
        "/audit/verification",
    ):
        assert (await running.http.get(path)).status_code == 401
        assert (await somebody.request("GET", path)).status_code == 403
    assert (await decide(somebody, payment_id, True)).status_code == 403
