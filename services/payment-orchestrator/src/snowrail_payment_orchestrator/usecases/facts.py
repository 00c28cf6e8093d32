"""The facts and commands that the orchestrator publishes about a payment."""

from datetime import datetime
from typing import Any

from snowrail_events import (
    PaymentBlockedV1,
    PaymentCancelledV1,
    PaymentFailedV1,
    PaymentSucceededV1,
    PaymentUpdatedV1,
    RouteSelectV1,
    SettlementExecuteV1,
)
from snowrail_events.fields import OrderTerms
from snowrail_payment_orchestrator.store import Payment


def _shared(payment: Payment) -> dict[str, Any]:
    """Return what every fact says of its payment."""
    return {
        "payment_id": payment.payment_id,
        "intent_id": payment.intent_id,
        "user_id": payment.user_id,
        "occurrence": payment.occurrence,
        "version": payment.version,
        "payer": payment.payer,
        "recipient": payment.recipient,
        "token": payment.token,
        "amount": payment.amount,
    }


def updated(payment: Payment) -> PaymentUpdatedV1:
    """A payment moved to a state that is not an end."""
    return PaymentUpdatedV1(
        **_shared(payment),
        status=payment.status.value,
        step=payment.step,
        attempt=payment.attempt,
        chain_id=payment.chain_id,
        tx_hash=payment.tx_hash,
        reasons=tuple(payment.reasons) if payment.step != payment.code else (payment.step,),
        changed_at=payment.changed_at,
    )


def succeeded(payment: Payment) -> PaymentSucceededV1:
    """A payment is final on chain and in the ledger."""
    assert payment.tx_hash is not None, "a success has its transaction"
    assert payment.block_number is not None, "a success has its block"
    return PaymentSucceededV1(
        **_shared(payment),
        chain_id=payment.chain_id,
        attempt=payment.attempt,
        decision_id=payment.decision_id,
        tx_hash=payment.tx_hash,
        block_number=payment.block_number,
        fee=payment.fee,
        requested_at=payment.requested_at,
        succeeded_at=payment.changed_at,
    )


def failed(payment: Payment, detail: str) -> PaymentFailedV1:
    """A payment ended without effect."""
    assert payment.code is not None, "a failure has its code"
    return PaymentFailedV1(
        **_shared(payment),
        chain_id=payment.chain_id,
        attempt=payment.attempt,
        decision_id=payment.decision_id,
        tx_hash=payment.tx_hash,
        code=payment.code,
        detail=detail,
        failed_at=payment.changed_at,
    )


def blocked(payment: Payment) -> PaymentBlockedV1:
    """A payment was refused before anything moved."""
    return PaymentBlockedV1(
        **_shared(payment),
        score_thousandths=payment.score_thousandths or 0,
        reasons=tuple(payment.reasons),
        blocked_at=payment.changed_at,
    )


def cancelled(payment: Payment) -> PaymentCancelledV1:
    """A payment ended because its payer cancelled the order."""
    return PaymentCancelledV1(
        **_shared(payment),
        cancelled_at=payment.changed_at,
    )


def select_route(payment: Payment, now: datetime) -> RouteSelectV1:
    """Command to routing: choose the rail of the next attempt."""
    return RouteSelectV1(
        payment_id=payment.payment_id,
        intent_id=payment.intent_id,
        user_id=payment.user_id,
        attempt=payment.attempt + 1,
        token=payment.token,
        amount=payment.amount,
        chain_id=payment.chain_id,
        requested_at=now,
    )


def execute(payment: Payment, now: datetime) -> SettlementExecuteV1:
    """Command to settlement: make the current attempt happen."""
    assert payment.rail is not None, "an attempt has its rail"
    return SettlementExecuteV1(
        payment_id=payment.payment_id,
        intent_id=payment.intent_id,
        user_id=payment.user_id,
        occurrence=payment.occurrence,
        attempt=payment.attempt,
        rail=payment.rail,
        chain_id=payment.chain_id,
        escrow=payment.escrow,
        order=OrderTerms.model_validate(payment.terms),
        order_hash=payment.order_hash,
        signature=payment.signature,
        requested_at=now,
    )
