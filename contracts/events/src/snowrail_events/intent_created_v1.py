"""`intent.created.v1`"""

from datetime import datetime
from typing import Annotated, ClassVar
from uuid import UUID

from pydantic import Field

from snowrail_events.base import Event
from snowrail_events.fields import Address, Atoms, Code, Hash32, OrderTerms, TokenId
from snowrail_events.parts import IntentCondition, IntentRecurrence, UnsignedTransaction


class IntentCreatedV1(Event):
    """An intent waits for the payer's authorisation. Carries all that a wallet needs to give it."""

    subject: ClassVar[str] = "intent.created.v1"
    producers: ClassVar[tuple[str, ...]] = ("intent",)
    aggregate: ClassVar[str] = "intent_id"

    intent_id: UUID
    user_id: UUID
    version: int = Field(ge=1)
    status: Code
    reason: Code | None = None
    payer: Address
    recipient: Address
    recipient_label: Annotated[str, Field(max_length=64)] = ""
    token: TokenId
    amount: Atoms
    order_hash: Hash32
    expires_at: datetime
    changed_at: datetime

    order: OrderTerms
    escrow: Address
    chain_id: int
    authorisation: Code
    """`fund_transaction`: the payer sends the transaction below; `typed_data`: the payer signs the order."""
    transaction: UnsignedTransaction | None = None
    approval: UnsignedTransaction | None = None
    """One-time approval of the escrow, where the allowance does not cover the amount yet."""
    estimated_gas: int = Field(ge=0)
    estimated_gas_price: Atoms
    fee_payer: Code
    """Who pays the network fee of the execution: `platform` or `payer`."""
    condition: IntentCondition | None = None
    recurrence: IntentRecurrence | None = None
    next_run_at: datetime | None = None
    """When the first occurrence is due; None for at once."""
    occurrences_total: int | None = Field(default=None, ge=1)
    """How many occurrences one authorisation covers; the approval or the funding transaction is for all."""
