"""What settlement proves about an attempt: submitted, included, executed, failed, unknown, orphaned."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any
from uuid import UUID

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
from snowrail_payment_orchestrator import domain, ledger_store, store
from snowrail_payment_orchestrator.domain import FINISHED, Happening, Posting, Status
from snowrail_payment_orchestrator.ledger_store import Journal
from snowrail_payment_orchestrator.movements import Movement, source_account
from snowrail_payment_orchestrator.parts import Parts
from snowrail_payment_orchestrator.store import Attempt, AttemptChange, Payment
from snowrail_payment_orchestrator.usecases import facts, sources
from snowrail_payment_orchestrator.usecases.approval import change_of, emit, known, move, schedule_retry

log = structlog.get_logger("payments")


def _is_stale(delivery: Delivery[Any], payment: Payment) -> bool:
    """Whether settlement has said something newer about this attempt, or a later attempt has begun."""
    is_old = 0 < delivery.envelope.version <= payment.settlement_version
    return is_old or delivery.event.attempt != payment.attempt


def _take_note(delivery: Delivery[Any], payment: Payment) -> None:
    """Remember the newest that settlement said about the present attempt."""
    payment.settlement_version = max(payment.settlement_version, delivery.envelope.version)


def _wait_for_orphan(delivery: Delivery[Any], payment: Payment) -> None:
    """Have news about a success wait: nothing follows one but that its block has left the chain."""
    delivery.wait_for(str(payment.payment_id), "its first block has not left the chain yet")


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
        _take_note(delivery, payment)
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
    pairs = sorted(await known(deliveries, tx), key=lambda pair: pair[0].event.block_number)
    earlier = await store.attempts_of(
        tx,
        [
            (payment.payment_id, delivery.event.attempt)
            for delivery, payment in pairs
            if delivery.event.attempt < payment.attempt
        ],
    )
    changed: dict[UUID, Payment] = {}
    attempts: list[AttemptChange] = []
    executed: list[tuple[Payment, SettlementExecutedV1, str]] = []
    for delivery, payment in pairs:
        event: SettlementExecutedV1 = delivery.event
        attempt = earlier.get((payment.payment_id, event.attempt))
        if not _is_news_of_execution(delivery, payment, attempt):
            continue
        before = replace(payment)
        if event.attempt > payment.attempt or not move(payment, Happening.EXECUTED, tx):
            log.error("executed against the state", payment_id=str(payment.payment_id), status=payment.status)
            delivery.dead(f"executed on chain while {payment.status}: {event.tx_hash}")
            continue
        if attempt is not None and event.attempt < payment.attempt:
            _return_to(payment, attempt)
        _take_note(delivery, payment)
        attempts += _attempts_after_execution(before, payment, event)
        payment.tx_hash, payment.block_hash = event.tx_hash, event.block_hash
        payment.block_number, payment.fee = event.block_number, event.fee
        payment.code = payment.next_route_at = None
        executed.append((payment, event, _reference(payment)))
        emit(tx, facts.succeeded(payment), payment)
        changed[payment.payment_id] = payment
    await store.save_payments(tx, list(changed.values()))
    await store.change_attempts(tx, attempts)
    await _write_payments(tx, executed)


def _is_news_of_execution(
    delivery: Delivery[SettlementExecutedV1], payment: Payment, earlier: Attempt | None
) -> bool:
    """Whether an execution is to be recorded now. One in a new block waits until the old one has left.

    Args:
        delivery: the news.
        payment: locked.
        earlier: the attempt it is about, where that is not the latest one.
    """
    about = earlier if earlier is not None else payment
    if 0 < delivery.envelope.version <= about.settlement_version:
        return False
    if payment.status is not Status.SUCCEEDED:
        return True
    if payment.block_hash != delivery.event.block_hash:
        _wait_for_orphan(delivery, payment)
    return False


def _attempts_after_execution(
    before: Payment, payment: Payment, event: SettlementExecutedV1
) -> list[AttemptChange]:
    """Return what becomes of attempts; one that was open beside the one that was executed had no effect."""
    was_open = before.status in (Status.EXECUTING, Status.UNKNOWN)
    if not was_open or before.attempt != event.attempt:
        log.warning(
            "executed after all",
            payment_id=str(payment.payment_id),
            status=before.status,
            attempt=event.attempt,
            latest_attempt=before.attempt,
        )
    changes = [change_of(payment, "SUCCEEDED", "POSTED", event.tx_hash)]
    if was_open and before.attempt != event.attempt:
        changes.append(change_of(before, "FAILED", "VOIDED"))
    return changes


def _return_to(payment: Payment, attempt: Attempt) -> None:
    """Make an earlier attempt the present one again: its failure left the chain, and it was executed."""
    payment.attempt = attempt.attempt
    payment.rail = attempt.rail
    payment.decision_id = attempt.decision_id
    payment.settlement_version = attempt.settlement_version


async def _write_payments(
    tx: Transaction, executed: Sequence[tuple[Payment, SettlementExecutedV1, str]]
) -> None:
    """Write the journal of each success, from the source that its place on the chain gives it."""
    moved = await sources.add(
        tx,
        [
            Movement(
                reference=reference,
                order_hash=payment.order_hash,
                token=payment.token,
                block_number=event.block_number,
                log_index=event.log_index,
                atoms=-(event.amount + event.fee),
                payer=payment.payer,
            )
            for payment, event, reference in executed
            if not domain.is_native(payment.token)
        ],
    )
    journals: list[Journal] = []
    for payment, event, reference in executed:
        if reference in moved:
            source = source_account(moved[reference])
        else:
            source = domain.escrow_account(payment.order_hash)
        postings = domain.payment_postings(source, payment.recipient, payment.token, event.amount, event.fee)
        journal_id = derived_id("journal", reference)
        journals.append(Journal(journal_id, "payment", reference, event.block_number, postings))
    await ledger_store.write_journals(tx, journals)


def _reference(payment: Payment) -> str:
    """Name a success: the same block counts again after it had left the chain, under a later version."""
    return f"{_first_reference(payment)}:{payment.version}"


async def record_failures(deliveries: list[Delivery[SettlementFailedV1]], tx: Transaction, _: Parts) -> None:
    """Void the hold of attempts proven to have had no effect; try again or end the payment."""
    changed: list[Payment] = []
    attempts: list[AttemptChange] = []
    for delivery, payment in await known(deliveries, tx):
        event: SettlementFailedV1 = delivery.event
        if _is_stale(delivery, payment):
            continue
        if payment.status is Status.SUCCEEDED:
            _wait_for_orphan(delivery, payment)
            continue
        if not move(payment, domain.failure(payment.attempt, event.retryable), tx):
            continue
        _take_note(delivery, payment)
        attempts.append(change_of(payment, "FAILED", "VOIDED", event.tx_hash))
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
        if _is_stale(delivery, payment):
            continue
        if payment.status is Status.SUCCEEDED:
            _wait_for_orphan(delivery, payment)
            continue
        if not move(payment, Happening.OUTCOME_UNKNOWN, tx):
            continue
        _take_note(delivery, payment)
        payment.tx_hash, payment.code = event.tx_hash, event.code
        attempts.append(change_of(payment, "UNKNOWN", "HELD", event.tx_hash))
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
    counting = await _journals_that_count(
        [payment for _, payment in pairs if payment.status is Status.SUCCEEDED], tx
    )
    replaced = await store.find_replaced(
        tx, [payment.payment_id for _, payment in pairs if payment.status is Status.FAILED]
    )
    moved = await sources.remove(tx, [reference for reference, _ in counting.values()])
    changed: list[Payment] = []
    attempts: list[AttemptChange] = []
    journals: list[Journal] = []
    for delivery, payment in pairs:
        before = payment.status
        if payment.payment_id in replaced or not move(payment, Happening.ORPHANED, tx):
            continue
        _take_note(delivery, payment)
        payment.step = "reopened"
        if before is Status.SUCCEEDED:
            reference, postings = counting[payment.payment_id]
            if reference in moved:  # its source may have been corrected since
                postings = (replace(postings[0], account=source_account(moved[reference])), *postings[1:])
            journals.append(_reversal(payment, reference, postings))
            payment.block_hash = payment.block_number = None
        if before in FINISHED:
            attempts.append(change_of(payment, "LIVE", "HELD"))
            payment.code = None
        emit(tx, facts.updated(payment), payment)
        tx.wake(str(payment.payment_id))
        changed.append(payment)
    await store.save_payments(tx, changed)
    await store.change_attempts(tx, attempts)
    await ledger_store.write_journals(tx, journals)


async def _journals_that_count(
    payments: Sequence[Payment], tx: Transaction
) -> dict[UUID, tuple[str, tuple[Posting, ...]]]:
    """Return reference and postings of the journal of each success."""
    named = {payment.payment_id: (_reference(payment), _first_reference(payment)) for payment in payments}
    written = await ledger_store.postings_of(
        tx, [reference for names in named.values() for reference in names]
    )
    return {payment_id: _first_written(names, written) for payment_id, names in named.items()}


def _first_written(
    names: Sequence[str], written: Mapping[str, tuple[Posting, ...]]
) -> tuple[str, tuple[Posting, ...]]:
    for name in names:
        if name in written:
            return name, written[name]
    raise LookupError(f"a success has no journal under {' or '.join(names)}")


def _first_reference(payment: Payment) -> str:
    """Name a success as it was named before the same block could count again."""
    return f"payment:{payment.payment_id}:{payment.tx_hash}:{payment.block_hash}"


def _reversal(payment: Payment, reference: str, postings: tuple[Posting, ...]) -> Journal:
    reversal = f"reversal:{reference}"
    assert payment.block_number is not None, "what succeeded is in a block"
    return Journal(
        derived_id("journal", reversal),
        "reversal",
        reversal,
        payment.block_number,
        domain.reversed_postings(postings),
    )
