"""`payment.failed.v1`"""

from datetime import datetime
from typing import ClassVar
from uuid import UUID

from pydantic import Field

from snowrail_events.base import Event
from snowrail_events.fields import Address, Atoms, Code, Hash32, Text, TokenId


class PaymentFailedV1(Event):
    """A payment ended without effect; its hold is void."""

    subject: ClassVar[str] = "payment.failed.v1"
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
    attempt: int = Field(ge=0, le=100)
    decision_id: UUID | None = None
    tx_hash: Hash32 | None = None
    code: Code
    detail: Text = ""
    failed_at: datetime
