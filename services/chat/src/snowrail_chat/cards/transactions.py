"""Cards of /deposit and /withdraw: a transaction for the user's own wallet."""

from uuid import UUID

from snowrail_chain.abi import cancel_calldata, deposit_calldata, fund_calldata, return_expired_calldata
from snowrail_chat.cards.payment import order_of
from snowrail_chat.cards.wording import moment, short_address, transaction_action
from snowrail_chat.domain.cards import Action, Card, Row, Style
from snowrail_chat.domain.quotes import Quotes
from snowrail_chat.domain.values import short_id
from snowrail_chat.domain.views import IntentView
from snowrail_events.parts import UnsignedTransaction


def deposit_card(card_id: UUID, view: IntentView, atoms: int, quotes: Quotes) -> Card:
    """Return the card that puts money for a payment into the escrow.

    Args:
        atoms: how much, at most what the order can spend.
    """
    order = order_of(view)
    native = not view.by_signature
    transaction = UnsignedTransaction(
        chain_id=view.chain_id,
        to=view.escrow,
        data=f"0x{(fund_calldata(order) if native else deposit_calldata(order, atoms)).hex()}",
        value=atoms if native else 0,
        purpose="fund" if native else "deposit",
    )
    actions = [transaction_action("Sign", view.intent_id, transaction)]
    notes = [
        "Your wallet pays the fee of this transaction. What stays unspent can be taken back with /withdraw."
    ]
    if view.approval is not None:
        approve = transaction_action("Approve", view.intent_id, view.approval)
        actions = [approve, transaction_action("Sign", view.intent_id, transaction, Style.SECONDARY)]
        notes.append("The escrow needs your approval for this token first.")
    if atoms < view.amount:
        missing = quotes.amount(view.amount - atoms, view.token)
        notes.append(
            f"It executes once the deposit covers the whole amount; {missing} would still be missing."
        )
    return Card(
        card_id=card_id,
        kind="transaction",
        title=f"Deposit {quotes.amount(atoms, view.token)}",
        status="awaiting_wallet",
        rows=(
            Row("For payment", short_id(view.intent_id), mono=True),
            Row("From", short_address(view.payer)),
            Row("Contract", view.escrow, mono=True),
            Row("Amount", quotes.valued(atoms, view.token)),
        ),
        actions=(*actions, _show(view)),
        notes=tuple(notes),
    )


def withdraw_card(card_id: UUID, view: IntentView, quotes: Quotes) -> Card:
    """Return the card that takes the unspent deposit of a payment back."""
    order = order_of(view)
    expired = quotes.now > view.expires_at
    data = return_expired_calldata(order) if expired else cancel_calldata(order)
    transaction = UnsignedTransaction(
        chain_id=view.chain_id,
        to=view.escrow,
        data=f"0x{data.hex()}",
        value=0,
        purpose="return" if expired else "cancel",
    )
    notes = ["Your wallet pays the fee of this transaction."]
    if expired:
        notes.append(f"The payment expired at {moment(view.expires_at)}; nothing can execute it any more.")
    else:
        notes.append("It cancels the payment for ever. If an execution comes first, only the rest returns.")
    if view.by_signature:
        notes.append(
            "This payment draws on your wallet; there is a deposit only if you made one with /deposit."
        )
    return Card(
        card_id=card_id,
        kind="transaction",
        title="Withdraw the unspent deposit",
        status="awaiting_wallet",
        rows=(
            Row("Of payment", short_id(view.intent_id), mono=True),
            Row("Amount", f"what is unspent, at most {quotes.valued(view.amount, view.token)}"),
            Row("To", view.payer, mono=True),
            Row("Contract", view.escrow, mono=True),
            Row("Privacy", "public on the chain"),
        ),
        actions=(transaction_action("Sign", view.intent_id, transaction), _show(view)),
        notes=tuple(notes),
    )


def _show(view: IntentView) -> Action:
    return Action("Show payment", f"/status {short_id(view.intent_id)}")
