"""Intents and payments as their events tell them: writing."""

from collections.abc import Sequence
from uuid import UUID

from snowrail_chat.domain.progress import OPEN_INTENT
from snowrail_chat.domain.views import PaymentView
from snowrail_events import IntentCancelledV1, IntentCreatedV1, IntentUpdatedV1
from snowrail_kit.unit_of_work import Transaction

_OFFER_FIELDS = {
    "order",
    "order_hash",
    "escrow",
    "chain_id",
    "authorisation",
    "transaction",
    "approval",
    "estimated_gas",
    "estimated_gas_price",
    "fee_payer",
    "condition",
    "recurrence",
}
_PLAN_FIELDS = {
    "paused",
    "next_run_at",
    "occurrences_total",
    "occurrences_paid",
    "occurrences_missed",
    "last_result",
    "last_result_at",
}

_SAVE_CREATED = """
INSERT INTO intent AS known (intent_id, user_id, version, status, reason, payer, recipient, recipient_label,
                             token, amount, order_hash, expires_at, created_at, changed_at, offer, plan)
SELECT intent_id, user_id, version, status, reason, payer, recipient, recipient_label, token, amount,
       order_hash, expires_at, changed_at, changed_at, offer, plan
FROM unnest($1::uuid[], $2::uuid[], $3::bigint[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[],
            $9::text[], $10::numeric[], $11::text[], $12::timestamptz[], $13::timestamptz[], $14::jsonb[],
            $15::jsonb[])
     AS new (intent_id, user_id, version, status, reason, payer, recipient, recipient_label, token, amount,
             order_hash, expires_at, changed_at, offer, plan)
ON CONFLICT (intent_id) DO UPDATE
SET version = EXCLUDED.version, status = EXCLUDED.status, reason = EXCLUDED.reason,
    recipient = EXCLUDED.recipient, recipient_label = EXCLUDED.recipient_label, token = EXCLUDED.token,
    amount = EXCLUDED.amount, order_hash = EXCLUDED.order_hash, expires_at = EXCLUDED.expires_at,
    changed_at = EXCLUDED.changed_at, offer = EXCLUDED.offer, next_step = NULL, plan = EXCLUDED.plan
WHERE known.version < EXCLUDED.version
"""

_SAVE_UPDATED = """
UPDATE intent SET version = new.version, status = new.status, reason = new.reason, recipient = new.recipient,
    recipient_label = new.recipient_label, token = new.token, amount = new.amount,
    order_hash = new.order_hash, expires_at = new.expires_at, changed_at = new.changed_at,
    next_step = new.next_step, refunded = coalesce(new.refunded, intent.refunded), plan = new.plan
FROM unnest($1::uuid[], $2::bigint[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[],
            $8::numeric[], $9::text[], $10::timestamptz[], $11::timestamptz[], $12::jsonb[], $13::numeric[],
            $14::jsonb[])
     AS new (intent_id, version, status, reason, recipient, recipient_label, token, amount, order_hash,
             expires_at, changed_at, next_step, refunded, plan)
WHERE intent.intent_id = new.intent_id AND intent.version < new.version
RETURNING intent.intent_id
"""

_SAVE_CANCELLED = """
UPDATE intent SET status = 'cancelled', next_step = NULL,
    reason = CASE WHEN new.on_chain THEN 'cancelled_on_chain' ELSE intent.reason END,
    changed_at = greatest(intent.changed_at, new.cancelled_at)
FROM unnest($1::uuid[], $2::boolean[], $3::timestamptz[]) AS new (intent_id, on_chain, cancelled_at)
WHERE intent.intent_id = new.intent_id AND intent.status = ANY($4::text[])
RETURNING intent.intent_id
"""

_SAVE_PAYMENTS = """
INSERT INTO payment AS known (payment_id, intent_id, user_id, occurrence, version, status, step, payer,
                              recipient, token, amount, changed_at, tx_hash, block_number, fee, code, detail,
                              reasons)
SELECT payment_id, intent_id, user_id, occurrence, version, status, step, payer, recipient, token, amount,
       changed_at, tx_hash, block_number, fee, code, detail,
       coalesce(string_to_array(nullif(reasons, ''), ','), '{}')
FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::bigint[], $5::bigint[], $6::text[], $7::text[],
            $8::text[], $9::text[], $10::text[], $11::numeric[], $12::timestamptz[], $13::text[],
            $14::bigint[], $15::numeric[], $16::text[], $17::text[], $18::text[])
     AS new (payment_id, intent_id, user_id, occurrence, version, status, step, payer, recipient, token,
             amount, changed_at, tx_hash, block_number, fee, code, detail, reasons)
ON CONFLICT (payment_id) DO UPDATE
SET version = EXCLUDED.version, status = EXCLUDED.status, step = EXCLUDED.step,
    tx_hash = coalesce(EXCLUDED.tx_hash, known.tx_hash), block_number = EXCLUDED.block_number,
    fee = EXCLUDED.fee, code = EXCLUDED.code, detail = EXCLUDED.detail, reasons = EXCLUDED.reasons,
    changed_at = EXCLUDED.changed_at
WHERE known.version < EXCLUDED.version
RETURNING intent_id
"""


async def lock(tx: Transaction, intent_ids: set[UUID]) -> set[UUID]:
    """Lock intents in the order of their ids and return which of them are known."""
    rows = await tx.fetch(
        "SELECT intent_id FROM intent WHERE intent_id = ANY($1::uuid[]) ORDER BY intent_id FOR UPDATE",
        list(intent_ids),
    )
    return {row["intent_id"] for row in rows}


async def save_created(tx: Transaction, events: Sequence[IntentCreatedV1]) -> None:
    """Store intents with their offers, each at most once; older versions than known are left out."""
    await tx.execute(
        _SAVE_CREATED,
        [event.intent_id for event in events],
        [event.user_id for event in events],
        [event.version for event in events],
        [event.status for event in events],
        [event.reason for event in events],
        [event.payer for event in events],
        [event.recipient for event in events],
        [event.recipient_label for event in events],
        [event.token for event in events],
        [event.amount for event in events],
        [event.order_hash for event in events],
        [event.expires_at for event in events],
        [event.changed_at for event in events],
        [event.model_dump(mode="json", include=_OFFER_FIELDS) for event in events],
        [event.model_dump(mode="json", include=_PLAN_FIELDS) for event in events],
    )


async def save_updated(tx: Transaction, events: Sequence[IntentUpdatedV1]) -> set[UUID]:
    """Store new states of known intents, each at most once. Returns those for which it was news."""
    rows = await tx.fetch(
        _SAVE_UPDATED,
        [event.intent_id for event in events],
        [event.version for event in events],
        [event.status for event in events],
        [event.reason for event in events],
        [event.recipient for event in events],
        [event.recipient_label for event in events],
        [event.token for event in events],
        [event.amount for event in events],
        [event.order_hash for event in events],
        [event.expires_at for event in events],
        [event.changed_at for event in events],
        [event.next_step.model_dump(mode="json") if event.next_step else None for event in events],
        [event.refunded for event in events],
        [event.model_dump(mode="json", include=_PLAN_FIELDS) for event in events],
    )
    return {row["intent_id"] for row in rows}


async def save_cancelled(tx: Transaction, events: Sequence[IntentCancelledV1]) -> set[UUID]:
    """Store that open intents were cancelled. Returns those for which it was news."""
    rows = await tx.fetch(
        _SAVE_CANCELLED,
        [event.intent_id for event in events],
        [event.on_chain for event in events],
        [event.cancelled_at for event in events],
        list(OPEN_INTENT),
    )
    return {row["intent_id"] for row in rows}


async def save_payments(tx: Transaction, payments: Sequence[PaymentView]) -> set[UUID]:
    """Store states of payments, each at most once. Returns the intents for which it was news."""
    rows = await tx.fetch(
        _SAVE_PAYMENTS,
        [payment.payment_id for payment in payments],
        [payment.intent_id for payment in payments],
        [payment.user_id for payment in payments],
        [payment.occurrence for payment in payments],
        [payment.version for payment in payments],
        [payment.status for payment in payments],
        [payment.step for payment in payments],
        [payment.payer for payment in payments],
        [payment.recipient for payment in payments],
        [payment.token for payment in payments],
        [payment.amount for payment in payments],
        [payment.changed_at for payment in payments],
        [payment.tx_hash for payment in payments],
        [payment.block_number for payment in payments],
        [payment.fee for payment in payments],
        [payment.code for payment in payments],
        [payment.detail for payment in payments],
        [",".join(payment.reasons) for payment in payments],
    )
    return {row["intent_id"] for row in rows}
