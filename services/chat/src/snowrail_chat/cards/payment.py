"""The card of a payment, from its preview to its end; updated in place."""

import hashlib
from typing import Any

import orjson

from snowrail_chain.eip712 import Order, typed_data
from snowrail_chat.cards.plans import hold_actions, plan_rows, plan_status, plan_words
from snowrail_chat.cards.wording import (
    duration,
    explain,
    payee,
    short_address,
    transaction_action,
)
from snowrail_chat.domain.cards import Action, Card, Row, Style
from snowrail_chat.domain.progress import ENDED_INTENT, UNAUTHORISED
from snowrail_chat.domain.quotes import Quotes
from snowrail_chat.domain.values import short_id
from snowrail_chat.domain.views import IntentView, PaymentView
from snowrail_events.parts import UnsignedTransaction
from snowrail_kit.ids import derived_id

_WALLET_ACTIONS = {
    "approve": ("Approve", Style.PRIMARY),
    "cancel": ("Cancel on chain", Style.DANGER),
    "return_expired": ("Take back deposit", Style.PRIMARY),
}
_WORD_DIGITS = 64
"""Of one argument of a contract's function, in hexadecimal."""
_HANDLING_SECONDS = 2
"""What deciding and sending take, on top of the chain's own time."""


_VALUED_ROWS = frozenset({"Amount", "Network fee", "Platform fee", "Total", "Changed"})


def essence(card: Card) -> bytes:
    """Return what tells two states of a card apart for a person: not its version, nor what prices do."""
    rows = [row for row in card.wire["rows"] if row["label"] not in _VALUED_ROWS]
    wire = {**card.wire, "rows": rows, "version": None}
    return hashlib.sha256(orjson.dumps(wire)).digest()[:16]


def payment_card(view: IntentView, quotes: Quotes) -> Card:
    """Return the card of an intent as it stands."""
    standing = view.standing
    recipient = payee(view.recipient_label, view.recipient)
    is_repeated = view.recurrence is not None
    return Card(
        card_id=derived_id("card", view.intent_id),
        kind="payment",
        title=f"Pay {quotes.amount(view.amount, view.token)} to {recipient}{', repeatedly' * is_repeated}",
        status=plan_status(view, quotes),
        rows=(
            *_terms(view, quotes),
            *plan_rows(view, quotes),
            *_timing(view, quotes),
            *_outcome(view, quotes),
        ),
        progress=standing.progress,
        steps=standing.steps,
        actions=(*wallet_actions(view, quotes), *_other_actions(view, quotes)),
        notes=_notes(view, quotes),
        version=view.card_version,
    )


def order_of(view: IntentView) -> Order:
    """Return the order of an intent as the contract takes it. Raises InvalidOrder when it is none."""
    terms = view.order
    return Order(
        payer=terms.payer,
        recipient=terms.recipient,
        token=terms.token,
        amount=terms.amount,
        valid_after=terms.valid_after,
        valid_until=terms.valid_until,
        max_gas_price=terms.max_gas_price,
        safety_buffer=terms.safety_buffer,
        min_interval=terms.min_interval,
        max_executions=terms.max_executions,
        max_fee=terms.max_fee,
        salt=bytes.fromhex(terms.salt[2:]),
    )


def _terms(view: IntentView, quotes: Quotes) -> tuple[Row, ...]:
    rows = [
        Row("From", short_address(view.payer)),
        Row("To", payee(view.recipient_label, view.recipient)),
        Row("Address", view.recipient, mono=True),
        Row("Amount", quotes.valued(view.amount, view.token)),
    ]
    gas = view.estimated_gas * quotes.gas_prices.get(view.chain_id, view.estimated_gas_price)
    coin = quotes.native_token(view.chain_id)
    by_payer = view.fee_payer == "payer"
    if coin is not None:
        who = "paid by you" if by_payer else "paid by Snowrail"
        rows.append(Row("Network fee", f"{quotes.valued_in(gas, coin)}, {who}"))
    fee = view.order.max_fee
    if fee:
        rows.append(Row("Platform fee", f"at most {quotes.valued(fee, view.token)}, only on success"))
    pays_in_coin = coin is not None and coin.token_id == view.token
    total = view.amount + fee + (gas if by_payer and pays_in_coin else 0)
    extra = " plus the network fee" if by_payer and not pays_in_coin else ""
    rows.append(Row("Total", f"{quotes.valued(total, view.token)}{extra}"))
    return tuple(rows)


def _timing(view: IntentView, quotes: Quotes) -> tuple[Row, ...]:
    rows: list[Row] = []
    standing = view.standing
    chain = quotes.chain_of(view.chain_id)
    if standing.is_open and chain is not None:
        final = chain.confirmations * chain.block_time_seconds
        seconds = final + _HANDLING_SECONDS + (0 if view.by_signature else final)
        start = "signed" if view.by_signature else "sent the funding transaction"
        rows.append(
            Row(
                "Expected time",
                f"about {duration(seconds)} after your wallet has {start}"
                if view.recurrence is None
                else f"each about {duration(seconds)} after its time",
            )
        )
    rows.append(Row("Privacy", "public on the chain"))
    if standing.is_waiting_for_payer:
        rows.append(Row("Valid until", quotes.moment(view.expires_at)))
    rows.append(Row("Id", short_id(view.intent_id), mono=True))
    return tuple(rows)


def _outcome(view: IntentView, quotes: Quotes) -> tuple[Row, ...]:
    rows: list[Row] = []
    payment = view.payment
    reason = _reason(view, payment)
    if reason:
        rows.append(Row("Reason", reason))
    if view.refunded:
        rows.append(Row("Returned", quotes.valued(view.refunded, view.token)))
    if payment is not None and payment.tx_hash is not None:
        rows.append(Row("Transaction", payment.tx_hash, mono=True))
        chain = quotes.chain_of(view.chain_id)
        url = None if chain is None else chain.transaction_url(payment.tx_hash)
        if url:
            rows.append(Row("Explorer", url))
    if payment is not None and payment.block_number is not None:
        rows.append(Row("Block", str(payment.block_number)))
    if payment is not None or view.status in ENDED_INTENT:
        rows.append(
            Row(
                "Changed",
                quotes.moment(max(view.changed_at, payment.changed_at if payment else view.changed_at)),
            )
        )
    return tuple(rows)


def _reason(view: IntentView, payment: PaymentView | None) -> str:
    if payment is not None and payment.status == "succeeded":
        return ""
    if payment is not None and payment.reasons:
        return " ".join(explain(reason) for reason in payment.reasons)
    if payment is not None and payment.code:
        return payment.detail or explain(payment.code)
    return explain(view.reason) if view.reason else ""


def wallet_actions(view: IntentView, quotes: Quotes) -> tuple[Action, ...]:
    """Return the buttons by which the payer's wallet does what a payment needs."""
    approval = _first_approval(view)
    step = view.next_step if approval is not view.next_step else None
    actions: list[Action] = [] if step is None else [wallet_action(view, step)]
    if not view.standing.is_open:
        return tuple(actions)
    under_way = view.payment is not None or view.reason == "funding_confirming"
    if view.status not in UNAUTHORISED or under_way or not view.is_as_offered:
        return tuple(actions)
    if approval is not None:
        token = quotes.token(view.token)
        symbol = "token" if token is None else token.symbol
        actions.append(transaction_action(f"Approve {symbol}", view.intent_id, approval))
    style = Style.SECONDARY if actions else Style.PRIMARY
    if view.reason == "funding_partial":
        # the escrow takes no more than the order can spend: the whole amount would be refused
        actions.append(Action("Deposit the rest", f"/deposit {short_id(view.intent_id)} ", style, draft=True))
    elif view.transaction is not None:
        actions.append(transaction_action("Sign", view.intent_id, view.transaction, style))
    elif view.by_signature:
        document = typed_data(order_of(view), view.chain_id, view.escrow)
        sign = {"kind": "typed_data", "typed_data": document}
        actions.append(Action("Sign", f"/confirm {short_id(view.intent_id)}", style, sign))
    return tuple(actions)


def _first_approval(view: IntentView) -> UnsignedTransaction | None:
    """Return the approval to send before an order is signed, as it was offered last."""
    if view.status not in UNAUTHORISED:
        return None
    if view.next_step is None:
        return view.approval
    return view.next_step if view.next_step.purpose == "approve" else None


def approved_token(action: Action) -> str | None:
    """Return the contract of the token that a button lets the escrow move; None for any other button."""
    transaction: dict[str, Any] = (action.sign or {}).get("transaction") or {}
    return transaction["to"] if transaction.get("purpose") == "approve" else None


def approved_atoms(action: Action) -> int:
    """Return how many atoms an approval is for: the last argument of its call."""
    assert action.sign is not None, "an approval is signed"
    return _approved_atoms(action.sign["transaction"]["data"])


def _approved_atoms(data: str) -> int:
    return int(data[-_WORD_DIGITS:], 16)


def wallet_action(view: IntentView, transaction: UnsignedTransaction) -> Action:
    """Return the button for a transaction that the payer's wallet may send about a payment."""
    label, style = _WALLET_ACTIONS.get(transaction.purpose, ("Sign", Style.PRIMARY))
    return transaction_action(label, view.intent_id, transaction, style)


def _other_actions(view: IntentView, quotes: Quotes) -> tuple[Action, ...]:
    identifier = short_id(view.intent_id)
    standing = view.standing
    if standing.status == "final":
        return ()
    if standing.is_open:
        actions = [*hold_actions(view), Action("Cancel", f"/cancel {identifier}", Style.DANGER)]
        token = quotes.token(view.token)
        if view.status in UNAUTHORISED and token is not None:
            recipient = view.recipient_label if view.recipient_label.startswith("@") else view.recipient
            line = f"{recipient} {quotes.amount(view.amount, view.token)}{plan_words(view, quotes)}"
            command = "/pay" if view.recurrence is None else "/recurring setup"
            actions.insert(0, Action("Edit", f"{command} {line}", Style.SECONDARY, draft=True))
        return tuple(actions)
    if view.next_step is not None:
        return ()
    holds_deposit = not view.by_signature and view.refunded is None and standing.status != "cancelled"
    if holds_deposit or view.reason == "deposit_to_return":
        return (Action("Withdraw deposit", f"/withdraw {identifier}"),)
    return ()


def _notes(view: IntentView, quotes: Quotes) -> tuple[str, ...]:
    if view.status not in UNAUTHORISED or view.payment is not None:
        return ()
    notes: list[str] = []
    if view.is_new_payee:
        notes.append("This is your first payment to this address. Compare all 42 characters.")
    if not view.is_as_offered:
        notes.append("The terms were changed elsewhere; sign the new ones where you changed them.")
    elif view.by_signature:
        notes.append("Your wallet signs the order; no transaction and no fee of yours.")
    else:
        notes.append(
            "Your wallet sends the amount to the escrow and pays the fee of that transaction itself."
        )
    approval = _first_approval(view)
    if approval is not None:
        amount = quotes.amount(_approved_atoms(approval.data), view.token)
        notes.append(
            f"Approve first, once: your wallet allows the escrow to take {amount}, which is for all your"
            " open payments in this token, and pays that fee."
        )
    return tuple(notes)
