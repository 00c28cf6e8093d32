"""Routing over a real broker and database."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
import pytest_asyncio

from snowrail_events import PaymentFailedV1, PaymentSucceededV1, RouteSelectedV1, RouteSelectV1
from snowrail_kit.audit import verify
from snowrail_kit.ids import derived_id
from snowrail_routing.app import service
from snowrail_routing.settings import RailSettings, Settings
from snowrail_testkit import (
    Broker,
    Builder,
    CreateDatabase,
    FakeClock,
    RunningService,
    eventually,
    running_service,
)
from snowrail_testkit.tokens import TokenIssuer

TOKEN = "31337:0x" + "0" * 40
ESCROW = RailSettings(rail="evm_escrow", chain_ids=(31337,))


@dataclass
class World:
    """A running service and what surrounds it."""

    running: RunningService
    broker: Broker
    build: Builder
    clock: FakeClock
    tokens: TokenIssuer

    def request(self, payment_id: UUID | None = None, attempt: int = 1, **changes: Any) -> RouteSelectV1:
        """Return the command to choose the rail of an attempt."""
        values: dict[str, Any] = {"chain_id": 31337, "token": TOKEN, "excluded_rails": (), **changes}
        return self.build(RouteSelectV1, payment_id=payment_id or uuid4(), attempt=attempt, **values)

    async def select(self, *commands: RouteSelectV1) -> list[RouteSelectedV1]:
        """Send commands and return the answers to them."""
        before = await self.broker.probe.count(RouteSelectedV1)
        for command in commands:
            await self.broker.probe.publish(command)
        return (await self.broker.probe.collect(RouteSelectedV1, before + len(commands)))[before:]

    async def end(self, payment_id: UUID, code: str | None = None, attempt: int = 1) -> None:
        """Say how a payment ended: without a code it succeeded."""
        ended = self.clock.now()
        if code is None:
            event = self.build(PaymentSucceededV1, payment_id=payment_id, attempt=attempt, succeeded_at=ended)
        else:
            event = self.build(
                PaymentFailedV1, payment_id=payment_id, attempt=attempt, code=code, failed_at=ended
            )
        await self.broker.probe.publish(event)

        async def is_rewarded() -> bool:
            query = "SELECT 1 FROM decision WHERE payment_id = $1 AND rewarded_at IS NULL"
            return not await self.rows(query, payment_id)

        await eventually(is_rewarded)

    async def rows(self, query: str, *arguments: Any) -> list[Any]:
        """Read the service's database."""
        return await self.running.runtime.database.fetch(query, *arguments)

    def headers(self, *roles: str, key: str | None = None) -> dict[str, str]:
        """Return the headers of a request by somebody with these roles."""
        headers = self.tokens.headers(self.clock.now(), UUID(int=1), roles=("user", *roles))
        return {**headers, **({"Idempotency-Key": key} if key else {})}

    async def rails(self) -> dict[str, Any]:
        """Return what an administrator sees of each rail."""
        answer = await self.running.http.get("/rails", headers=self.headers("admin"))
        return {item["rail"]: item for item in answer.json()}


async def started(
    rails: tuple[RailSettings, ...],
    broker: Broker,
    create_database: CreateDatabase,
    build: Builder,
    clock: FakeClock,
    folder: Path,
) -> AsyncIterator[World]:
    """Run the service with these rails."""
    tokens = TokenIssuer.create(folder)
    settings = broker.settings(
        Settings,
        "routing",
        await create_database("snowrail_routing"),
        rails=rails,
        jwt_public_keys_file=tokens.jwks_file,
    )
    async with running_service(service, settings, clock=clock) as running:
        yield World(running, broker, build, clock, tokens)


@pytest_asyncio.fixture(loop_scope="session")
async def several(
    broker: Broker, create_database: CreateDatabase, build: Builder, clock: FakeClock, tmp_path: Path
) -> AsyncIterator[World]:
    """Routing with two rails on, one off, and one that nothing carries yet."""
    rails = (
        ESCROW,
        RailSettings(rail="other_rail", chain_ids=(31337,), cost=0.2),
        RailSettings(rail="switched_off", chain_ids=(31337,), enabled=False),
        RailSettings(rail="stripe", chain_ids=(31337,), available=False),
    )
    async for world in started(rails, broker, create_database, build, clock, tmp_path):
        yield world


@pytest_asyncio.fixture(loop_scope="session")
async def single(
    broker: Broker, create_database: CreateDatabase, build: Builder, clock: FakeClock, tmp_path: Path
) -> AsyncIterator[World]:
    """Routing with the escrow alone, as it is today."""
    async for world in started((ESCROW,), broker, create_database, build, clock, tmp_path):
        yield world


async def test_an_attempt_is_decided_once(several: World) -> None:
    command = several.request()
    answers = await several.select(*[command] * 5)
    answers += await several.select(command.model_copy(update={"amount": 10**9}))
    assert len({(answer.decision_id, answer.rail) for answer in answers}) == 1
    assert answers[0].decision_id == derived_id("decision", command.payment_id, 1)
    assert answers[0].eligible_rails == ("evm_escrow", "other_rail")
    assert 0 < answers[0].propensity_millionths < 1_000_000
    (stored,) = await several.rows("SELECT * FROM decision")
    assert stored["propensity_millionths"] == answers[0].propensity_millionths
    assert stored["inputs"]["amount"] == str(command.amount)


async def test_no_rail_is_an_answer_too(several: World) -> None:
    (answer,) = await several.select(several.request(chain_id=999))
    assert (answer.rail, answer.propensity_millionths) == (None, 0)
    excluded = several.request(excluded_rails=("evm_escrow",))
    (answer,) = await several.select(excluded)
    assert (answer.rail, answer.reason) == ("other_rail", "only_eligible_rail")


async def test_every_decision_is_rewarded_once(several: World) -> None:
    payment = uuid4()
    await several.select(several.request(payment, 1), several.request(payment, 2))
    for _ in range(2):
        await several.end(payment, attempt=2)
    rows = await several.rows("SELECT reward_millionths FROM decision ORDER BY attempt")
    assert [row["reward_millionths"] for row in rows] == [0, 1_000_000]
    (row,) = await several.rows("SELECT sum(trials) AS trials FROM experience")
    assert 1.9 < row["trials"] <= 2


@pytest.mark.parametrize("code", ["insufficient_allowance", "recipient_refused", "a_code_of_tomorrow"])
async def test_nobody_stops_a_rail_by_failing_on_purpose(single: World, code: str) -> None:
    commands = [single.request() for _ in range(10)]
    await single.select(*commands)
    for command in commands:
        await single.end(command.payment_id, code)
    assert not await single.rows("SELECT 1 FROM experience")
    assert (await single.rails())["evm_escrow"]["breaker"] == "closed"
    (answer,) = await single.select(single.request())
    assert answer.rail == "evm_escrow"


async def test_a_failing_rail_is_paused_probed_and_used_again(single: World) -> None:
    commands = [single.request() for _ in range(5)]
    await single.select(*commands)
    for command in commands:
        await single.end(command.payment_id, "executor_not_authorised")
    rail = (await single.rails())["evm_escrow"]
    assert (rail["breaker"], rail["failures"]) == ("open", 5)
    waiting = [single.request() for _ in range(6)]
    for command in waiting:
        await single.broker.probe.publish(command)

    async def parked(count: int) -> bool:
        return len(await single.rows("SELECT 1 FROM parked_message")) == count

    await eventually(lambda: parked(6))
    assert await single.broker.probe.count(RouteSelectedV1) == 5  # they wait, nothing failed
    single.clock.advance(60)  # the pause and the pauses of those who wait are over
    probes = (await single.broker.probe.collect(RouteSelectedV1, 8))[5:]
    await eventually(lambda: parked(3))
    assert (await single.rails())["evm_escrow"]["breaker"] == "half_open"
    assert await single.broker.probe.count(RouteSelectedV1) == 8
    await single.end(probes[0].payment_id)
    await eventually(lambda: parked(0))
    answers = (await single.broker.probe.collect(RouteSelectedV1, 11))[5:]
    assert {answer.payment_id for answer in answers} == {command.payment_id for command in waiting}
    assert {answer.rail for answer in answers} == {"evm_escrow"}
    assert (await single.rails())["evm_escrow"] == {
        "rail": "evm_escrow", "enabled": True, "available": True, "breaker": "closed", "failures": 0,
        "paused_until": None,
    }  # fmt: skip


async def test_a_payment_falls_over_to_a_rail_that_is_not_paused(several: World) -> None:
    for _ in range(5):
        (answer,) = await several.select(several.request(excluded_rails=("other_rail",)))
        await several.end(answer.payment_id, "transaction_reverted")
    (answer,) = await several.select(several.request())
    assert (answer.rail, answer.eligible_rails) == ("other_rail", ("other_rail",))


async def test_what_is_learnt_moves_the_choice(several: World) -> None:
    (before,) = await several.select(several.request())
    assert before.propensity_millionths > 0
    preview = {"chain_id": 31337, "token": TOKEN, "amount": "1000000"}

    async def chance_of_escrow() -> int:
        answer = await several.running.http.post("/route", json=preview, headers=several.headers())
        view = answer.json()
        chance = view["propensity_millionths"]
        return chance if view["rail"] == "evm_escrow" else 1_000_000 - chance

    first = await chance_of_escrow()
    for _ in range(4):
        (answer,) = await several.select(several.request(excluded_rails=("other_rail",)))
        await several.end(answer.payment_id, "transaction_reverted")
    assert await chance_of_escrow() < first - 100_000
    several.clock.advance(30 * 24 * 3600)
    assert abs(await chance_of_escrow() - first) < 20_000  # old outcomes fade


async def test_a_preview_stores_nothing(several: World) -> None:
    body = {"chain_id": 31337, "token": TOKEN, "amount": "5"}
    answer = await several.running.http.post("/route", json=body, headers=several.headers())
    assert answer.status_code == 200
    assert set(answer.json()["eligible_rails"]) == {"evm_escrow", "other_rail"}
    assert not await several.rows("SELECT 1 FROM decision")
    for bad in ({**body, "amount": "x"}, {**body, "token": "x"}, {**body, "more": 1}):
        refused = await several.running.http.post("/route", json=bad, headers=several.headers())
        assert (refused.status_code, refused.json()["code"]) == (422, "invalid_request")
    assert (await several.running.http.post("/route", json=body)).status_code == 401


async def test_rails_are_switched_by_administrators_on_the_record(several: World) -> None:
    http = several.running.http
    switch = {"enabled": False, "reason": "maintenance"}
    assert (await http.post("/rails/evm_escrow", json=switch)).status_code == 401
    refused = await http.post("/rails/evm_escrow", json=switch, headers=several.headers(key="1"))
    assert (refused.status_code, refused.json()["code"]) == (403, "role_required")
    assert (await http.get("/rails", headers=several.headers())).status_code == 403
    for _ in range(2):
        done = await http.post("/rails/evm_escrow", json=switch, headers=several.headers("admin", key="1"))
        assert (done.status_code, done.json()["enabled"]) == (200, False)
    assert not (await several.rails())["evm_escrow"]["enabled"]
    (answer,) = await several.select(several.request())
    assert answer.rail == "other_rail"
    entries = await several.rows("SELECT actor, action, subject FROM audit_entry")
    assert [tuple(entry) for entry in entries] == [(str(UUID(int=1)), "rail.switched", "evm_escrow")]
    assert (await verify(several.running.runtime.database)).broken_at is None


async def test_a_rail_that_nothing_carries_cannot_be_switched_on(several: World) -> None:
    http = several.running.http
    body = {"enabled": True, "reason": "hope"}
    for rail, status, code in (("stripe", 409, "rail_not_available"), ("unheard_of", 404, "not_found")):
        answer = await http.post(f"/rails/{rail}", json=body, headers=several.headers("admin", key=rail))
        assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert not (await several.rails())["stripe"]["available"]
    assert await several.rows("SELECT 1 FROM audit_entry") == []


def test_the_usual_rails_are_declared() -> None:
    rails = {rail.rail: (rail.enabled, rail.available) for rail in Settings().rails}
    assert rails == {
        "evm_escrow": (True, True),
        "stripe": (False, False),
        "amazon_pay": (False, False),
        "solana": (False, False),
    }
