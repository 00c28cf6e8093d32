"""`fraud.assess.v1`"""

from datetime import datetime
from typing import ClassVar
from uuid import UUID

from pydantic import Field

from snowrail_events.base import Event
from snowrail_events.fields import Address, Atoms, TokenId


class FraudAssessV1(Event):
    """Command to fraud: score this payment before it moves."""

    subject: ClassVar[str] = "fraud.assess.v1"
    producers: ClassVar[tuple[str, ...]] = ("payment-orchestrator",)
    aggregate: ClassVar[str] = "payment_id"

    payment_id: UUID
    intent_id: UUID
    user_id: UUID
    occurrence: int = Field(ge=0, lt=2**32)
    payer: Address
    recipient: Address
    token: TokenId
    amount: Atoms
    requested_at: datetime
