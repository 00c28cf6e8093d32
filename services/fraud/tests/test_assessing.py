"""Payments are scored over a real broker and database."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from snowrail_events import (
    DeviceSignedInV1,
    FraudAssessedV1,
    PaymentSucceededV1,
    UserRegisteredV1,
    UserUpdatedV1,
)
from snowrail_fraud.domain.features import Context, Features, features_of
from snowrail_fraud.domain.scoring import Scorer
from snowrail_fraud.store import assessments
from snowrail_fraud.store.knowledge import UserState, project_users
from snowrail_testkit import Broker, Builder, FakeClock, RunningService, eventually

from .conftest import ALICE, BOB, CAROL, TOKEN, command

TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


class Fraud:
    """What a test does with the service: tell it things, ask it, look inside."""

    def __init__(self, running: RunningService, broker: Broker, build: Builder) -> None:
        self.running = running
        self.broker = broker
        self.build = build
        self.answered = 0

    async def value(self, query: str, *arguments: Any) -> Any:
        """Return one value from the service's database."""
        row = await self.running.runtime.database.fetch_row(query, *arguments)
        return row[0] if row else None

    async def ask(self, *changes: dict[str, Any]) -> list[FraudAssessedV1]:
        """Ask about payments at once and return the answers in the same order."""
        commands = [command(**change) for change in changes]
        for one in commands:
            await self.broker.probe.publish(one)
        self.answered += len(commands)
        answers = await self.broker.probe.collect(FraudAssessedV1, self.answered)
        by_id = {answer.payment_id: answer for answer in answers}
        return [by_id[one.payment_id] for one in commands]

    async def reasons(self, **change: Any) -> tuple[str, ...]:
        """Ask about one payment and return the reasons of its score."""
        return (await self.ask(change))[0].reasons

    async def register(self, user_id: UUID, at: Any, roles: tuple[str, ...] = ("user",)) -> None:
        """Say that a user registered, and wait until it is known."""
        event = self.build(UserRegisteredV1, user_id=user_id, roles=roles, changed_at=at)
        await self.broker.probe.publish(event)

        async def known() -> Any:
            return await self.value(
                "SELECT 1 FROM payer WHERE user_id = $1 AND registered_at = $2", user_id, at
            )

        await eventually(known)

    async def succeed(self, **changed: Any) -> None:
        """Say that a payment succeeded, and wait until it is learnt."""
        usual = {"payment_id": uuid4(), "payer": ALICE, "recipient": BOB, "token": TOKEN, "amount": 100}
        event = self.build(PaymentSucceededV1, **{**usual, **changed})
        await self.broker.probe.publish(event)

        async def learnt() -> Any:
            return await self.value("SELECT 1 FROM learnt_payment WHERE payment_id = $1", event.payment_id)

        await eventually(learnt)


@pytest.fixture
def fraud(running: RunningService, broker: Broker, build: Builder) -> Fraud:
    """The running service."""
    return Fraud(running, broker, build)


async def test_a_payment_gets_a_score_with_reasons_and_is_stored_with_its_inputs(
    fraud: Fraud, clock: FakeClock
) -> None:
    user_id, payment_id = uuid4(), uuid4()
    await fraud.register(user_id, clock.now() - timedelta(hours=2))
    (answer,) = await fraud.ask({"user_id": user_id, "payment_id": payment_id, "amount": 2**255})
    assert (answer.score_thousandths, answer.decision) == (190, "allow")
    assert answer.reasons == ("account_fresh", "payee_new")
    row = await fraud.running.runtime.database.fetch_row("SELECT * FROM assessment")
    assert (row["payment_id"], row["payer"], row["recipient"]) == (payment_id, ALICE, BOB)
    assert (row["amount"], row["score"], row["rules_score"], row["model_score"]) == (2**255, 190, 190, None)
    context = Context.from_json(row["context"])
    assert (context.amount, context.registered_at) == (2**255, clock.now() - timedelta(hours=2))
    assert fraud.running.parts.scorer.score([features_of(context)])[0].total == 190
    assert row["assessed_at"] == answer.assessed_at == clock.now()


async def test_an_unknown_user_is_more_suspicious_than_a_new_one(fraud: Fraud) -> None:
    assert await fraud.reasons() == ("account_unknown", "payee_new")


async def test_a_payment_asked_about_again_gets_its_first_answer(fraud: Fraud, clock: FakeClock) -> None:
    payment_id = uuid4()
    (first,) = await fraud.ask({"payment_id": payment_id})
    clock.advance(7_200)
    for _ in range(2):
        await fraud.broker.probe.publish(command(payment_id=payment_id, amount=5))
    answers = await fraud.broker.probe.collect(FraudAssessedV1, 3)
    assert answers == [first, first, first]
    assert await fraud.value("SELECT count(*) FROM assessment") == 1
    assert await fraud.value("SELECT sum(payments) FROM velocity WHERE period = 'hour'") == 1


async def test_the_same_payment_twice_in_one_batch_counts_once(fraud: Fraud) -> None:
    payment_id = uuid4()
    await asyncio.gather(*(fraud.broker.probe.publish(command(payment_id=payment_id)) for _ in range(5)))
    answers = await fraud.broker.probe.collect(FraudAssessedV1, 5)
    assert len({answer.model_dump_json() for answer in answers}) == 1
    assert await fraud.value("SELECT sum(payments) FROM velocity WHERE period = 'minute'") == 1


async def test_of_two_replicas_that_score_a_payment_at_once_the_first_answer_stands(
    fraud: Fraud, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    payment_id = uuid4()
    (first,) = await fraud.ask({"payment_id": payment_id})
    find_many = assessments.find_many
    blind = [True]

    async def find_many_too_early(connection: Any, payment_ids: Sequence[UUID]) -> Any:
        return {} if blind.pop() else await find_many(connection, payment_ids)

    blind[:0] = [False]
    monkeypatch.setattr(assessments, "find_many", find_many_too_early)
    clock.advance(60)
    await fraud.broker.probe.publish(command(payment_id=payment_id, amount=5))
    answers = await fraud.broker.probe.collect(FraudAssessedV1, 2)
    assert answers == [first, first]
    assert blind == []
    assert await fraud.value("SELECT sum(payments) FROM velocity WHERE period = 'hour'") == 1


async def test_the_trace_of_a_payment_goes_on(fraud: Fraud) -> None:
    await fraud.broker.probe.publish(command(), traceparent=TRACE)
    await fraud.broker.probe.collect(FraudAssessedV1, 1)
    stored = await fraud.value("SELECT traceparent FROM assessment")
    sent = await fraud.value("SELECT traceparent FROM outbox")
    assert stored.split("-")[1] == sent.split("-")[1] == TRACE.split("-")[1]


async def test_listed_addresses_are_blocked_or_reviewed_however_they_are_written(
    fraud: Fraud, clock: FakeClock
) -> None:
    for address, kind in ((BOB, "sanctioned"), (CAROL, "reported")):
        await fraud.running.runtime.database.fetch(
            "INSERT INTO listed_address VALUES ($1, $2, 'list', 'why', $3, now(), gen_random_uuid())",
            address,
            kind,
            uuid4(),
        )
    to_bob, to_upper_bob, from_bob, to_carol = await fraud.ask(
        {},
        {"recipient": "0x" + BOB[2:].upper()},
        {"payer": BOB, "recipient": ALICE},
        {"recipient": CAROL},
    )
    for answer in (to_bob, to_upper_bob, from_bob):
        assert (answer.decision, answer.score_thousandths) == ("block", 1000)
        assert answer.reasons[0] == "sanctioned_address"
    assert (to_carol.decision, to_carol.reasons[0]) == ("review", "reported_address")
    assert await fraud.value("SELECT count(*) FROM review") == 1
    await fraud.running.runtime.database.fetch("DELETE FROM listed_address")
    assert "sanctioned_address" not in await fraud.reasons()


async def test_many_payments_count_against_a_payer_within_a_batch_and_over_batches(
    fraud: Fraud, clock: FakeClock
) -> None:
    answers = await fraud.ask(*({} for _ in range(70)))
    fast = [answer for answer in answers if "velocity_hour" in answer.reasons]
    assert len(fast) == 10
    assert "velocity_hour" in await fraud.reasons()
    assert "velocity_hour" not in await fraud.reasons(payer=CAROL)
    clock.advance(3_600)
    assert "velocity_hour" not in await fraud.reasons()
    counts = await fraud.running.runtime.database.fetch(
        "SELECT sum(payments) AS payments, sum(amount) AS amount FROM velocity WHERE payer = $1"
        " GROUP BY period",
        ALICE,
    )
    assert [dict(row) for row in counts] == [{"payments": 72, "amount": 72 * 10**18}] * 2


async def test_a_payer_who_pays_all_day_is_noticed_and_forgotten_the_next(
    fraud: Fraud, clock: FakeClock
) -> None:
    for _ in range(6):
        await fraud.ask(*({} for _ in range(50)))
        clock.advance(3_600)
    assert "velocity_day" in await fraud.reasons()
    clock.advance(24 * 3_600)
    assert "velocity_day" not in await fraud.reasons()


async def test_a_business_may_pay_often(fraud: Fraud, clock: FakeClock) -> None:
    user_id = uuid4()
    await fraud.register(user_id, clock.now(), ("business", "user"))
    answers = await fraud.ask(*({"user_id": user_id} for _ in range(70)))
    assert not any("velocity_hour" in answer.reasons for answer in answers)


async def test_a_known_payee_is_not_new_and_imitations_are_held(fraud: Fraud) -> None:
    known = "0xAbCd" + "11" * 16 + "EF01"
    imitation = "0xaBcD" + "22" * 16 + "eF01"
    await fraud.succeed(recipient=known)
    assert "payee_new" not in await fraud.reasons(recipient=known.lower())
    (held,) = await fraud.ask({"recipient": imitation})
    assert held.decision == "review"
    assert held.reasons == ("look_alike_payee", "account_unknown", "payee_new")
    assert "look_alike_payee" not in await fraud.reasons(recipient=imitation, payer=CAROL)
    await fraud.succeed(recipient=imitation)
    assert "look_alike_payee" not in await fraud.reasons(recipient=imitation)


async def test_amounts_are_compared_with_the_payers_own_history(fraud: Fraud, clock: FakeClock) -> None:
    for day in range(5):
        await fraud.succeed(amount=100, succeeded_at=clock.now() - timedelta(days=4 - day))
    assert "amount_unusual" not in await fraud.reasons(amount=1_000)
    clock.advance(3_600)
    assert await fraud.reasons(amount=1_001) == (
        "amount_velocity_hour",
        "amount_velocity_day",
        "amount_unusual",
        "account_unknown",
    )
    other_token = "31337:0x" + "11" * 20
    assert "amount_unusual" not in await fraud.reasons(amount=10**30, token=other_token)


async def test_a_success_heard_twice_counts_once(fraud: Fraud, clock: FakeClock) -> None:
    payment_id = uuid4()
    for version in (3, 5):
        await fraud.succeed(payment_id=payment_id, version=version, amount=40)
    await fraud.succeed(amount=60)
    history = await fraud.running.runtime.database.fetch_row("SELECT * FROM payment_history")
    assert (history["payments"], history["total"], history["largest"]) == (2, 100, 60)
    assert await fraud.value("SELECT payments FROM payee") == 2


async def test_a_new_device_is_suspicious_but_not_the_first_one(fraud: Fraud, clock: FakeClock) -> None:
    user_id = uuid4()
    await fraud.register(user_id, clock.now())

    async def sign_in(*, is_new: bool) -> None:
        event = fraud.build(
            DeviceSignedInV1, user_id=user_id, is_new=is_new, signed_in_at=clock.now(), label="x"
        )
        await fraud.broker.probe.publish(event)

        async def noted() -> Any:
            return await fraud.value(
                "SELECT 1 FROM inbox WHERE sequence_key = 'device.signed_in.v1' HAVING count(*) = $1",
                fraud.broker.probe.sequences["accounts", "device.signed_in.v1"],
            )

        await eventually(noted)

    await sign_in(is_new=True)
    assert "device_new" not in await fraud.reasons(user_id=user_id)
    clock.advance(48 * 3_600)
    await sign_in(is_new=False)
    assert await fraud.reasons(user_id=user_id) == ("payee_new",)
    await sign_in(is_new=True)
    assert await fraud.reasons(user_id=user_id) == ("device_new", "payee_new")
    clock.advance(24 * 3_600)
    assert await fraud.reasons(user_id=user_id) == ("payee_new",)


async def test_users_are_known_in_whatever_order_their_events_arrive(fraud: Fraud, clock: FakeClock) -> None:
    user_id = uuid4()
    early = clock.now() - timedelta(days=30)
    subject = {"user_id": user_id}
    tell = fraud.running.runtime.database.fetch
    update = fraud.build(UserUpdatedV1, **subject, roles=("business", "user"), changed_at=clock.now())
    await fraud.broker.probe.publish(update)

    async def updated() -> Any:
        return await fraud.value("SELECT 1 FROM payer WHERE user_id = $1", user_id)

    await eventually(updated)
    assert "account_unknown" in await fraud.reasons(user_id=user_id)
    await tell("UPDATE payer SET version = 4 WHERE user_id = $1", user_id)
    await fraud.register(user_id, early, ("user",))
    row = await fraud.running.runtime.database.fetch_row("SELECT * FROM payer WHERE user_id = $1", user_id)
    assert (row["roles"], row["version"], row["registered_at"]) == (["business", "user"], 4, early)
    assert await fraud.reasons(user_id=user_id) == ("payee_new",)


async def test_of_several_states_of_a_user_at_once_the_newest_counts(fraud: Fraud, clock: FakeClock) -> None:
    user_id = uuid4()
    states = [
        UserState(user_id, ("user",), 1, clock.now()),
        UserState(user_id, ("business", "user"), 3, None),
        UserState(user_id, ("merchant", "user"), 2, None),
    ]
    for order in (states, states[::-1]):
        async with fraud.running.runtime.transaction() as tx:
            await project_users(tx.connection, order)
        row = await fraud.running.runtime.database.fetch_row("SELECT * FROM payer")
        assert (row["roles"], row["version"]) == (["business", "user"], 3)
        assert row["registered_at"] == clock.now()


class CountingModel:
    """A model that remembers how much it was asked."""

    version = "counting-1"

    def __init__(self) -> None:
        self.asked = 0

    def score(self, features: Sequence[Features]) -> list[int]:
        self.asked += len(features)
        return [900] * len(features)


async def test_equal_contexts_are_scored_once_in_half_an_hour(fraud: Fraud, clock: FakeClock) -> None:
    model = CountingModel()
    scorer = Scorer(fraud.running.parts.settings.rules, model, 500)
    object.__setattr__(fraud.running.parts, "scorer", scorer)

    def payers(count: int) -> list[dict[str, Any]]:
        return [{"payer": f"0x{uuid4().hex}{'0' * 8}"} for _ in range(count)]

    answers = await fraud.ask(*payers(20))
    assert {answer.score_thousandths for answer in answers} == {590}
    assert answers[0].reasons == ("account_unknown", "payee_new", "model")
    asked = model.asked
    assert asked >= 1
    clock.advance(1_799)
    await fraud.ask(*payers(20))
    assert model.asked == asked
    row = await fraud.running.runtime.database.fetch_row(
        "SELECT count(*) FILTER (WHERE was_cached) AS cached, count(*) AS all,"
        " count(DISTINCT model_version) AS versions, min(model_score) AS model FROM assessment"
    )
    assert (row["cached"], row["all"], row["versions"], row["model"]) == (40 - asked, 40, 1, 900)
    clock.advance(1)
    await fraud.ask(*payers(1))
    assert model.asked == asked + 1


async def test_what_is_not_looked_at_any_more_is_deleted(fraud: Fraud, clock: FakeClock) -> None:
    await fraud.ask({}, {"recipient": CAROL})
    await fraud.succeed()
    clock.advance(timedelta(days=401))
    fraud.running.runtime.wake_task("prune")

    async def pruned() -> bool:
        return (
            await fraud.value(
                "SELECT (SELECT count(*) FROM velocity) + (SELECT count(*) FROM learnt_payment)"
                " + (SELECT count(*) FROM score_cache) + (SELECT count(*) FROM assessment)"
            )
            == 0
        )

    assert await eventually(pruned)
    assert await fraud.value("SELECT count(*) FROM payee") == 1
