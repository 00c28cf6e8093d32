"""`payment.updated.v1`"""

from datetime import datetime
from typing import ClassVar
from uuid import UUID

from pydantic import Field

from snowrail_events.base import Event
from snowrail_events.fields import Address, Atoms, Code, Hash32, TokenId


class PaymentUpdatedV1(Event):
    """A payment moved to a state that is not an end: for screens."""

    subject: ClassVar[str] = "payment.updated.v1"
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

    status: Code
    step: Code
    """`requested`, `review`, `approved`, `executing`, `submitted`, `included`, `unknown`, `reopened`."""
    attempt: int = Field(ge=0, le=100)
    chain_id: int
    tx_hash: Hash32 | None = None
    reasons: tuple[Code, ...] = ()
    changed_at: datetime
