"""Final blocks that leave the chain: what counted is taken back, and what comes instead counts."""

from typing import Any
from uuid import uuid4

import pytest

from snowrail_events import (
    FraudAssessV1,
    IntentCancelledV1,
    PaymentCancelledV1,
    PaymentFailedV1,
    PaymentSucceededV1,
    PaymentUpdatedV1,
    SettlementFailedV1,
    SettlementOrphanedV1,
    SettlementUnknownV1,
    TransactionFinalV1,
)
from snowrail_events.parts import EscrowLog
from snowrail_payment_orchestrator import reconciliation_store
from snowrail_payment_orchestrator.reconciliation import LedgerFigures
from snowrail_testkit import Broker, Builder, RunningService, eventually

from .test_saga import BLOCK, NATIVE, TX, Saga, orchestrator

__all__ = ["orchestrator"]

TOKEN = "31337:0x0000000000000000000000000000000000000001"
NEW_BLOCK = "0x" + "b2" * 32
NEWEST_BLOCK = "0x" + "b3" * 32


@pytest.fixture
def saga(broker: Broker, build: Builder, orchestrator: RunningService) -> Saga:
    """The payment of the first occurrence of an order."""
    return Saga(broker, build, orchestrator, TOKEN)


@pytest.fixture
def following(broker: Broker, build: Builder, orchestrator: RunningService, saga: Saga) -> Saga:
    """The payment of the occurrence after it."""
    return Saga(
        broker,
        build,
        orchestrator,
        TOKEN,
        intent_id=saga.due.intent_id,
        occurrence=1,
        order_hash=saga.due.order_hash,
        order=saga.due.order,
        user_id=saga.due.user_id,
    )


async def fail(saga: Saga, attempt: int = 1, *, retryable: bool, version: int = 0) -> None:
    """Prove that an attempt had no effect."""
    fields: dict[str, Any] = {"attempt": attempt, "code": "proven", "retryable": retryable, "tx_hash": TX}
    await saga.publish(SettlementFailedV1, version=version, **fields)


async def orphan(saga: Saga, attempt: int = 1, version: int = 0) -> None:
    """Take the block away in which an attempt was decided."""
    await saga.publish(SettlementOrphanedV1, version=version, attempt=attempt, tx_hash=TX)


async def ledger_is_whole(saga: Saga, paid: int) -> None:
    """Every journal sums to zero, and the recipient has been paid so many times."""
    assert await saga.balance(f"wallet:{saga.due.order.recipient}") == paid * saga.due.order.amount
    row = await saga.database.fetch_row("SELECT coalesce(sum(atoms), 0) AS atoms FROM posting")
    assert row["atoms"] == 0


async def test_a_rollback_of_one_occurrence_while_the_next_is_in_flight(saga: Saga, following: Saga) -> None:
    await saga.reach_executing()
    await saga.executed(version=3)
    await saga.until("succeeded")
    await following.reach_executing(nth=2)
    await orphan(saga, version=4)
    await saga.until("executing")
    assert (await saga.holds(), await following.holds()) == (["HELD"], ["HELD"])
    await ledger_is_whole(saga, paid=0)
    await fail(following, retryable=False, version=3)  # the escrow expected the number before its own
    await following.until("failed")
    await saga.executed(block_hash=NEW_BLOCK, version=6)
    await saga.until("succeeded")
    await ledger_is_whole(saga, paid=1)
    later = following.due.model_copy(update={"payment_id": uuid4()})
    await following.probe.publish(later)
    assert (await following.probe.collect(FraudAssessV1, 3))[-1].payment_id == later.payment_id
    assert (await saga.holds(), await following.holds()) == (["POSTED"], ["VOIDED"])


async def test_both_occurrences_leave_the_chain_and_come_back_in_other_blocks(
    saga: Saga, following: Saga
) -> None:
    await saga.reach_executing()
    await saga.executed(version=3)
    await following.reach_executing(nth=2)
    await following.executed(version=3)
    await following.until("succeeded")
    await ledger_is_whole(saga, paid=2)
    await orphan(following, version=4)
    await orphan(saga, version=4)
    await saga.until("executing")
    await following.until("executing")
    await ledger_is_whole(saga, paid=0)
    await following.executed(block_hash=NEW_BLOCK, version=6)
    await saga.executed(block_hash=NEWEST_BLOCK, version=6)
    await saga.probe.collect(PaymentSucceededV1, 4)
    await ledger_is_whole(saga, paid=2)


@pytest.mark.parametrize("retryable", [True, False])
async def test_a_failure_that_is_heard_of_before_its_rollback_waits_for_it(
    saga: Saga, retryable: bool
) -> None:
    await saga.reach_executing()
    await saga.executed(version=3)
    await saga.until("succeeded")
    await fail(saga, retryable=retryable, version=6)
    await saga.publish(SettlementUnknownV1, version=5, attempt=1, tx_hash=TX, code="no_evidence")

    async def both_wait() -> bool:
        return len(await saga.database.fetch("SELECT 1 FROM parked_message")) == 2

    await eventually(both_wait)
    await orphan(saga, version=4)
    await saga.until("approved" if retryable else "failed")
    assert await saga.holds() == ["VOIDED"]
    await ledger_is_whole(saga, paid=0)


@pytest.mark.parametrize("end", ["failed", "cancelled"])
async def test_what_ended_without_effect_counts_when_it_is_executed_after_all(saga: Saga, end: str) -> None:
    await saga.reach_executing()
    if end == "failed":
        await fail(saga, retryable=False, version=3)
        await saga.probe.collect(PaymentFailedV1, 1)
        await orphan(saga, version=4)
        await saga.until("executing")
        assert await saga.holds() == ["HELD"]
        assert (await saga.probe.collect(PaymentUpdatedV1, 1))[0].step == "reopened"
    else:
        await saga.publish(IntentCancelledV1, on_chain=True)
        await saga.probe.collect(PaymentCancelledV1, 1)
        assert await saga.holds() == ["VOIDED"]
    await saga.executed(block_hash=NEW_BLOCK, version=6)
    success = (await saga.probe.collect(PaymentSucceededV1, 1))[0]
    assert success.payment_id == saga.payment_id
    assert await saga.holds() == ["POSTED"]
    await ledger_is_whole(saga, paid=1)


async def test_a_failed_payment_is_not_opened_again_beside_the_one_that_replaced_it(saga: Saga) -> None:
    await saga.reach_executing()
    await fail(saga, retryable=False, version=3)
    await saga.until("failed")
    later = saga.due.model_copy(update={"payment_id": uuid4()})
    await saga.probe.publish(later)
    await saga.probe.collect(FraudAssessV1, 2)
    await orphan(saga, version=4)
    await saga.probe.publish(saga.due.model_copy(update={"payment_id": uuid4(), "intent_id": uuid4()}))
    await saga.probe.collect(FraudAssessV1, 3)
    assert await saga.status() == "failed"
    assert await saga.database.fetch("SELECT 1 FROM dead_letter") == []


async def test_an_earlier_attempt_that_is_executed_after_all_is_the_one_that_counts(saga: Saga) -> None:
    first = await saga.reach_executing()
    decisions = [row["decision_id"] for row in await saga.database.fetch("SELECT decision_id FROM attempt")]
    await fail(saga, retryable=True, version=3)
    await saga.route(attempt=2)
    await saga.executed(attempt=first.attempt, version=2)  # from before its failure: old news
    await saga.executed(attempt=first.attempt, block_hash=NEW_BLOCK, version=5)
    success = (await saga.probe.collect(PaymentSucceededV1, 1))[0]
    assert (success.attempt, success.decision_id) == (1, decisions[0])
    row = await saga.database.fetch_row("SELECT block_hash FROM payment")
    assert row is not None
    assert row["block_hash"] == NEW_BLOCK
    assert await saga.holds() == ["POSTED", "VOIDED"]
    await ledger_is_whole(saga, paid=1)
    await orphan(saga, attempt=1, version=6)
    await saga.until("executing")
    await fail(saga, attempt=1, retryable=True, version=7)
    await saga.until("approved")
    again = await saga.route(attempt=2, nth=3)
    assert again.attempt == 2
    assert await saga.holds() == ["VOIDED", "HELD"]
    await ledger_is_whole(saga, paid=0)


async def test_a_success_that_was_named_before_versions_were_part_of_the_name_is_taken_back(
    saga: Saga,
) -> None:
    await saga.reach_executing()
    journal, order = uuid4(), saga.due.order
    async with saga.database.transaction() as connection:
        await connection.execute(
            "UPDATE payment SET status = 'succeeded', version = 5, tx_hash = $2, block_hash = $3,"
            " block_number = 7, settlement_version = 3 WHERE payment_id = $1",
            saga.payment_id,
            TX,
            BLOCK,
        )
        await connection.execute("UPDATE attempt SET status = 'SUCCEEDED'")
        await connection.execute("UPDATE hold SET status = 'POSTED'")
        await connection.execute(
            "INSERT INTO journal (journal_id, kind, reference, recorded_at)"
            " VALUES ($1, 'payment', $2, now())",
            journal,
            f"payment:{saga.payment_id}:{TX}:{BLOCK}",
        )
        await connection.execute(
            "INSERT INTO posting VALUES ($1, 1, $2, $4, -$5::numeric), ($1, 2, $3, $4, $5::numeric)",
            journal,
            f"wallet:{order.payer}",
            f"wallet:{order.recipient}",
            TOKEN,
            order.amount,
        )
    await ledger_is_whole(saga, paid=1)
    await orphan(saga, version=4)
    await saga.until("executing")
    await ledger_is_whole(saga, paid=0)
    await saga.executed(version=6)  # the same block has come back
    await saga.until("succeeded")
    await ledger_is_whole(saga, paid=1)


async def test_a_payment_waits_for_another_of_its_occurrence_to_end(saga: Saga) -> None:
    await saga.reach_executing()
    later = saga.due.model_copy(update={"payment_id": uuid4()})
    await saga.probe.publish(later)

    async def waits() -> bool:
        return len(await saga.database.fetch("SELECT 1 FROM parked_message")) == 1

    await eventually(waits)
    await fail(saga, retryable=False, version=3)
    assert (await saga.probe.collect(FraudAssessV1, 2))[-1].payment_id == later.payment_id


_ADDED_UP = """
SELECT coalesce(sum(atoms) FILTER (WHERE account LIKE 'escrow:%'), 0) AS owed,
       coalesce(sum(CASE WHEN reference LIKE 'payment:%' AND atoms > 0 THEN atoms
                WHEN reference LIKE 'reversal:payment:%' AND atoms < 0 THEN atoms END), 0) AS executed
FROM posting JOIN journal USING (journal_id) WHERE block_number <= $1
"""


async def test_running_totals_are_what_the_postings_add_up_to(
    broker: Broker, build: Builder, orchestrator: RunningService, monkeypatch: pytest.MonkeyPatch
) -> None:
    saga = Saga(broker, build, orchestrator, f"31337:{NATIVE}")
    order = saga.due.order
    funded = EscrowLog(
        log_index=0,
        name="funded",
        order_hash=saga.due.order_hash,
        payer=order.payer,
        token=NATIVE,
        amount=2 * order.amount,
    )
    await saga.publish(TransactionFinalV1, logs=(funded,), block_number=5, version=1)
    await saga.reach_executing()
    await saga.executed(version=3)
    await saga.until("succeeded")
    await orphan(saga, version=4)
    await saga.until("executing")
    await saga.executed(block_hash=NEW_BLOCK, version=6)
    await saga.until("succeeded")

    async def agree_at(*blocks: int) -> None:
        for block in blocks:
            row = await saga.database.fetch_row(_ADDED_UP, block)
            ledger = await reconciliation_store.ledger_at(saga.database, 31337, block)
            total = ledger.get(saga.token, LedgerFigures(0, 0))
            assert (total.owed, total.executed) == (row["owed"], row["executed"])

    for rows in (1, 1, 100):
        await agree_at(0, 4, 5, 10**9)
        async with orchestrator.runtime.transaction() as tx:
            await reconciliation_store.fold_totals(tx, rows)
    await agree_at(0, 4, 5, 10**9)
    monkeypatch.setattr(reconciliation_store, "FOLDED_BLOCKS", 0)
    async with orchestrator.runtime.transaction() as tx:
        await reconciliation_store.fold_totals(tx, 100)
    assert len(await saga.database.fetch("SELECT 1 FROM ledger_total")) == 1
    await agree_at(10**9)
