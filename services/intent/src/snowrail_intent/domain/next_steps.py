"""The transaction that a payer may send next about an intent, where there is one."""

from datetime import datetime

from snowrail_events.parts import UnsignedTransaction
from snowrail_intent.domain.intents import Intent
from snowrail_intent.domain.orders import (
    approve_transaction,
    cancel_transaction,
    deposit_transaction,
    fund_transaction,
    return_expired_transaction,
)
from snowrail_intent.domain.states import TERMINAL, Status


def approval_of(intent: Intent) -> UnsignedTransaction | None:
    """Return the approval the escrow still needs, or None when its allowance suffices."""
    if intent.approval_amount == 0:
        return None
    return approve_transaction(intent.order, intent.chain_id, intent.escrow, intent.approval_amount)


def funding_of(intent: Intent) -> UnsignedTransaction | None:
    """Return the transaction that authorises an intent in the native coin; None for other tokens."""
    return fund_transaction(intent.order, intent.chain_id, intent.escrow) if intent.is_native else None


def way_back(intent: Intent, now: datetime) -> UnsignedTransaction | None:
    """Return the transaction that forbids the order or takes its deposit back, where either is open.

    An order nobody has authorised needs no transaction to be harmless.
    """
    if now.timestamp() > intent.order.valid_until:
        if intent.deposit == 0:
            return None
        return return_expired_transaction(intent.order, intent.chain_id, intent.escrow)
    if intent.deposit == 0 and (intent.signature is None or intent.chain_cancelled):
        return None
    return cancel_transaction(intent.order, intent.chain_id, intent.escrow)


def next_step(intent: Intent, now: datetime) -> UnsignedTransaction | None:
    """Return what the payer may send next, given where the intent is."""
    if intent.status in (Status.AWAITING_APPROVAL, Status.AWAITING_AUTHORISATION):
        return approval_of(intent)
    if intent.status is Status.AWAITING_FUNDS and intent.is_native:
        return _top_up_of(intent)
    if intent.status in TERMINAL - {Status.COMPLETED}:
        return way_back(intent, now)
    if intent.status is Status.COMPLETED and intent.unspent_deposit > 0:
        return way_back(intent, now)
    return None


def _top_up_of(intent: Intent) -> UnsignedTransaction:
    """Return the deposit of what the occurrences that are left still lack."""
    total = (intent.order.amount + intent.order.max_fee) * intent.slots_left
    missing = total - intent.unspent_deposit
    return deposit_transaction(intent.order, intent.chain_id, intent.escrow, missing)
