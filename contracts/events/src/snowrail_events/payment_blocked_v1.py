"""`payment.blocked.v1`"""

from datetime import datetime
from typing import ClassVar
from uuid import UUID

from pydantic import Field

from snowrail_events.base import Event
from snowrail_events.fields import Address, Atoms, Code, TokenId


class PaymentBlockedV1(Event):
    """A payment was refused by the fraud decision before anything moved."""

    subject: ClassVar[str] = "payment.blocked.v1"
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

    score_thousandths: int = Field(ge=0, le=1000)
    reasons: tuple[Code, ...]
    blocked_at: datetime
