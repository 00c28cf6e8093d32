"""`intent.due.v1`"""

from datetime import datetime
from typing import ClassVar
from uuid import UUID

from pydantic import Field

from snowrail_events.base import Event
from snowrail_events.fields import Address, Hash32, HexBytes, OrderTerms, TokenId


class IntentDueV1(Event):
    """One occurrence of an authorised intent is to be paid now."""

    subject: ClassVar[str] = "intent.due.v1"
    producers: ClassVar[tuple[str, ...]] = ("intent",)
    aggregate: ClassVar[str] = "intent_id"

    intent_id: UUID
    user_id: UUID
    payment_id: UUID
    """Derived from intent and occurrence, so that it is the same however often the event is made."""
    occurrence: int = Field(ge=0, lt=2**32)
    order: OrderTerms
    order_hash: Hash32
    signature: HexBytes
    token: TokenId
    chain_id: int
    escrow: Address
    due_at: datetime
