"""What the service says: its events, made of intents."""

from datetime import datetime
from uuid import UUID

from snowrail_events import (
    IntentCancelledV1,
    IntentCreatedV1,
    IntentDueV1,
    IntentLowBalanceV1,
    IntentRejectedV1,
    IntentUpdatedV1,
)
from snowrail_events.parts import UnsignedTransaction
from snowrail_intent.domain.evaluation import Shortfall
from snowrail_intent.domain.intents import Intent
from snowrail_intent.domain.next_steps import approval_of, funding_of
from snowrail_intent.domain.orders import order_terms
from snowrail_intent.domain.payments import Occurrence
from snowrail_intent.domain.refusals import Refusal
from snowrail_intent.domain.terms import condition_terms, recurrence_terms


def _hash(intent: Intent) -> str:
    return f"0x{intent.order_hash.hex()}"


def created(intent: Intent) -> IntentCreatedV1:
    """An intent waits for the payer's authorisation."""
    return IntentCreatedV1(
        intent_id=intent.intent_id,
        user_id=intent.user_id,
        version=intent.version,
        status=intent.status,
        reason=intent.reason,
        payer=intent.order.payer,
        recipient=intent.order.recipient,
        recipient_label=intent.recipient_label,
        token=intent.token,
        amount=intent.order.amount,
        order_hash=_hash(intent),
        expires_at=intent.expires_at,
        changed_at=intent.changed_at,
        order=order_terms(intent.order),
        escrow=intent.escrow,
        chain_id=intent.chain_id,
        authorisation="fund_transaction" if intent.is_native else "typed_data",
        transaction=funding_of(intent),
        approval=approval_of(intent),
        estimated_gas=intent.estimated_gas,
        estimated_gas_price=intent.estimated_gas_price,
        fee_payer="platform",
        condition=condition_terms(intent.condition) if intent.condition else None,
        recurrence=recurrence_terms(intent.recurrence) if intent.recurrence else None,
        next_run_at=intent.next_run_at,
        occurrences_total=intent.slots,
    )


def updated(
    intent: Intent, request_id: UUID | None, next_step: UnsignedTransaction | None, refunded: int | None
) -> IntentUpdatedV1:
    """An intent changed, or a request about it is answered."""
    return IntentUpdatedV1(
        intent_id=intent.intent_id,
        user_id=intent.user_id,
        version=intent.version,
        status=intent.status,
        reason=intent.reason,
        payer=intent.order.payer,
        recipient=intent.order.recipient,
        recipient_label=intent.recipient_label,
        token=intent.token,
        amount=intent.order.amount,
        order_hash=_hash(intent),
        expires_at=intent.expires_at,
        changed_at=intent.changed_at,
        request_id=request_id,
        next_step=next_step,
        refunded=refunded,
        paused=intent.paused,
        next_run_at=intent.next_run_at,
        occurrences_total=max(intent.slots, 1),
        occurrences_paid=intent.next_occurrence,
        occurrences_missed=intent.missed,
        last_result=intent.last_result,
        last_result_at=intent.last_result_at,
    )


def low_balance(intent: Intent, missing: Shortfall, now: datetime) -> IntentLowBalanceV1:
    """An occurrence falls due soon and is not covered."""
    assert intent.not_before is not None, "only what is scheduled falls due later"
    return IntentLowBalanceV1(
        intent_id=intent.intent_id,
        user_id=intent.user_id,
        payer=intent.order.payer,
        recipient=intent.order.recipient,
        recipient_label=intent.recipient_label,
        token=intent.token,
        due_at=intent.not_before,
        reason=missing.reason,
        needed=missing.needed,
        available=missing.available,
        warned_at=now,
    )


def due(intent: Intent, occurrence: Occurrence) -> IntentDueV1:
    """One occurrence is to be paid now."""
    return IntentDueV1(
        intent_id=intent.intent_id,
        user_id=intent.user_id,
        payment_id=occurrence.payment_id,
        occurrence=occurrence.occurrence,
        order=order_terms(intent.order),
        order_hash=_hash(intent),
        signature=f"0x{(intent.signature or b'').hex()}",
        token=intent.token,
        chain_id=intent.chain_id,
        escrow=intent.escrow,
        due_at=occurrence.due_at,
    )


def cancelled(intent: Intent) -> IntentCancelledV1:
    """An intent ended without further execution."""
    return IntentCancelledV1(
        intent_id=intent.intent_id,
        user_id=intent.user_id,
        order_hash=_hash(intent),
        on_chain=intent.chain_cancelled,
        cancelled_at=intent.changed_at,
    )


def rejected(
    intent_id: UUID, user_id: UUID, request_id: UUID, command: str, refusal: Refusal, now: datetime
) -> IntentRejectedV1:
    """A command was refused and changed nothing."""
    return IntentRejectedV1(
        intent_id=intent_id,
        user_id=user_id,
        request_id=request_id,
        command=command,
        code=refusal.code,
        detail=refusal.detail,
        rejected_at=now,
    )
