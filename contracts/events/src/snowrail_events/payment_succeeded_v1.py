"""`payment.succeeded.v1`"""

from datetime import datetime
from typing import ClassVar
from uuid import UUID

from pydantic import Field

from snowrail_events.base import Event
from snowrail_events.fields import Address, Atoms, Hash32, TokenId


class PaymentSucceededV1(Event):
    """A payment is final on chain and in the ledger."""

    subject: ClassVar[str] = "payment.succeeded.v1"
    producers: ClassVar[tuple[str, ...]] = ("payment-orchestrator",)
    aggregate: ClassVar[str] = "payment_id"

    payment_id: UUID
    intent_id: UUID
    user_id: UUID
    occurrence: int = Field(ge=0, lt=2**32)
    version: int = Field(ge=1)
    payer: Address
    recipient: Address
    token: TokenId
    amount: Atoms

    chain_id: int
    attempt: int = Field(ge=1, le=100)
    decision_id: UUID | None = None
    tx_hash: Hash32
    block_number: int = Field(ge=0)
    fee: Atoms
    requested_at: datetime
    succeeded_at: datetime
