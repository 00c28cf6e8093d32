"""Words that cards share."""

from uuid import UUID

from snowrail_chat.domain.cards import Action, Style
from snowrail_chat.domain.values import short_id
from snowrail_events.parts import UnsignedTransaction

_REASONS = {
    "approval_missing": "The escrow may not move this token for you yet; approve it.",
    "asset_halted": "Payments of this token are halted while its books are checked; it waits.",
    "cancel_on_chain_only": "It is being executed; only a cancellation on chain can still come first.",
    "cancellation_seen": "Your cancellation is on the chain and becomes final shortly.",
    "cancelled_by_user": "You cancelled it.",
    "cancellation_orphaned": "The block with the cancellation left the chain; it is sent again.",
    "cancelled_on_chain": "Cancelled on the chain: it can never execute.",
    "chain_unavailable": "The chain does not answer; it is tried again.",
    "daily_limit_exceeded": "It would exceed your limit of the day; it waits for the next one.",
    "deposit_missing": "The deposit does not cover the next payment; add to it with /deposit.",
    "deposit_to_return": "The escrow still holds a deposit of yours; take it back.",
    "earlier_payments": "It waits until your earlier payments have taken their part of the wallet.",
    "expired": "It was not executed before it expired.",
    "fraud_blocked": "The fraud check refused it; nothing moved.",
    "funding_confirming": "Your deposit is in a block and becomes final shortly.",
    "funding_orphaned": "The block with your deposit left the chain; fund it again.",
    "funding_partial": "Your deposit does not cover the amount yet.",
    "gas_condition_unmet": "Gas costs more than your condition says; it waits until the price has fallen.",
    "gas_price_above_ceiling": "Gas costs more than you allowed; it waits until the price has fallen.",
    "gas_price_unknown": "The gas price is not known; it waits.",
    "insufficient_funds": "Your wallet holds too little of the token.",
    "monthly_limit_exceeded": "It would exceed your limit of the month; it waits for the next one.",
    "occurrences_missed": "Payments that were due could not be made in time; see /recurring list.",
    "outcome_unknown": "It is not known yet whether it went through; nothing is sent again until it is.",
    "price_condition_unmet": "The price is not where your condition wants it; it waits.",
    "price_stale": "The last known price is too old to judge by; it waits for a newer one.",
    "price_unknown": "The price is not known; it waits.",
    "superseded_order_funded": "You funded terms that were changed since; take that deposit back.",
    "payment_in_review": "A person looks at it before it moves.",
    "payment_reopened": "The block with the payment left the chain; the same transaction is sent again.",
}


def explain(code: str) -> str:
    """Return the sentence for the code of a reason."""
    words = code.replace("_", " ")
    return _REASONS.get(code, f"{words[0].upper()}{words[1:]}.")


def short_address(address: str) -> str:
    """Return the head and tail of an address; the whole of it stands in a row of its own."""
    return f"{address[:6]}…{address[-4:]}"


def duration(seconds: float) -> str:
    """Return a duration for people."""
    whole = max(round(seconds), 1)
    if whole < 120:
        return f"{whole} s"
    return f"{whole // 60} min {whole % 60} s" if whole < 7_200 else f"{whole // 3_600} h"


def payee(label: str, address: str) -> str:
    """Return a recipient: the name it was given and the short form of its address."""
    return f"{label} ({short_address(address)})" if label else short_address(address)


def transaction_action(
    label: str, intent_id: UUID, transaction: UnsignedTransaction, style: Style = Style.PRIMARY
) -> Action:
    """Return the button that has the wallet send a transaction and then shows the payment again."""
    sign = {"kind": "transaction", "transaction": transaction.model_dump(mode="json")}
    return Action(label, f"/confirm {short_id(intent_id)}", style, sign)
