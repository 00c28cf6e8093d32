"""`payment.cancelled.v1`"""

from datetime import datetime
from typing import ClassVar
from uuid import UUID

from pydantic import Field

from snowrail_events.base import Event
from snowrail_events.fields import Address, Atoms, TokenId


class PaymentCancelledV1(Event):
    """A payment ended because its payer cancelled the order in time."""

    subject: ClassVar[str] = "payment.cancelled.v1"
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

    cancelled_at: datetime
