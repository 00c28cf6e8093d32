"""Payments that are made later, on a condition, or again and again, over the public HTTP interface."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import httpx
import pytest

from snowrail_client import ApiError
from snowrail_local.stack import Stack
from snowrail_testkit import eventually

from .people import NewPerson, Person

USDC = 10**6


def soon(seconds: float) -> str:
    """Return the moment in so many seconds, as the interface takes it."""
    return (datetime.now(UTC) + timedelta(seconds=seconds)).isoformat()


async def ask(person: Person, recipient: str, usdc: int = 1, **terms: Any) -> dict[str, Any]:
    """Have an intent prepared. The service hears of new people a moment later."""
    token = f"{person.chain.chain_id}:{person.chain.tokens['USDC']}"
    body = {"recipient": recipient, "token": token, "amount": str(usdc * USDC), **terms}

    async def answer() -> dict[str, Any] | None:
        try:
            return dict(
                await person.client.request("POST", "/api/intents", body, idempotency_key=str(uuid4()))
            )
        except ApiError as error:
            if error.code != "limits_unknown" and error.status != 503:
                raise
            return None

    return await eventually(answer)


async def authorise(person: Person, intent: dict[str, Any]) -> dict[str, Any]:
    """Approve what is to be approved, sign, and hand the signature in."""
    if intent["approval"]:
        transaction = await person.wallet.send_transaction(person.rpc, intent["approval"])
        await person.rpc.wait_for_receipt(transaction)
    body = {"signature": person.wallet.sign_typed_data(intent["typed_data"])}
    path = f"/api/intents/{intent['intent_id']}/authorisation"
    return dict(await person.client.request("POST", path, body, idempotency_key=str(uuid4())))


async def shown(person: Person, intent: dict[str, Any]) -> dict[str, Any]:
    """Return an intent as it is now."""
    return dict(await person.client.request("GET", f"/api/intents/{intent['intent_id']}"))


async def listed(person: Person, name: str) -> list[str]:
    """Return the ids in a list of a person's intents."""
    page = await person.client.request("GET", f"/api/intents/{name}")
    return [item["intent_id"] for item in page["items"]]


async def refusal(person: Person, method: str, path: str, body: Any = None, key: str | None = None) -> str:
    """Return status and code of the problem that a request is answered with."""
    with pytest.raises(ApiError) as refused:
        await person.client.request(method, path, body, idempotency_key=key)
    assert refused.value.detail
    assert refused.value.body["status"] == refused.value.status
    return f"{refused.value.status} {refused.value.code}"


async def test_a_scheduled_payment_waits_can_be_held_back_and_is_paid_in_its_time(
    new_person: NewPerson,
) -> None:
    alice, bob = await asyncio.gather(new_person(cro=1, usdc=10), new_person(connect=False))
    intent = await ask(alice, bob.address, 2, not_before=soon(10))
    await authorise(alice, intent)
    held = await ask(alice, bob.address, 3, not_before=soon(10))
    await authorise(alice, held)
    paused = await alice.client.request("POST", f"/api/intents/{held['intent_id']}/pause")
    assert paused["paused"] is True
    assert set(await listed(alice, "upcoming")) >= {intent["intent_id"]}
    assert await bob.balance("USDC") == 0
    final = await alice.until_final(intent["intent_id"])
    assert final["occurrence"] == 0
    assert await bob.balance("USDC") == 2 * USDC
    await asyncio.sleep(3)
    assert (await shown(alice, held))["occurrences"] == []
    await alice.client.request("POST", f"/api/intents/{held['intent_id']}/resume")
    await alice.until_final(held["intent_id"])
    assert await bob.balance("USDC") == 5 * USDC
    await alice.until_status(held["intent_id"], "completed")
    path = f"/api/intents/{held['intent_id']}/pause"
    assert await refusal(alice, "POST", path) == "409 not_pausable"
    overview = await alice.client.request("GET", "/api/stats/overview")
    assert overview["by_status"] == {"completed": 2}


async def test_a_payment_waits_for_its_price_and_says_so(stack: Stack, new_person: NewPerson) -> None:
    alice, bob = await asyncio.gather(new_person(cro=1, usdc=10), new_person(connect=False))
    await asyncio.to_thread(stack.restart, "rates", {"SNOWRAIL_REFRESH_SECONDS": "1"})
    condition = {"kind": "price", "token": "CRO", "comparison": "above", "value": "0.0999"}
    intent = await ask(alice, bob.address, 1, condition=condition)
    await authorise(alice, intent)
    await alice.until_status(intent["intent_id"], "delayed")
    assert await listed(alice, "delayed") == [intent["intent_id"]]

    async def judged_by_a_price() -> bool:
        return (await shown(alice, intent))["reason"] == "price_condition_unmet"

    await eventually(judged_by_a_price)
    overview = await alice.client.request("GET", "/api/stats/overview")
    assert overview["delay_reasons"] == {"price_condition_unmet": 1}
    async with httpx.AsyncClient(base_url=stack.price_provider_url) as provider:
        before = (await provider.get("/api/v3/simple/price?ids=crypto-com-chain&vs_currencies=usd")).json()
        await provider.put("/admin/prices/crypto-com-chain", json={"usd": "0.1"})
        await alice.until_final(intent["intent_id"])
        usd = str(before["crypto-com-chain"]["usd"])
        await provider.put("/admin/prices/crypto-com-chain", json={"usd": usd})
    (paid,) = [item for item in (await shown(alice, intent))["evaluations"] if item["status"] == "due"]
    assert float(paid["inputs"]["price"]) == 0.1


async def test_what_a_series_missed_is_left_out_or_made_up_for(stack: Stack, new_person: NewPerson) -> None:
    alice, bob = await asyncio.gather(new_person(cro=1, usdc=20), new_person(connect=False))
    start = datetime.now(UTC) + timedelta(seconds=15)
    daily = {"kind": "daily", "time_zone": "Europe/Paris", "start_at": start.isoformat(), "count": 5}
    made_up = await ask(alice, bob.address, 2, recurrence={**daily, "missed": "run_once"})
    assert (made_up["order"]["max_executions"], made_up["occurrences_total"]) == (5, 5)
    await authorise(alice, made_up)
    left_out = await ask(alice, bob.address, 3, recurrence={**daily, "missed": "skip"})
    await authorise(alice, left_out)
    await asyncio.to_thread(stack.kill, "intent", stay_down=True)
    try:
        await asyncio.sleep(max(0.0, (start - datetime.now(UTC)).total_seconds()) + 4)
    finally:
        grace = {"SNOWRAIL_OCCURRENCE_GRACE_SECONDS": "2"}
        await asyncio.to_thread(stack.start_service, "intent", grace)
    await alice.until_final(made_up["intent_id"])
    assert await bob.balance("USDC") == 2 * USDC

    async def is_left_out() -> dict[str, Any] | None:
        seen = await shown(alice, left_out)
        return seen if seen["occurrences_missed"] else None

    skipped = await eventually(is_left_out)
    assert [item["status"] for item in skipped["occurrences"]] == ["skipped"]
    assert (skipped["last_result"], skipped["occurrences_paid"]) == ("skipped", 0)
    following = datetime.fromisoformat(skipped["next_run_at"])
    assert timedelta(hours=22) < following - start < timedelta(hours=26)  # the clocks may change

    async def goes_on() -> dict[str, Any] | None:
        seen = await shown(alice, made_up)
        return seen if seen["status"] == "armed" else None

    repeated = await eventually(goes_on)
    assert (repeated["occurrences_paid"], repeated["next_run_at"]) == (1, skipped["next_run_at"])
    cancelled = await alice.client.request("DELETE", f"/api/intents/{made_up['intent_id']}")
    assert cancelled["status"] == "cancelled"
    assert cancelled["next_step"]["purpose"] == "cancel"  # the signature is still good for four more
    await asyncio.to_thread(stack.restart, "intent")


async def test_a_payment_that_is_not_covered_is_told_before_its_day(new_person: NewPerson) -> None:
    alice, bob = await asyncio.gather(new_person(cro=1, usdc=1), new_person(connect=False))
    intent = await ask(alice, bob.address, 5, not_before=soon(3_600))
    await authorise(alice, intent)
    told = await alice.client.connection.wait_for(
        "notification", lambda item: item.data["type"] == "low_balance", 60
    )
    assert "needs 5 USDC; your wallet holds 1 USDC" in told.data["message"]
    assert (await shown(alice, intent))["status"] == "awaiting_funds"


async def test_limits_hold_for_what_is_scheduled(new_person: NewPerson) -> None:
    alice, bob = await asyncio.gather(new_person(cro=1, usdc=1), new_person(connect=False))
    tomorrow = soon(86_400)
    options: dict[str, Any] = {"not_before": tomorrow, "acknowledged": ["duplicate_payment"]}
    with pytest.raises(ApiError, match="at most 1000 USDC"):
        await ask(alice, bob.address, 1_001, **options)
    for _ in range(5):
        await ask(alice, bob.address, 1_000, **options)
    with pytest.raises(ApiError, match=f"still pay 0 USDC on {tomorrow[:10]}") as refused:
        await ask(alice, bob.address, 1, **options)
    assert (refused.value.status, refused.value.code) == (409, "limit_exceeded")
    hourly = {"kind": "cron", "cron": "0 * * * *", "time_zone": "UTC", "start_at": tomorrow}
    with pytest.raises(ApiError, match="in one day"):
        await ask(alice, bob.address, 300, recurrence=hourly)


async def test_what_cannot_be_done_is_answered_with_what_is_wrong(new_person: NewPerson) -> None:
    alice, bob = await asyncio.gather(new_person(cro=1, usdc=1), new_person(connect=False))
    daily = {"kind": "daily", "time_zone": "UTC", "start_at": soon(60)}
    for terms, expected in (
        ({"recurrence": {**daily, "time_zone": "Mars/Olympus"}}, "422 invalid_recurrence"),
        ({"recurrence": {**daily, "kind": "cron", "cron": "99 * * * *"}}, "422 invalid_recurrence"),
        ({"recurrence": {**daily, "start_at": soon(-86_400)}}, "422 invalid_recurrence"),
        ({"recurrence": {**daily, "every": 2}}, "422 invalid_request"),
        ({"condition": {"kind": "gas", "comparison": "below", "value": "0.5"}}, "422 invalid_condition"),
        (
            {"condition": {"kind": "price", "token": "DOGE", "comparison": "below", "value": "1"}},
            "422 unknown_price",
        ),
        ({"not_before": soon(400 * 86_400)}, "422 too_far_ahead"),
    ):
        with pytest.raises(ApiError) as refused:
            await ask(alice, bob.address, 1, **terms)
        assert f"{refused.value.status} {refused.value.code}" == expected
    assert await refusal(alice, "POST", "/api/intents", {}) == "400 idempotency_key_required"
    for action in ("/pause", "/resume"):
        path = f"/api/intents/{uuid4()}{action}"
        assert await refusal(alice, "POST", path) == "404 not_found"
    assert await refusal(alice, "GET", "/api/intents/upcoming?cursor=nonsense") == "400 invalid_cursor"
    prices = await alice.client.request("GET", "/api/stats/gas-prices")
    assert prices["chains"][0]["chain_id"] == alice.chain.chain_id
