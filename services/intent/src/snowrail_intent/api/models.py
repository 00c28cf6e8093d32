"""Bodies of requests and answers. Amounts are decimal strings of atoms."""

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from snowrail_chain.eip712 import typed_data
from snowrail_events.fields import Atoms, Code, HexBytes, OrderTerms, TokenId
from snowrail_events.parts import IntentCondition, IntentRecurrence, UnsignedTransaction
from snowrail_intent.domain.intents import Intent
from snowrail_intent.domain.next_steps import approval_of, funding_of, next_step
from snowrail_intent.domain.orders import order_terms
from snowrail_intent.domain.payments import Occurrence
from snowrail_intent.domain.states import Status
from snowrail_intent.domain.terms import condition_terms, recurrence_terms

Label = Annotated[str, Field(max_length=64)]


class ConditionTerms(IntentCondition):
    """What must hold before a payment is made; nothing else may be named."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class RecurrenceTerms(IntentRecurrence):
    """When a payment repeats; nothing else may be named."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    start_at: AwareDatetime
    end_at: AwareDatetime | None = None


class CreateIntent(BaseModel):
    """A payment to prepare. Nothing moves before the payer authorises it."""

    model_config = ConfigDict(extra="forbid")

    recipient: Annotated[str, Field(max_length=100)]
    """EIP-55 address."""
    token: TokenId
    amount: Atoms
    recipient_label: Label = ""
    not_before: AwareDatetime | None = None
    acknowledged: Annotated[list[Code], Field(max_length=10)] = []
    """Warnings the user has seen and accepts: `duplicate_payment`, `lookalike_address`."""
    condition: ConditionTerms | None = None
    recurrence: RecurrenceTerms | None = None
    """Its start takes the place of `not_before`."""
    safety_buffer: Atoms = 0
    """Least atoms of the token that stay in the payer's wallet."""


class EditIntent(BaseModel):
    """What may change before authorisation. `not_before: null` means at once; what is left out stays."""

    model_config = ConfigDict(extra="forbid")

    recipient_label: Label | None = None
    not_before: AwareDatetime | None = None
    expires_at: AwareDatetime | None = None


class AuthoriseIntent(BaseModel):
    """The payer's signature of the order."""

    model_config = ConfigDict(extra="forbid")

    signature: HexBytes
    chain_id: Annotated[int | None, Field(ge=1, lt=2**63)] = None
    """Chain the wallet says it signed for."""


class IntentSummary(BaseModel):
    """An intent in a list."""

    intent_id: UUID
    version: int
    status: Status
    paused: bool
    reason: str | None
    payer: str
    recipient: str
    recipient_label: str
    token: str
    amount: Atoms
    chain_id: int
    not_before: datetime | None
    expires_at: datetime
    next_check_at: datetime | None
    condition: IntentCondition | None
    recurrence: IntentRecurrence | None
    safety_buffer: Atoms
    next_run_at: datetime | None
    """When the next occurrence falls due; none for at once, and when none is left."""
    occurrences_total: int
    occurrences_paid: int
    occurrences_missed: int
    """Left out, or failed."""
    last_result: str | None
    last_result_at: datetime | None
    created_at: datetime
    changed_at: datetime


class OccurrenceView(BaseModel):
    """One occurrence that became due, and its payment; or one that was missed, which has none."""

    slot: int
    """Its number in the calendar, from 0."""
    occurrence: int
    """Number of executions before it, as the escrow counts them."""
    payment_id: UUID
    status: str
    step: str
    tx_hash: str | None
    scheduled_at: datetime
    due_at: datetime
    changed_at: datetime


class EvaluationView(BaseModel):
    """One look of the engine, with what it saw."""

    evaluated_at: datetime
    status: str
    reason: str | None
    inputs: dict[str, Any]


class IntentDetail(IntentSummary):
    """An intent with all that a wallet needs, and what has been done about it."""

    user_id: UUID
    escrow: str
    order: OrderTerms
    order_hash: str
    authorisation: str
    """`fund_transaction` or `typed_data`."""
    is_signed: bool
    deposit: Atoms
    estimated_gas: int
    estimated_gas_price: Atoms
    fee_payer: str
    typed_data: dict[str, Any] | None
    """Document for `eth_signTypedData_v4`, while a signature is what is missing."""
    transaction: UnsignedTransaction | None
    """Funding transaction, while it is what is missing."""
    approval: UnsignedTransaction | None
    next_step: UnsignedTransaction | None
    occurrences: list[OccurrenceView]
    evaluations: list[EvaluationView]


class OrderTransactions(BaseModel):
    """Transactions for the payer's wallet, to be sent in this order."""

    intent_id: UUID
    user_id: UUID
    chain_id: int
    payer: str
    transactions: list[UnsignedTransaction]


def summary(intent: Intent) -> IntentSummary:
    """Return an intent as lists show it."""
    return IntentSummary(**_summary_fields(intent))


def _summary_fields(intent: Intent) -> dict[str, Any]:
    return {
        "intent_id": intent.intent_id,
        "version": intent.version,
        "status": intent.status,
        "paused": intent.paused,
        "reason": intent.reason,
        "payer": intent.order.payer,
        "recipient": intent.order.recipient,
        "recipient_label": intent.recipient_label,
        "token": intent.token,
        "amount": intent.order.amount,
        "chain_id": intent.chain_id,
        "not_before": intent.not_before,
        "expires_at": intent.expires_at,
        "next_check_at": intent.next_check_at,
        "condition": condition_terms(intent.condition) if intent.condition else None,
        "recurrence": recurrence_terms(intent.recurrence) if intent.recurrence else None,
        "safety_buffer": intent.order.safety_buffer,
        "next_run_at": intent.next_run_at,
        "occurrences_total": intent.slots,
        "occurrences_paid": intent.next_occurrence,
        "occurrences_missed": intent.missed,
        "last_result": intent.last_result,
        "last_result_at": intent.last_result_at,
        "created_at": intent.created_at,
        "changed_at": intent.changed_at,
    }


def detail(
    intent: Intent, now: datetime, occurrences: list[Occurrence], evaluations: list[dict[str, Any]]
) -> IntentDetail:
    """Return an intent with all that a wallet needs."""
    waits = intent.status is Status.AWAITING_AUTHORISATION
    signs = waits and not intent.is_native
    return IntentDetail(
        **_summary_fields(intent),
        user_id=intent.user_id,
        escrow=intent.escrow,
        order=order_terms(intent.order),
        order_hash=f"0x{intent.order_hash.hex()}",
        authorisation="fund_transaction" if intent.is_native else "typed_data",
        is_signed=intent.signature is not None,
        deposit=intent.deposit,
        estimated_gas=intent.estimated_gas,
        estimated_gas_price=intent.estimated_gas_price,
        fee_payer="platform",
        typed_data=typed_data(intent.order, intent.chain_id, intent.escrow) if signs else None,
        transaction=funding_of(intent) if waits else None,
        approval=approval_of(intent),
        next_step=next_step(intent, now),
        occurrences=[
            OccurrenceView(
                slot=item.slot,
                occurrence=item.occurrence,
                payment_id=item.payment_id,
                status=item.status,
                step=item.step,
                tx_hash=item.tx_hash,
                scheduled_at=item.scheduled_at,
                due_at=item.due_at,
                changed_at=item.changed_at,
            )
            for item in occurrences
        ],
        evaluations=[EvaluationView(**item) for item in evaluations],
    )
