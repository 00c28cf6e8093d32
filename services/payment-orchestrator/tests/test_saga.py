"""The saga over a real broker and database, the other services played by the probe."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import pytest
import pytest_asyncio

from snowrail_events import (
    FraudAssessedV1,
    FraudAssessV1,
    FraudReviewedV1,
    IntentCancelledV1,
    IntentDueV1,
    PaymentBlockedV1,
    PaymentCancelledV1,
    PaymentFailedV1,
    PaymentSucceededV1,
    PaymentUpdatedV1,
    RouteSelectedV1,
    RouteSelectV1,
    SettlementExecutedV1,
    SettlementExecuteV1,
    SettlementFailedV1,
    SettlementOrphanedV1,
    SettlementSubmittedV1,
    SettlementUnknownV1,
    TransactionFinalV1,
    TransactionOrphanedV1,
)
from snowrail_events.parts import EscrowLog
from snowrail_kit.auth import Identity
from snowrail_kit.pagination import Cursor, PageRequest
from snowrail_payment_orchestrator.api import list_movements
from snowrail_payment_orchestrator.app import service
from snowrail_payment_orchestrator.metrics import OLDEST_ATTEMPT_SECONDS, OPEN_ATTEMPTS
from snowrail_payment_orchestrator.settings import Settings
from snowrail_payment_orchestrator.store import OPEN_STATUSES
from snowrail_payment_orchestrator.usecases.watch import watch_attempts
from snowrail_testkit import Broker, Builder, CreateDatabase, RunningService, eventually, running_service

NATIVE = "0x" + "0" * 40
TX = "0x" + "a1" * 32
BLOCK = "0x" + "b1" * 32


@pytest_asyncio.fixture(loop_scope="session")
async def orchestrator(broker: Broker, create_database: CreateDatabase) -> AsyncIterator[RunningService]:
    """The orchestrator, running."""
    database = await create_database("snowrail_payment_orchestrator")
    async with running_service(
        service, broker.settings(Settings, "payment-orchestrator", database)
    ) as running:
        yield running


class Saga:
    """Plays intent, fraud, routing and settlement for one payment."""

    def __init__(
        self, broker: Broker, build: Builder, orchestrator: RunningService, token: str, **due: Any
    ) -> None:
        self.probe = broker.probe
        self.build = build
        self.database = orchestrator.runtime.database
        self.token = token
        values: dict[str, Any] = {
            "payment_id": uuid4(),
            "intent_id": uuid4(),
            "occurrence": 0,
            "token": token,
            "chain_id": 31337,
            "order_hash": "0x" + uuid4().hex * 2,
            **due,
        }
        self.due = build(IntentDueV1, **values)

    @property
    def payment_id(self) -> UUID:
        return self.due.payment_id

    async def reach_executing(self, nth: int = 1) -> SettlementExecuteV1:
        """Start its first attempt; it is the n-th payment of the test."""
        await self.probe.publish(self.due)
        await self.probe.collect(FraudAssessV1, nth)
        await self.assess("allow")
        return await self.route(nth=nth)

    async def assess(self, decision: str) -> None:
        await self.publish(FraudAssessedV1, decision=decision, score_thousandths=400, reasons=("new_payee",))

    async def route(self, attempt: int = 1, rail: str | None = "evm_escrow", nth: int | None = None) -> Any:
        count = nth or attempt
        selections = await self.probe.collect(RouteSelectV1, count)
        assert (selections[-1].payment_id, selections[-1].attempt) == (self.payment_id, attempt)
        await self.publish(RouteSelectedV1, attempt=attempt, rail=rail, decision_id=uuid4())
        if rail is None:
            return None
        return (await self.probe.collect(SettlementExecuteV1, count))[-1]

    async def publish(self, event: type[Any], *, version: int = 0, **fields: Any) -> UUID:
        known = {
            "payment_id": self.payment_id,
            "intent_id": self.due.intent_id,
            "user_id": self.due.user_id,
            "occurrence": self.due.occurrence,
            "chain_id": 31337,
        }
        given = {name: value for name, value in known.items() if name in event.model_fields}
        return await self.probe.publish(self.build(event, **{**given, **fields}), version=version)

    async def executed(
        self, attempt: int = 1, block_hash: str = BLOCK, fee: int = 0, version: int = 0, **fields: Any
    ) -> None:
        await self.publish(
            SettlementExecutedV1,
            version=version,
            attempt=attempt,
            tx_hash=TX,
            block_hash=block_hash,
            amount=self.due.order.amount,
            fee=fee,
            **fields,
        )

    async def status(self) -> str:
        row = await self.database.fetch_row(
            "SELECT status FROM payment WHERE payment_id = $1", self.payment_id
        )
        return row["status"]

    async def until(self, status: str) -> None:
        async def reached() -> bool:
            return await self.status() == status

        await eventually(reached)

    async def holds(self) -> list[str]:
        rows = await self.database.fetch(
            "SELECT status FROM hold WHERE payment_id = $1 ORDER BY attempt", self.payment_id
        )
        return [row["status"] for row in rows]

    async def balance(self, account: str) -> int:
        row = await self.database.fetch_row(
            "SELECT coalesce(sum(atoms), 0) AS atoms FROM posting WHERE account = $1", account
        )
        return row["atoms"]


@pytest.fixture
def saga(broker: Broker, build: Builder, orchestrator: RunningService) -> Saga:
    """One ERC-20 payment."""
    return Saga(broker, build, orchestrator, "31337:0x0000000000000000000000000000000000000001")


@pytest.fixture
def native_saga(broker: Broker, build: Builder, orchestrator: RunningService) -> Saga:
    """One payment in the chain's own coin."""
    return Saga(broker, build, orchestrator, f"31337:{NATIVE}")


async def test_a_payment_clears_and_is_in_the_ledger_once(saga: Saga) -> None:
    command = await saga.reach_executing()
    assert command.order == saga.due.order
    assert await saga.holds() == ["HELD"]
    await saga.publish(SettlementSubmittedV1, attempt=1, tx_hash=TX)
    assert (await saga.probe.collect(PaymentUpdatedV1, 1))[0].step == "submitted"
    await saga.executed(fee=7)
    await saga.executed(fee=7)
    success = (await saga.probe.collect(PaymentSucceededV1, 1))[0]
    assert (success.payment_id, success.tx_hash, success.fee) == (saga.payment_id, TX, 7)
    assert await saga.holds() == ["POSTED"]
    assert await saga.balance(f"wallet:{saga.due.order.payer}") == -(saga.due.order.amount + 7)
    assert await saga.balance(f"wallet:{saga.due.order.recipient}") == saga.due.order.amount
    assert await saga.balance("platform:fees") == 7
    assert await saga.probe.count(PaymentSucceededV1) == 1


async def test_the_same_occurrence_makes_one_payment(saga: Saga) -> None:
    for _ in range(3):
        await saga.probe.publish(saga.due)
    await saga.probe.publish(saga.due.model_copy(update={"payment_id": uuid4()}))
    await saga.probe.collect(FraudAssessV1, 1)
    await saga.assess("allow")
    await saga.probe.collect(RouteSelectV1, 1)
    assert await saga.probe.count(FraudAssessV1) == 1


async def test_an_execution_that_failed_is_paid_by_a_later_payment(saga: Saga) -> None:
    await saga.probe.publish(saga.due)
    await saga.probe.collect(FraudAssessV1, 1)
    await saga.assess("block")
    await saga.probe.collect(PaymentBlockedV1, 1)
    later = saga.due.model_copy(update={"payment_id": uuid4()})
    await saga.probe.publish(later)
    assert (await saga.probe.collect(FraudAssessV1, 2))[-1].payment_id == later.payment_id
    await saga.probe.publish(saga.due.model_copy(update={"payment_id": uuid4()}))
    await saga.probe.publish(saga.due.model_copy(update={"payment_id": uuid4(), "intent_id": uuid4()}))
    await saga.probe.collect(FraudAssessV1, 3)
    assert await saga.probe.count(FraudAssessV1) == 3


async def test_a_score_that_comes_before_its_payment_waits(saga: Saga) -> None:
    await saga.assess("allow")
    await saga.probe.publish(saga.due)
    await saga.probe.collect(RouteSelectV1, 1)


async def test_a_blocked_payment_moves_nothing(saga: Saga) -> None:
    await saga.probe.publish(saga.due)
    await saga.probe.collect(FraudAssessV1, 1)
    await saga.assess("block")
    assert (await saga.probe.collect(PaymentBlockedV1, 1))[0].reasons == ("new_payee",)
    assert await saga.holds() == []


@pytest.mark.parametrize(("approved", "event"), [(True, RouteSelectV1), (False, PaymentBlockedV1)])
async def test_a_review_releases_or_blocks(saga: Saga, approved: bool, event: type[Any]) -> None:
    await saga.probe.publish(saga.due)
    await saga.probe.collect(FraudAssessV1, 1)
    await saga.publish(FraudReviewedV1, approved=approved)
    await saga.assess("review")
    await saga.probe.collect(event, 1)


async def test_without_an_eligible_rail_a_payment_fails(saga: Saga) -> None:
    await saga.probe.publish(saga.due)
    await saga.probe.collect(FraudAssessV1, 1)
    await saga.assess("allow")
    await saga.route(rail=None)
    assert (await saga.probe.collect(PaymentFailedV1, 1))[0].code == "no_eligible_rail"


async def test_a_proven_failure_is_tried_again_and_then_ends(saga: Saga) -> None:
    await saga.reach_executing()
    await saga.publish(SettlementFailedV1, attempt=1, code="reverted", retryable=True, tx_hash=None)
    await saga.route(attempt=2)
    assert await saga.holds() == ["VOIDED", "HELD"]
    await saga.publish(
        SettlementFailedV1, attempt=2, code="insufficient_allowance", retryable=False, tx_hash=None
    )
    failure = (await saga.probe.collect(PaymentFailedV1, 1))[0]
    assert failure.code == "insufficient_allowance"
    assert await saga.holds() == ["VOIDED", "VOIDED"]


async def test_an_unknown_outcome_keeps_its_hold_until_there_is_evidence(
    saga: Saga, orchestrator: RunningService
) -> None:
    await saga.reach_executing()
    await saga.publish(SettlementUnknownV1, attempt=1, tx_hash=TX, code="no_receipt")
    await saga.until("unknown")
    assert await saga.holds() == ["HELD"]
    await watch_attempts(orchestrator.parts)
    assert [OPEN_ATTEMPTS.labels(status)._value.get() for status in OPEN_STATUSES] == [0, 1]  # pyright: ignore[reportPrivateUsage]
    assert OLDEST_ATTEMPT_SECONDS.labels("UNKNOWN")._value.get() > 0  # pyright: ignore[reportPrivateUsage]
    await saga.executed()
    await saga.until("succeeded")
    await watch_attempts(orchestrator.parts)
    assert OLDEST_ATTEMPT_SECONDS.labels("UNKNOWN")._value.get() == 0  # pyright: ignore[reportPrivateUsage]
    assert await saga.holds() == ["POSTED"]
    assert await saga.probe.count(RouteSelectV1) == 1


async def test_an_orphaned_success_is_compensated_and_counted_again(native_saga: Saga) -> None:
    saga = native_saga
    amount = saga.due.order.amount
    log = EscrowLog(
        log_index=0,
        name="funded",
        order_hash=saga.due.order_hash,
        payer=saga.due.order.payer,
        token=NATIVE,
        amount=amount,
    )
    await saga.publish(TransactionFinalV1, logs=(log,), tx_hash="0x" + "f1" * 32)
    await saga.reach_executing()
    await saga.executed()
    await saga.until("succeeded")
    assert await saga.balance(f"escrow:{saga.due.order_hash}") == 0
    await saga.publish(SettlementOrphanedV1, attempt=1, tx_hash=TX)
    await saga.until("executing")
    assert await saga.holds() == ["HELD"]
    assert await saga.balance(f"escrow:{saga.due.order_hash}") == amount
    assert await saga.balance(f"wallet:{saga.due.order.recipient}") == 0
    await saga.executed(block_hash="0x" + "b2" * 32)
    await saga.until("succeeded")
    assert await saga.balance(f"wallet:{saga.due.order.recipient}") == amount
    await saga.probe.collect(PaymentSucceededV1, 2)
    assert await saga.probe.count(PaymentSucceededV1) == 2


async def test_a_success_in_a_new_block_waits_for_the_old_one_to_be_orphaned(saga: Saga) -> None:
    await saga.reach_executing()
    await saga.executed()
    await saga.until("succeeded")
    await saga.executed(block_hash="0x" + "b2" * 32)
    await saga.publish(SettlementOrphanedV1, attempt=1, tx_hash=TX)
    await saga.probe.collect(PaymentSucceededV1, 2)
    assert await saga.balance(f"wallet:{saga.due.order.recipient}") == saga.due.order.amount


async def test_a_cancellation_stops_what_has_not_executed(saga: Saga) -> None:
    await saga.probe.publish(saga.due)
    await saga.probe.collect(FraudAssessV1, 1)
    await saga.publish(IntentCancelledV1, on_chain=False)
    await saga.probe.collect(PaymentCancelledV1, 1)
    await saga.assess("allow")
    assert await saga.status() == "cancelled"


async def test_an_attempt_under_way_is_stopped_only_by_the_chain(saga: Saga) -> None:
    await saga.reach_executing()
    await saga.publish(IntentCancelledV1, on_chain=False)
    await saga.publish(SettlementSubmittedV1, attempt=1, tx_hash=TX)
    await saga.probe.collect(PaymentUpdatedV1, 1)
    assert await saga.status() == "executing"
    await saga.publish(IntentCancelledV1, on_chain=True)
    await saga.probe.collect(PaymentCancelledV1, 1)
    assert await saga.holds() == ["VOIDED"]


async def test_deposits_are_recorded_once_per_block_and_reversed(native_saga: Saga) -> None:
    saga = native_saga
    log = EscrowLog(
        log_index=3,
        name="funded",
        order_hash=saga.due.order_hash,
        payer=saga.due.order.payer,
        token=NATIVE,
        amount=50,
    )
    refund = EscrowLog(
        log_index=1, name="cancelled", order_hash=saga.due.order_hash, payer=saga.due.order.payer, amount=20
    )
    place: dict[str, Any] = {"tx_hash": TX, "block_hash": BLOCK}
    await saga.publish(TransactionFinalV1, logs=(refund,), tx_hash="0x" + "c1" * 32, block_hash=BLOCK)
    await saga.publish(TransactionFinalV1, logs=(log,), **place)
    await saga.publish(TransactionFinalV1, logs=(log,), **place)
    account = f"escrow:{saga.due.order_hash}"

    async def holds(atoms: int) -> bool:
        return await saga.balance(account) == atoms

    await eventually(lambda: holds(30))
    await saga.publish(TransactionOrphanedV1, logs=(log,), **place)
    await eventually(lambda: holds(-20))
    await saga.publish(TransactionFinalV1, logs=(log,), **place)
    await saga.publish(TransactionFinalV1, logs=(log,), tx_hash=TX, block_hash="0x" + "b9" * 32)
    await eventually(lambda: holds(30))


async def test_the_database_refuses_unbalanced_and_changed_journals(orchestrator: RunningService) -> None:
    database = orchestrator.runtime.database

    async def write_unbalanced() -> None:
        async with database.transaction() as connection:
            journal = uuid4()
            await connection.execute("INSERT INTO journal VALUES ($1, 'x', $2, now())", journal, str(journal))
            await connection.execute("INSERT INTO posting VALUES ($1, 1, 'a', 't', 5)", journal)

    with pytest.raises(asyncpg.RaiseError, match="sum to zero"):
        await write_unbalanced()
    with pytest.raises(asyncpg.RaiseError, match="append-only"):
        await database.fetch("UPDATE posting SET atoms = 1")


async def test_payments_are_shown_to_their_user_only(orchestrator: RunningService) -> None:
    answer = await orchestrator.http.get("/payments")
    assert answer.status_code == 401
    assert answer.json()["code"] == "unauthenticated"


async def test_a_history_is_what_a_wallet_paid_and_was_paid_page_by_page(
    orchestrator: RunningService,
) -> None:
    async with orchestrator.runtime.database.transaction() as connection:
        await connection.execute(
            """
            INSERT INTO payment (payment_id, intent_id, occurrence, user_id, chain_id, escrow, terms,
                order_hash, signature, token, amount, payer, recipient, status, step, requested_at,
                changed_at)
            SELECT gen_random_uuid(), gen_random_uuid(), 0, gen_random_uuid(), 1, '', '{}', '', '', '1:0x0',
                   number, CASE WHEN number % 2 = 0 THEN 'me' ELSE 'you' END,
                   CASE WHEN number % 2 = 0 THEN 'you' ELSE 'me' END,
                   CASE WHEN number % 3 = 0 THEN 'failed' ELSE 'succeeded' END, '',
                   to_timestamp(number), to_timestamp(number)
            FROM generate_series(1, 12) AS number
            """
        )
    me = Identity(uuid4(), "me", "me", frozenset(), uuid4(), uuid4(), datetime.now(UTC))
    seen: list[tuple[str, int]] = []
    cursor = None
    for _ in range(4):
        asked = PageRequest(3, Cursor.decode(cursor) if cursor else None)
        page = await list_movements(orchestrator.parts, me, asked)
        seen += [(item.direction, int(item.amount)) for item in page.items]
        cursor = page.next
    assert cursor is None
    received = [("received", number) for number in (11, 7, 5, 1)]
    sent = [("sent", number) for number in (12, 10, 8, 6, 4, 2)]
    assert seen == sorted(received + sent, key=lambda item: -item[1])
