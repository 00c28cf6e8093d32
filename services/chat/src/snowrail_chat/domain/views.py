"""What this service knows of intents and payments, folded from their events."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from snowrail_chat.domain.progress import PaymentState, Standing, standing
from snowrail_events.fields import OrderTerms
from snowrail_events.parts import UnsignedTransaction

TYPED_DATA = "typed_data"


@dataclass(frozen=True, slots=True)
class PaymentView:
    """One payment.

    Attributes:
        step: the last step reported on the way.
        code, detail, reasons: why it failed, was blocked or is held.
        fee: atoms taken on top of the amount.
        tx_hash: the transaction that carries or carried it.
    """

    payment_id: UUID
    intent_id: UUID
    user_id: UUID
    occurrence: int
    version: int
    status: str
    step: str
    payer: str
    recipient: str
    token: str
    amount: int
    changed_at: datetime
    tx_hash: str | None = None
    block_number: int | None = None
    fee: int | None = None
    code: str | None = None
    detail: str = ""
    reasons: tuple[str, ...] = ()

    @property
    def state(self) -> PaymentState:
        """What progress is told by."""
        return PaymentState(self.status, self.step, self.tx_hash is not None)


@dataclass(frozen=True, slots=True)
class IntentView:
    """One intent, with its latest payment.

    Attributes:
        version: of the intent.
        order, order_terms_hash: the order as it was offered for signing, and its hash; an edit makes another.
        transaction: the funding transaction that authorises a native payment.
        approval: one-time approval that was needed when the intent was made.
        next_step: what the payer's wallet may send next.
        card_version: how often the card was made.
        is_new_payee: nothing was ever paid to this recipient by this user.
    """

    intent_id: UUID
    user_id: UUID
    version: int
    status: str
    reason: str | None
    payer: str
    recipient: str
    recipient_label: str
    token: str
    amount: int
    order_hash: str
    expires_at: datetime
    created_at: datetime
    changed_at: datetime
    order: OrderTerms
    order_terms_hash: str
    escrow: str
    chain_id: int
    authorisation: str
    transaction: UnsignedTransaction | None
    approval: UnsignedTransaction | None
    next_step: UnsignedTransaction | None
    estimated_gas: int
    estimated_gas_price: int
    fee_payer: str
    refunded: int | None
    card_version: int
    is_new_payee: bool
    payment: PaymentView | None

    @property
    def by_signature(self) -> bool:
        """Whether a signature authorises it, rather than a funding transaction."""
        return self.authorisation == TYPED_DATA

    @property
    def is_as_offered(self) -> bool:
        """Whether the order at hand is the one the intent still stands for."""
        return self.order_hash == self.order_terms_hash

    @property
    def standing(self) -> Standing:
        """Where it stands for its payer."""
        return standing(
            self.status,
            self.by_signature,
            self.approval is not None,
            None if self.payment is None else self.payment.state,
        )


@dataclass(frozen=True, slots=True)
class Movement:
    """A payment as its payer or recipient sees it.

    Attributes:
        incoming: the user received it.
        other: address of the other side.
        label: what the payer called the recipient; empty for what was received.
    """

    intent_id: UUID
    incoming: bool
    other: str
    label: str
    token: str
    amount: int
    status: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Contact:
    """An entry of an address book. `handle` is the user's name when saved; empty for a bare address."""

    name: str
    address: str
    handle: str = ""


def part(values: dict[str, Any] | None) -> UnsignedTransaction | None:
    """Return a transaction as it was stored; None for none."""
    return None if values is None else UnsignedTransaction.model_validate(values)
