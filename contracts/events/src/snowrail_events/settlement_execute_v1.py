"""`settlement.execute.v1`"""

from datetime import datetime
from typing import ClassVar
from uuid import UUID

from pydantic import Field

from snowrail_events.base import Event
from snowrail_events.fields import Address, Code, Hash32, HexBytes, OrderTerms


class SettlementExecuteV1(Event):
    """Command to settlement: make this attempt happen on chain, at most once for ever."""

    subject: ClassVar[str] = "settlement.execute.v1"
    producers: ClassVar[tuple[str, ...]] = ("payment-orchestrator",)
    aggregate: ClassVar[str] = "payment_id"

    payment_id: UUID
    intent_id: UUID
    user_id: UUID
    occurrence: int = Field(ge=0, lt=2**32)
    attempt: int = Field(ge=0, le=100)

    rail: Code
    chain_id: int
    escrow: Address
    order: OrderTerms
    order_hash: Hash32
    signature: HexBytes
    requested_at: datetime
