"""What settlement proves about an attempt: submitted, included, executed, failed, unknown, orphaned."""

from collections.abc import Sequence
from typing import Any

import structlog

from snowrail_events import (
    SettlementExecutedV1,
    SettlementFailedV1,
    SettlementIncludedV1,
    SettlementOrphanedV1,
    SettlementSubmittedV1,
    SettlementUnknownV1,
)
from snowrail_kit.delivery import Delivery
from snowrail_kit.ids import derived_id
from snowrail_kit.unit_of_work import Transaction
from snowrail_payment_orchestrator import domain, store
from snowrail_payment_orchestrator.domain import Happening, Status
from snowrail_payment_orchestrator.parts import Parts
from snowrail_payment_orchestrator.store import AttemptChange, Journal, Payment
from snowrail_payment_orchestrator.usecases import facts
from snowrail_payment_orchestrator.usecases.approval import emit, known, move, schedule_retry

log = structlog.get_logger("payments")


def _is_stale(delivery: Delivery[Any], payment: Payment) -> bool:
    """Whether settlement has said something newer about this attempt, or a later attempt has begun."""
    version = delivery.envelope.version
    if delivery.event.attempt != payment.attempt or 0 < version <= payment.settlement_version:
        return True
    payment.settlement_version = max(payment.settlement_version, version)
    return False


async def show_progress(
    deliveries: Sequence[Delivery[SettlementSubmittedV1] | Delivery[SettlementIncludedV1]],
    tx: Transaction,
    step: str,
) -> None:
    """Tell screens how far an attempt has come; nothing is decided."""
    changed: list[Payment] = []
    for delivery, payment in await known(deliveries, tx):
        if _is_stale(delivery, payment) or payment.status not in (Status.EXECUTING, Status.UNKNOWN):
            continue
        payment.tx_hash = delivery.event.tx_hash
        payment.step = step
        payment.version += 1
        payment.changed_at = tx.now
        emit(tx, facts.updated(payment), payment)
        changed.append(payment)
    await store.save_payments(tx, changed)


async def record_executions(
    deliveries: list[Delivery[SettlementExecutedV1]], tx: Transaction, _: Parts
) -> None:
    """Finish payments whose own on-chain event is final: post the hold, write the journal, say so."""
    pairs = await known(deliveries, tx)
    deposits = await store.deposits_of(tx, [payment.order_hash for _, payment in pairs])
    changed: list[Payment] = []
    attempts: list[AttemptChange] = []
    journals: list[Journal] = []
    spent: list[tuple[str, str, int]] = []
    for delivery, payment in pairs:
        event: SettlementExecutedV1 = delivery.event
        if payment.status is Status.SUCCEEDED:
            if payment.block_hash != event.block_hash:
                delivery.wait_for(str(payment.payment_id), "its first block has not left the chain yet")
            continue
        if _is_stale(delivery, payment):
            continue
        if not move(payment, Happening.EXECUTED, tx):
            log.error("executed against the state", payment_id=str(payment.payment_id), status=payment.status)
            delivery.dead(f"executed on chain while {payment.status}: {event.tx_hash}")
            continue
        payment.tx_hash, payment.block_hash = event.tx_hash, event.block_hash
        payment.block_number, payment.fee = event.block_number, event.fee
        total = event.amount + event.fee
        from_deposit = domain.draws_on_deposit(payment.token, total, deposits.get(payment.order_hash, 0))
        if from_deposit:
            deposits[payment.order_hash] = deposits.get(payment.order_hash, 0) - total
            spent.append((payment.order_hash, payment.token, -total))
        journals.append(_payment_journal(payment, event.amount, from_deposit))
        attempts.append(
            AttemptChange(payment.payment_id, payment.attempt, "SUCCEEDED", "POSTED", event.tx_hash)
        )
        emit(tx, facts.succeeded(payment), payment)
        changed.append(payment)
    await store.save_payments(tx, changed)
    await store.change_attempts(tx, attempts)
    await store.write_journals(tx, journals)
    await store.add_deposits(tx, spent)


def _payment_journal(payment: Payment, amount: int, from_deposit: bool) -> Journal:
    source = (
        domain.escrow_account(payment.order_hash) if from_deposit else domain.wallet_account(payment.payer)
    )
    reference = _reference(payment)
    postings = domain.payment_postings(source, payment.recipient, payment.token, amount, payment.fee)
    assert payment.block_number is not None, "what executed is in a block"
    return Journal(derived_id("journal", reference), "payment", reference, payment.block_number, postings)


def _reference(payment: Payment) -> str:
    """Name a success: the same block counts again after it had left the chain, under a later version."""
    return f"payment:{payment.payment_id}:{payment.tx_hash}:{payment.block_hash}:{payment.version}"


async def record_failures(deliveries: list[Delivery[SettlementFailedV1]], tx: Transaction, _: Parts) -> None:
    """Void the hold of attempts proven to have had no effect; try again or end the payment."""
    changed: list[Payment] = []
    attempts: list[AttemptChange] = []
    for delivery, payment in await known(deliveries, tx):
        event: SettlementFailedV1 = delivery.event
        if _is_stale(delivery, payment):
            continue
        if not move(payment, domain.failure(payment.attempt, event.retryable), tx):
            continue
        attempts.append(AttemptChange(payment.payment_id, payment.attempt, "FAILED", "VOIDED", event.tx_hash))
        payment.code, payment.tx_hash = event.code, event.tx_hash
        if payment.status is Status.APPROVED:
            schedule_retry(payment, tx, domain.retry_delay_seconds(payment.attempt))
        else:
            emit(tx, facts.failed(payment, event.detail), payment)
        changed.append(payment)
    await store.save_payments(tx, changed)
    await store.change_attempts(tx, attempts)


async def record_unknowns(deliveries: list[Delivery[SettlementUnknownV1]], tx: Transaction, _: Parts) -> None:
    """Keep the hold of attempts whose outcome cannot be told: they are neither failed nor repeated."""
    changed: list[Payment] = []
    attempts: list[AttemptChange] = []
    for delivery, payment in await known(deliveries, tx):
        event: SettlementUnknownV1 = delivery.event
        if _is_stale(delivery, payment) or not move(payment, Happening.OUTCOME_UNKNOWN, tx):
            continue
        payment.tx_hash, payment.code = event.tx_hash, event.code
        attempts.append(AttemptChange(payment.payment_id, payment.attempt, "UNKNOWN", "HELD", event.tx_hash))
        emit(tx, facts.updated(payment), payment)
        changed.append(payment)
    await store.save_payments(tx, changed)
    await store.change_attempts(tx, attempts)


async def record_orphans(deliveries: list[Delivery[SettlementOrphanedV1]], tx: Transaction, _: Parts) -> None:
    """Re-open attempts whose block left the chain, and write compensating journals for those that counted."""
    pairs = [
        (delivery, payment)
        for delivery, payment in await known(deliveries, tx)
        if not _is_stale(delivery, payment)
    ]
    references = {
        payment.payment_id: _reference(payment) for _, payment in pairs if payment.status is Status.SUCCEEDED
    }
    written = await store.postings_of(tx, list(references.values()))
    changed: list[Payment] = []
    attempts: list[AttemptChange] = []
    journals: list[Journal] = []
    returned: list[tuple[str, str, int]] = []
    for _delivery, payment in pairs:
        counted = payment.status is Status.SUCCEEDED
        if not move(payment, Happening.ORPHANED, tx):
            continue
        payment.step = "reopened"
        if counted:
            reference = references[payment.payment_id]
            postings = written[reference]
            reversal = f"reversal:{reference}"
            assert payment.block_number is not None, "what succeeded is in a block"
            journals.append(
                Journal(
                    derived_id("journal", reversal),
                    "reversal",
                    reversal,
                    payment.block_number,
                    domain.reversed_postings(postings),
                )
            )
            if postings[0].account == domain.escrow_account(payment.order_hash):
                returned.append((payment.order_hash, payment.token, -postings[0].atoms))
            attempts.append(AttemptChange(payment.payment_id, payment.attempt, "LIVE", "HELD", None))
            payment.block_hash = payment.block_number = None
        emit(tx, facts.updated(payment), payment)
        tx.wake(str(payment.payment_id))
        changed.append(payment)
    await store.save_payments(tx, changed)
    await store.change_attempts(tx, attempts)
    await store.write_journals(tx, journals)
    await store.add_deposits(tx, returned)
