"""The HTTP interface: the same rules as over the bus, keys that name operations, pages, statistics."""

from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

from snowrail_chain.eip712 import Order, signing_digest
from snowrail_events import (
    GasPriceUpdatedV1,
    IntentCreatedV1,
    IntentDueV1,
    IntentUpdatedV1,
    PaymentSucceededV1,
    TransactionFinalV1,
)
from snowrail_kit.audit import verify
from snowrail_testkit import Builder, eventually

from .conftest import World
from .samples import CHAIN, CRO, PAYER, RECIPIENT, STRANGER, USDC

BODY = {
    "recipient": RECIPIENT,
    "token": f"31337:{USDC.address}",
    "amount": "1000",
    "recipient_label": "alice",
}


async def post(
    world: World, path: str, body: Any, key: str | None = "one", user_id: UUID | None = None
) -> Any:
    """Send a request under a key."""
    sent = {**world.headers(user_id), **({"Idempotency-Key": key} if key else {})}
    return await world.running.http.post(path, json=body, headers=sent)


async def created(world: World, key: str = "one", **changes: Any) -> dict[str, Any]:
    """Create an intent over HTTP."""
    answer = await post(world, "/intents", {**BODY, **changes}, key)
    assert answer.status_code == 201, answer.text
    return answer.json()


def signature_of(intent: dict[str, Any], payer: Any = PAYER) -> str:
    """Sign the document that the answer holds, as a wallet would."""
    document = intent["typed_data"]
    domain = document["domain"]
    digest = signing_digest(
        Order.from_wire(document["message"]), domain["chainId"], domain["verifyingContract"]
    )
    return f"0x{payer.sign(digest).hex()}"


async def test_a_payment_over_http_from_request_to_due(world: World) -> None:
    world.approve()
    intent = await created(world)
    assert (intent["status"], intent["amount"], intent["authorisation"]) == (
        "awaiting_authorisation", "1000", "typed_data",
    )  # fmt: skip
    assert intent["approval"] is None
    path = f"/intents/{intent['intent_id']}"
    answer = await post(
        world, f"{path}/authorisation", {"signature": signature_of(intent), "chain_id": 31337}
    )
    assert answer.status_code == 200, answer.text
    assert answer.json()["status"] == "due"
    (due,) = await world.collect(IntentDueV1)
    shown = (await world.running.http.get(path, headers=world.headers())).json()
    assert [item["payment_id"] for item in shown["occurrences"]] == [str(due.payment_id)]
    (evaluation,) = shown["evaluations"]
    assert evaluation["inputs"]["balance"] == str(10**30)
    assert shown["is_signed"]
    assert shown["typed_data"] is None


async def test_a_key_names_one_operation(world: World) -> None:
    intent = await created(world)
    again = await post(world, "/intents", BODY)
    assert (again.status_code, again.json()) == (201, intent)
    aliased = await post(world, "/pay", BODY)
    assert aliased.json()["intent_id"] == intent["intent_id"]
    other_body = await post(world, "/intents", {**BODY, "amount": "2"})
    assert (other_body.status_code, other_body.json()["code"]) == (422, "idempotency_key_reused")
    other_pay = await post(world, "/pay", {**BODY, "amount": "2"}, "two")
    assert other_pay.status_code == 201
    clash = await post(world, "/intents", {**BODY, "amount": "3"}, "two")
    assert (clash.status_code, clash.json()["code"]) == (409, "intent_exists")
    missing = await post(world, "/intents", BODY, None)
    assert (missing.status_code, missing.json()["code"]) == (400, "idempotency_key_required")
    await world.collect(IntentCreatedV1, 2)
    assert await world.broker.probe.count(IntentCreatedV1) == 2


BAD_INPUT: list[tuple[dict[str, Any], int, str | None]] = [
    ({"amount": "0"}, 422, "invalid_terms"),
    ({"amount": "1.5"}, 422, "invalid_request"),
    ({"amount": 5}, 201, None),
    ({"amount": "-5"}, 422, "invalid_request"),
    ({"amount": str(2**128)}, 409, "limit_exceeded"),
    ({"recipient": "0x12"}, 422, "address_malformed"),
    ({"recipient": RECIPIENT.upper()}, 422, "address_malformed"),
    ({"recipient": "x" * 101}, 422, "invalid_request"),
    ({"token": "31337"}, 422, "invalid_request"),
    ({"token": f"31337:{RECIPIENT}"}, 422, "unknown_token"),
    ({"surprise": 1}, 422, "invalid_request"),
    ({"not_before": "2026-01-01T12:00:00"}, 422, "invalid_request"),
    ({"not_before": "9999-12-31T23:59:59Z"}, 422, "too_far_ahead"),
    ({"not_before": "1960-01-01T00:00:00Z"}, 422, "invalid_terms"),
    ({"recipient_label": "x" * 65}, 422, "invalid_request"),
]


async def test_bad_input_gets_a_clear_answer(world: World) -> None:
    for number, (changes, status, code) in enumerate(BAD_INPUT):
        answer = await post(world, "/intents", {**BODY, **changes}, f"key {number}")
        assert (answer.status_code, answer.json().get("code")) == (status, code), changes


async def test_a_warning_stands_until_it_is_acknowledged(world: World) -> None:
    await created(world)
    answer = await post(world, "/intents", BODY, "two")
    assert (answer.status_code, answer.json()["code"]) == (409, "duplicate_payment")
    acknowledged = await post(world, "/intents", {**BODY, "acknowledged": ["duplicate_payment"]}, "two")
    assert acknowledged.status_code == 201


async def test_without_chain_or_limits_nothing_is_done(world: World) -> None:
    answer = await post(world, "/intents", BODY, user_id=uuid4())
    assert (answer.status_code, answer.json()["code"]) == (503, "limits_unknown")
    intent = await created(world, "two")
    world.monitor.is_available = False
    answer = await post(world, "/intents", BODY, "three")
    assert (answer.status_code, answer.json()["code"]) == (503, "chain_unavailable")
    path = f"/intents/{intent['intent_id']}/authorisation"
    answer = await post(world, path, {"signature": signature_of(intent)})
    assert (answer.status_code, answer.json()["code"]) == (503, "chain_unavailable")
    again = await post(world, "/intents", BODY, "two")
    assert again.json() == intent  # what was answered once is answered again


async def test_signatures_that_do_not_hold(world: World) -> None:
    intent = await created(world)
    path = f"/intents/{intent['intent_id']}/authorisation"
    for number, (signature, code) in enumerate(
        [
            (signature_of(intent, STRANGER), "wrong_signature"),
            ("0x12", "malformed_signature"),
            ("nonsense", "invalid_request"),
        ]
    ):
        answer = await post(world, path, {"signature": signature}, f"try {number}")
        assert (answer.status_code, answer.json()["code"]) == (422, code)
    foreign = await post(world, path, {"signature": signature_of(intent)}, "x", user_id=uuid4())
    assert foreign.status_code == 404


async def test_intents_are_the_callers_own(world: World) -> None:
    intent = await created(world)
    path = f"/intents/{intent['intent_id']}"
    other = world.headers(uuid4())
    http = world.running.http
    for answer in (
        await http.get(path, headers=other),
        await http.patch(path, json={"recipient_label": "x"}, headers=other),
        await http.delete(path, headers=other),
        await http.post(f"{path}/pause", headers=other),
        await http.get(f"/intents/{uuid4()}", headers=world.headers()),
    ):
        assert answer.status_code == 404
    assert (await http.get(path)).status_code == 401
    assert (await http.get("/intents", headers=other)).json() == {"items": [], "next": None}
    assert (await http.get("/intents/nonsense", headers=other)).status_code == 422


async def test_pages_hold_every_intent_once_newest_first(world: World) -> None:
    ids: list[str] = []
    for number in range(5):
        world.clock.advance(1)
        ids.append((await created(world, f"key {number}", amount=str(number + 1)))["intent_id"])
    seen: list[str] = []
    pages = 0
    following: str | None = ""
    while following is not None:
        query = f"&cursor={following}" if following else ""
        answer = await world.running.http.get(f"/intents?limit=2{query}", headers=world.headers())
        page = answer.json()
        seen += [item["intent_id"] for item in page["items"]]
        following = page["next"]
        pages += 1
    assert seen == ids[::-1]
    assert pages == 3
    bad = await world.running.http.get("/intents?cursor=%00", headers=world.headers())
    assert (bad.status_code, bad.json()["code"]) == (400, "invalid_cursor")
    none = await world.running.http.get("/intents?status=completed", headers=world.headers())
    assert none.json()["items"] == []
    assert (await world.running.http.get("/intents?status=x", headers=world.headers())).status_code == 422


async def test_what_is_upcoming_comes_soonest_first(world: World) -> None:
    for number, hours in enumerate((5, 1, 3)):
        at = world.clock.now() + timedelta(hours=hours)
        await created(world, f"key {number}", amount=str(hours), not_before=at.isoformat())
    await created(world, "now", amount="9")
    first = (await world.running.http.get("/intents/upcoming?limit=2", headers=world.headers())).json()
    assert [item["amount"] for item in first["items"]] == ["1", "3"]
    rest = await world.running.http.get(
        f"/intents/upcoming?limit=2&cursor={first['next']}", headers=world.headers()
    )
    assert [item["amount"] for item in rest.json()["items"]] == ["5"]


async def test_what_is_delayed_says_why(world: World) -> None:
    intent = await created(world)
    await post(world, f"/intents/{intent['intent_id']}/authorisation", {"signature": signature_of(intent)})
    delayed = (await world.running.http.get("/intents/delayed", headers=world.headers())).json()
    assert [(item["status"], item["reason"]) for item in delayed["items"]] == [
        ("awaiting_approval", "approval_missing")
    ]
    shown = await world.running.http.get(f"/intents/{intent['intent_id']}", headers=world.headers())
    assert shown.json()["next_step"]["purpose"] == "approve"


async def test_pausing_holds_back_and_resuming_lets_go(world: World) -> None:
    intent = await created(world)
    path = f"/intents/{intent['intent_id']}"
    http, headers = world.running.http, world.headers()
    assert (await http.post(f"{path}/pause", headers=headers)).json()["paused"]
    assert (await http.post(f"{path}/pause", headers=headers)).json()["paused"]
    world.approve()
    answer = await post(world, f"{path}/authorisation", {"signature": signature_of(intent)})
    assert (answer.json()["status"], answer.json()["paused"]) == ("armed", True)
    await world.pass_time(3_600)
    await world.settle()
    assert await world.broker.probe.count(IntentDueV1) == 0
    resumed = await http.post(f"{path}/resume", headers=world.headers())
    assert not resumed.json()["paused"]
    await world.collect(IntentDueV1)
    late = await http.post(f"{path}/pause", headers=world.headers())
    assert (late.status_code, late.json()["code"]) == (409, "not_pausable")


async def test_resuming_what_waits_looks_soon(world: World) -> None:
    intent = await created(world)
    path = f"/intents/{intent['intent_id']}"
    await post(world, f"{path}/authorisation", {"signature": signature_of(intent)})
    world.clock.advance(600)
    http = world.running.http
    await http.post(f"{path}/pause", headers=world.headers())
    resumed = (await http.post(f"{path}/resume", headers=world.headers())).json()
    assert (resumed["status"], resumed["reason"]) == ("awaiting_approval", "approval_missing")
    row = await world.row(UUID(intent["intent_id"]))
    assert row["next_check_at"] == world.clock.now() + timedelta(seconds=2)


async def test_terms_change_before_authorisation_only(world: World) -> None:
    world.approve()
    intent = await created(world)
    path = f"/intents/{intent['intent_id']}"
    http = world.running.http

    async def patch(**body: Any) -> Any:
        return await http.patch(path, json=body, headers=world.headers())

    labelled = (await patch(recipient_label="bob")).json()
    assert (labelled["recipient_label"], labelled["order_hash"]) == ("bob", intent["order_hash"])
    at = world.clock.now() + timedelta(hours=1)
    moved = (await patch(not_before=at.isoformat())).json()
    assert moved["order_hash"] != intent["order_hash"]
    assert moved["order"]["valid_after"] == int(at.timestamp())
    until = at + timedelta(days=2)
    extended = (await patch(expires_at=until.isoformat())).json()
    assert extended["order"]["valid_until"] == int(until.timestamp())
    assert extended["order"]["valid_after"] == int(at.timestamp())
    for body, code in (
        ({"expires_at": world.clock.now().isoformat()}, "expiry_out_of_range"),
        ({"expires_at": (at + timedelta(days=91)).isoformat()}, "expiry_out_of_range"),
        ({"not_before": (at + timedelta(days=800)).isoformat()}, "too_far_ahead"),
        ({"not_before": "9999-12-31T23:59:59Z"}, "too_far_ahead"),
        ({"not_before": "1960-01-01T00:00:00Z"}, "invalid_terms"),
        ({"expires_at": "9999-12-31T23:59:59Z"}, "expiry_out_of_range"),
        ({"amount": "5"}, "invalid_request"),
    ):
        answer = await patch(**body)
        assert (answer.status_code, answer.json()["code"]) == (422, code)
    at_once = (await patch(not_before=None)).json()
    assert at_once["not_before"] is None
    stale = await post(world, f"{path}/authorisation", {"signature": signature_of(intent)}, "stale")
    assert stale.json()["code"] == "wrong_signature"
    answer = await post(world, f"{path}/authorisation", {"signature": signature_of(at_once)}, "new")
    assert answer.json()["status"] == "due"
    (due,) = await world.collect(IntentDueV1)
    assert due.order_hash == at_once["order_hash"]
    late = await patch(recipient_label="carol")
    assert (late.status_code, late.json()["code"]) == (409, "already_authorised")
    assert len(await world.rows("SELECT * FROM intent_order")) == 4


async def test_an_edit_that_moves_a_payment_is_held_to_the_limits_of_its_new_day(world: World) -> None:
    tomorrow = world.clock.now() + timedelta(days=1)
    for number in range(5):
        await created(world, f"today {number}", amount=str(10**9 - number))
    intent = await created(world, "tomorrow", not_before=tomorrow.isoformat())

    async def patch(**body: Any) -> Any:
        path = f"/intents/{intent['intent_id']}"
        return await world.running.http.patch(path, json=body, headers=world.headers())

    answer = await patch(not_before=None)
    assert (answer.status_code, answer.json()["code"]) == (409, "limit_exceeded")
    assert (await patch(not_before=(tomorrow + timedelta(days=1)).isoformat())).status_code == 200
    rows = await world.rows("SELECT day, amount FROM spending ORDER BY day")
    assert [row["amount"] for row in rows] == [5 * 10**9 - 10, 0, 1_000]


async def test_what_users_command_is_in_the_audit_log(world: World) -> None:
    world.approve()
    intent = await created(world)
    path = f"/intents/{intent['intent_id']}"
    http, headers = world.running.http, world.headers()
    await http.patch(path, json={"recipient_label": "bob"}, headers=headers)
    await http.patch(path, json={"amount": "5"}, headers=headers)  # refused: nothing happened
    for act in ("pause", "pause", "resume"):
        await http.post(f"{path}/{act}", headers=headers)
    await post(world, f"{path}/authorisation", {"signature": signature_of(intent)}, "signed")
    await http.delete(path, headers=headers)
    await world.created(amount=7)
    entries = await world.rows("SELECT * FROM audit_entry ORDER BY position")
    acts = ["created", "edited", "paused", "resumed", "authorised", "cancelled", "created"]
    assert [entry["action"] for entry in entries] == [f"intent.{act}" for act in acts]
    assert {entry["actor"] for entry in entries} == {str(world.user_id)}
    assert {entry["subject"] for entry in entries[:-1]} == {intent["intent_id"]}
    assert intent["order_hash"] in entries[4]["details"]
    found = await verify(world.running.runtime.database)
    assert (found.entries, found.broken_at) == (len(acts), None)


async def test_terms_stay_when_their_deposit_is_on_its_way(world: World) -> None:
    intent = await created(world, token=f"31337:{CRO.address}")
    await world.publish(world.fact(TransactionFinalV1, world.log("funded", intent["order_hash"], amount=1)))
    await world.status(UUID(intent["intent_id"]), "awaiting_authorisation", "funding_partial")
    answer = await world.running.http.patch(
        f"/intents/{intent['intent_id']}", json={"not_before": None}, headers=world.headers()
    )
    assert (answer.status_code, answer.json()["code"]) == (409, "funding_under_way")


async def test_deleting_is_cancelling(world: World) -> None:
    intent = await created(world)
    answer = await world.running.http.delete(f"/intents/{intent['intent_id']}", headers=world.headers())
    assert (answer.status_code, answer.json()["status"]) == (200, "cancelled")
    again = await world.running.http.delete(f"/intents/{intent['intent_id']}", headers=world.headers())
    assert (again.status_code, again.json()["code"]) == (409, "already_cancelled")
    (updated,) = await world.collect(IntentUpdatedV1)
    assert updated.status == "cancelled"


async def test_transactions_for_the_payers_wallet(world: World) -> None:
    token, native = await created(world), await created(world, "two", token=f"31337:{CRO.address}")
    http = world.running.http

    async def ask(intent: dict[str, Any], query: str) -> Any:
        return await http.get(f"/internal/intents/{intent['intent_id']}/transactions?{query}")

    fund = (await ask(native, "purpose=fund")).json()
    assert fund["user_id"] == str(world.user_id)
    assert fund["transactions"] == [native["transaction"]]
    both = (await ask(token, "purpose=deposit&amount=400")).json()["transactions"]
    assert [item["purpose"] for item in both] == ["approve", "deposit"]
    cancel = (await ask(token, "purpose=cancel")).json()["transactions"]
    assert [(item["purpose"], item["to"]) for item in cancel] == [("cancel", CHAIN.escrow)]
    for intent, query, status, code in (
        (token, "purpose=return_expired", 409, "not_expired"),
        (token, "purpose=deposit&amount=1001", 409, "deposit_out_of_range"),
        (token, "purpose=nonsense", 422, "invalid_request"),
        (token, "purpose=deposit&amount=x", 422, "invalid_request"),
        ({"intent_id": uuid4()}, "purpose=cancel", 404, "not_found"),
    ):
        answer = await ask(intent, query)
        assert (answer.status_code, answer.json()["code"]) == (status, code)
    world.monitor.is_available = False
    assert (await ask(token, "purpose=deposit")).status_code == 503
    assert (await ask(native, "purpose=deposit")).status_code == 200
    shown = await http.get(f"/internal/intents/{token['intent_id']}")
    assert shown.json()["intent_id"] == token["intent_id"]


async def test_the_overview_adds_up(world: World, build: Builder) -> None:
    world.approve()
    await created(world, "open")
    paid = await created(world, "paid", amount="250")
    path = f"/intents/{paid['intent_id']}/authorisation"
    await post(world, path, {"signature": signature_of(paid)})
    (due,) = await world.collect(IntentDueV1)
    await world.publish(
        build(PaymentSucceededV1, payment_id=due.payment_id, intent_id=due.intent_id, occurrence=0, version=9)
    )
    await world.status(due.intent_id, "completed")
    overview = (await world.running.http.get("/stats/overview", headers=world.headers())).json()
    assert overview["by_status"] == {"awaiting_authorisation": 1, "completed": 1}
    assert (overview["intents"], overview["waiting"], overview["success_thousandths"]) == (2, 0, 1000)
    (token,) = overview["tokens"]
    assert (token["completed_amount"], token["open_amount"]) == ("250", "1000")
    other = world.headers(uuid4())
    empty = (await world.running.http.get("/stats/overview", headers=other)).json()
    assert (empty["intents"], empty["success_thousandths"]) == (0, None)
    refused = await world.running.http.get("/stats/overview?scope=all", headers=other)
    assert refused.status_code == 403
    admin = world.headers(uuid4(), roles=("admin",))
    everyone = (await world.running.http.get("/stats/overview?scope=all", headers=admin)).json()
    assert everyone["intents"] == 2


async def test_gas_prices_now_and_by_minute(world: World) -> None:
    start = world.clock.now()
    for seconds, price in ((0, 30), (10, 10), (20, 20), (70, 40)):
        await world.publish(
            GasPriceUpdatedV1(
                chain_id=31337, block_number=seconds, gas_price=price, base_fee=1,
                observed_at=start + timedelta(seconds=seconds),
            )
        )  # fmt: skip

    async def told() -> dict[str, Any] | None:
        answer = await world.running.http.get("/stats/gas-prices", headers=world.headers())
        chains = answer.json()["chains"]
        return chains[0] if chains and chains[0]["gas_price"] == "40" else None

    chain = await eventually(told)
    assert [(item["lowest"], item["highest"], item["latest"]) for item in chain["samples"]] == [
        ("10", "30", "20"), ("40", "40", "40"),
    ]  # fmt: skip
