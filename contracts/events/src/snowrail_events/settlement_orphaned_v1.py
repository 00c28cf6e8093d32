"""`settlement.orphaned.v1`"""

from datetime import datetime
from typing import ClassVar
from uuid import UUID

from pydantic import Field

from snowrail_events.base import Event
from snowrail_events.fields import Hash32


class SettlementOrphanedV1(Event):
    """The block that held this payment left the chain; the same bytes are being sent again."""

    subject: ClassVar[str] = "settlement.orphaned.v1"
    producers: ClassVar[tuple[str, ...]] = ("settlement",)
    aggregate: ClassVar[str] = "payment_id"

    payment_id: UUID
    intent_id: UUID
    user_id: UUID
    occurrence: int = Field(ge=0, lt=2**32)
    attempt: int = Field(ge=0, le=100)

    chain_id: int
    tx_hash: Hash32
    orphaned_at: datetime
