"""The transactions a payer asks for about an intent: to fund it, to take money back, to forbid it."""

from datetime import datetime
from enum import StrEnum

from snowrail_events.parts import UnsignedTransaction
from snowrail_intent.domain.intents import Intent
from snowrail_intent.domain.orders import (
    approve_transaction,
    cancel_transaction,
    deposit_transaction,
    fund_transaction,
    return_expired_transaction,
)
from snowrail_intent.domain.refusals import Refusal
from snowrail_intent.domain.states import STOPPABLE, Status


class Purpose(StrEnum):
    """What a transaction is for."""

    FUND = "fund"
    DEPOSIT = "deposit"
    CANCEL = "cancel"
    RETURN_EXPIRED = "return_expired"


def wallet_transactions(
    intent: Intent, purpose: Purpose, amount: int | None, allowance: int, now: datetime
) -> list[UnsignedTransaction] | Refusal:
    """Return the transactions to send, in order, or why there are none.

    Args:
        intent: the intent they are about.
        purpose: what they are for.
        amount: atoms to deposit; None for all that is missing. Only for deposits.
        allowance: atoms of the token that the escrow may move.
        now: what is expired can only be returned.
    """
    expired = now.timestamp() > intent.order.valid_until
    if purpose in (Purpose.FUND, Purpose.DEPOSIT):
        return _deposit(intent, purpose, amount, allowance, expired)
    if purpose is Purpose.RETURN_EXPIRED:
        if not expired:
            return Refusal("not_expired", "The order has not expired; cancel it to take the deposit back.")
        if intent.deposit == 0:
            return Refusal("nothing_to_return", "The escrow holds nothing for this intent.")
        return [return_expired_transaction(intent.order, intent.chain_id, intent.escrow)]
    if intent.chain_cancelled and intent.deposit == 0:
        return Refusal("already_cancelled", "This order is cancelled on chain already.")
    is_unspent = intent.recurrence is not None and intent.next_occurrence < intent.order.max_executions
    if intent.status is Status.COMPLETED and not is_unspent:
        return Refusal("already_executed", "This payment has been made; it cannot be cancelled.")
    return [cancel_transaction(intent.order, intent.chain_id, intent.escrow)]


def _deposit(
    intent: Intent, purpose: Purpose, amount: int | None, allowance: int, expired: bool
) -> list[UnsignedTransaction] | Refusal:
    if intent.status not in STOPPABLE or expired:
        return Refusal("intent_closed", f"This intent is {intent.status}; it takes no deposit any more.")
    order = intent.order
    missing = (order.amount + order.max_fee) * intent.slots_left - intent.unspent_deposit
    wanted = missing if amount is None else amount
    if missing <= 0:
        return Refusal("already_funded", "The escrow holds all that this intent takes.")
    if not 0 < wanted <= missing:
        return Refusal("deposit_out_of_range", f"Deposit between 1 and {missing} atoms.")
    if intent.is_native and purpose is Purpose.FUND and wanted == missing and intent.deposit == 0:
        return [fund_transaction(order, intent.chain_id, intent.escrow)]
    deposit = deposit_transaction(order, intent.chain_id, intent.escrow, wanted)
    if intent.is_native or allowance >= wanted:
        return [deposit]
    return [approve_transaction(order, intent.chain_id, intent.escrow, allowance + wanted), deposit]
