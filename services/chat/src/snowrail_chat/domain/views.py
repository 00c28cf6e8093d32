"""What this service knows of intents and payments, folded from their events."""

from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import Any
from uuid import UUID

from pydantic import BaseModel, ConfigDict

from snowrail_chat.domain.progress import ENDED_PAYMENT, OPEN_INTENT, PaymentState, Standing, standing
from snowrail_events.fields import OrderTerms
from snowrail_events.parts import IntentCondition, IntentRecurrence, UnsignedTransaction

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


class Plan(BaseModel):
    """How a payment that waits or repeats goes on.

    Attributes:
        paused: held back until it is resumed.
        next_run_at: when the next occurrence is due; None for at once, and when none is left.
        last_result: how the last occurrence ended.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    paused: bool | None = None
    next_run_at: datetime | None = None
    occurrences_total: int | None = None
    occurrences_paid: int | None = None
    occurrences_missed: int | None = None
    last_result: str | None = None
    last_result_at: datetime | None = None


@dataclass(frozen=True)
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
    condition: IntentCondition | None = None
    recurrence: IntentRecurrence | None = None
    plan: Plan = field(default_factory=Plan)

    @property
    def by_signature(self) -> bool:
        """Whether a signature authorises it, rather than a funding transaction."""
        return self.authorisation == TYPED_DATA

    @property
    def is_as_offered(self) -> bool:
        """Whether the order at hand is the one the intent still stands for."""
        return self.order_hash == self.order_terms_hash

    @cached_property
    def standing(self) -> Standing:
        """Where it stands for its payer."""
        return standing(
            self.status,
            self.by_signature,
            self.approval is not None,
            None if self.payment is None or self._goes_on else self.payment.state,
        )

    @property
    def _goes_on(self) -> bool:
        """Whether the latest payment is over and another one follows."""
        assert self.payment is not None, "only asked where there is one"
        ended = self.payment.status in ENDED_PAYMENT
        return self.recurrence is not None and self.status in OPEN_INTENT and ended


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


@dataclass(frozen=True, slots=True)
class UserSettings:
    """What holds for a user.

    Attributes:
        time_zone: IANA name, that of the account.
        currency: in which amounts are valued; None for the platform's.
    """

    time_zone: str = "UTC"
    currency: str | None = None


@dataclass(frozen=True, slots=True)
class Alert:
    """A mark for a price."""

    alert_id: UUID
    user_id: UUID
    version: int
    status: str
    symbol: str
    currency: str
    comparison: str
    price: str
    fired_price: str | None
    changed_at: datetime


def condition_part(values: dict[str, Any] | None) -> IntentCondition | None:
    """Return a condition as it was stored; None for none."""
    return None if values is None else IntentCondition.model_validate(values)


def recurrence_part(values: dict[str, Any] | None) -> IntentRecurrence | None:
    """Return a recurrence as it was stored; None for none."""
    return None if values is None else IntentRecurrence.model_validate(values)


def plan_of(values: dict[str, Any]) -> Plan:
    """Return a plan as it was stored."""
    return Plan.model_validate(values)


def part(values: dict[str, Any] | None) -> UnsignedTransaction | None:
    """Return a transaction as it was stored; None for none."""
    return None if values is None else UnsignedTransaction.model_validate(values)
