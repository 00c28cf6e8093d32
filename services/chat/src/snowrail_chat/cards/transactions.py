"""Cards of /deposit and /withdraw: transactions for the user's own wallet."""

from collections.abc import Sequence
from uuid import UUID

from snowrail_chat.cards.payment import wallet_action
from snowrail_chat.cards.wording import short_address, transaction_action
from snowrail_chat.domain.cards import Action, Card, Row
from snowrail_chat.domain.quotes import Quotes
from snowrail_chat.domain.values import short_id
from snowrail_chat.domain.views import IntentView
from snowrail_events.parts import UnsignedTransaction

_STATUS = "awaiting_wallet"


def deposit_card(
    card_id: UUID,
    view: IntentView,
    atoms: int,
    transactions: Sequence[UnsignedTransaction],
    quotes: Quotes,
) -> Card:
    """Return the card that puts money for a payment into the escrow.

    Args:
        atoms: how much.
        transactions: for the wallet, in their order.
    """
    notes = ["Your wallet pays the fees. What stays unspent can be taken back with /withdraw."]
    if len(transactions) > 1:
        notes.append("Approve first: the escrow may not take this token yet. Then sign the deposit.")
    if atoms < view.amount:
        notes.append("The payment executes once the deposit covers its whole amount.")
    return Card(
        card_id=card_id,
        kind="transaction",
        title=f"Deposit {quotes.amount(atoms, view.token)}",
        status=_STATUS,
        rows=(
            Row("For payment", short_id(view.intent_id), mono=True),
            Row("From", short_address(view.payer)),
            Row("Contract", view.escrow, mono=True),
            Row("Amount", quotes.valued(atoms, view.token)),
        ),
        actions=(*(wallet_action(view, transaction) for transaction in transactions), _show(view)),
        notes=tuple(notes),
    )


def withdraw_card(
    card_id: UUID, view: IntentView, transactions: Sequence[UnsignedTransaction], quotes: Quotes
) -> Card:
    """Return the card that takes the unspent deposit of a payment back."""
    notes = ["Your wallet pays the fee."]
    if quotes.now > view.expires_at:
        notes.append(
            f"The payment expired at {quotes.moment(view.expires_at)}; nothing can execute it any more."
        )
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
        status=_STATUS,
        rows=(
            Row("Of payment", short_id(view.intent_id), mono=True),
            Row("Amount", f"what is unspent, at most {quotes.valued(view.amount, view.token)}"),
            Row("To", view.payer, mono=True),
            Row("Contract", view.escrow, mono=True),
            Row("Privacy", "public on the chain"),
        ),
        actions=(
            *(transaction_action("Withdraw", view.intent_id, transaction) for transaction in transactions),
            _show(view),
        ),
        notes=tuple(notes),
    )


def _show(view: IntentView) -> Action:
    return Action("Show payment", f"/status {short_id(view.intent_id)}")
