"""Routing over a real broker and database."""

from collections.abc import AsyncIterator
from uuid import uuid4

import pytest_asyncio

from snowrail_events import PaymentFailedV1, PaymentSucceededV1, RouteSelectedV1, RouteSelectV1
from snowrail_routing.app import service
from snowrail_routing.settings import RailSettings, Settings
from snowrail_testkit import Broker, Builder, CreateDatabase, RunningService, eventually, running_service

TOKEN = "31337:0x" + "0" * 40


@pytest_asyncio.fixture(loop_scope="session")
async def routing(broker: Broker, create_database: CreateDatabase) -> AsyncIterator[RunningService]:
    """Routing with two rails on."""
    database = await create_database("snowrail_routing")
    rails = (
        RailSettings(rail="evm_escrow", chain_ids=(31337,)),
        RailSettings(rail="other_rail", chain_ids=(31337,), cost=0.2),
        RailSettings(rail="switched_off", chain_ids=(31337,), enabled=False),
    )
    async with running_service(
        service, broker.settings(Settings, "routing", database, rails=rails)
    ) as running:
        yield running


async def test_an_attempt_is_decided_once(broker: Broker, build: Builder, routing: RunningService) -> None:
    command = build(
        RouteSelectV1, payment_id=uuid4(), attempt=1, chain_id=31337, token=TOKEN, excluded_rails=()
    )
    for _ in range(5):
        await broker.probe.publish(command)
    answers = await broker.probe.collect(RouteSelectedV1, 5)
    assert len({(answer.decision_id, answer.rail) for answer in answers}) == 1
    assert answers[0].eligible_rails == ("evm_escrow", "other_rail")
    assert 0 < answers[0].propensity_millionths < 1_000_000


async def test_no_rail_is_an_answer_too(broker: Broker, build: Builder, routing: RunningService) -> None:
    await broker.probe.publish(build(RouteSelectV1, attempt=1, chain_id=999, excluded_rails=()))
    assert (await broker.probe.collect(RouteSelectedV1, 1))[0].rail is None


async def test_every_decision_is_rewarded_once(
    broker: Broker, build: Builder, routing: RunningService
) -> None:
    payment = uuid4()
    for attempt in (1, 2):
        await broker.probe.publish(
            build(
                RouteSelectV1,
                payment_id=payment,
                attempt=attempt,
                chain_id=31337,
                token=TOKEN,
                excluded_rails=(),
            )
        )
    await broker.probe.collect(RouteSelectedV1, 2)
    for _ in range(2):
        await broker.probe.publish(build(PaymentSucceededV1, payment_id=payment, attempt=2))

    async def rewards() -> list[int]:
        rows = await routing.runtime.database.fetch(
            "SELECT reward_millionths FROM decision WHERE rewarded_at IS NOT NULL ORDER BY attempt"
        )
        return [row["reward_millionths"] for row in rows]

    assert await eventually(rewards) == [0, 1_000_000]
    row = await routing.runtime.database.fetch_row("SELECT sum(trials) AS trials FROM experience")
    assert 1.9 < row["trials"] <= 2


async def test_a_failure_of_the_payer_is_not_held_against_the_rail(
    broker: Broker, build: Builder, routing: RunningService
) -> None:
    payment = uuid4()
    await broker.probe.publish(
        build(RouteSelectV1, payment_id=payment, attempt=1, chain_id=31337, token=TOKEN, excluded_rails=())
    )
    await broker.probe.collect(RouteSelectedV1, 1)
    await broker.probe.publish(
        build(PaymentFailedV1, payment_id=payment, attempt=1, code="insufficient_allowance")
    )

    async def rewarded() -> bool:
        rows = await routing.runtime.database.fetch(
            "SELECT 1 FROM decision WHERE rewarded_at IS NOT NULL AND reward_millionths IS NULL"
        )
        return bool(rows)

    await eventually(rewarded)
    assert not await routing.runtime.database.fetch("SELECT 1 FROM experience")


async def test_rails_are_the_administrators(routing: RunningService) -> None:
    answer = await routing.http.post("/rails/evm_escrow", json={"enabled": False, "reason": "test"})
    assert answer.status_code == 401
