"""`settlement.failed.v1`"""

from datetime import datetime
from typing import ClassVar
from uuid import UUID

from pydantic import Field

from snowrail_events.base import Event
from snowrail_events.fields import Code, Hash32, Text


class SettlementFailedV1(Event):
    """The attempt is proven to have had no effect on chain."""

    subject: ClassVar[str] = "settlement.failed.v1"
    producers: ClassVar[tuple[str, ...]] = ("settlement",)
    aggregate: ClassVar[str] = "payment_id"

    payment_id: UUID
    intent_id: UUID
    user_id: UUID
    occurrence: int = Field(ge=0, lt=2**32)
    attempt: int = Field(ge=0, le=100)

    chain_id: int
    tx_hash: Hash32 | None = None
    code: Code
    detail: Text = ""
    retryable: bool
    failed_at: datetime
