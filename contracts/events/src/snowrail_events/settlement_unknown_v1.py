"""`settlement.unknown.v1`"""

from datetime import datetime
from typing import ClassVar
from uuid import UUID

from pydantic import Field

from snowrail_events.base import Event
from snowrail_events.fields import Code, Hash32


class SettlementUnknownV1(Event):
    """The outcome of the attempt cannot be told yet; it is neither failed nor to be repeated."""

    subject: ClassVar[str] = "settlement.unknown.v1"
    producers: ClassVar[tuple[str, ...]] = ("settlement",)
    aggregate: ClassVar[str] = "payment_id"

    payment_id: UUID
    intent_id: UUID
    user_id: UUID
    occurrence: int = Field(ge=0, lt=2**32)
    attempt: int = Field(ge=0, le=100)

    chain_id: int
    tx_hash: Hash32
    code: Code
    since: datetime
