"""`route.select.v1`"""

from datetime import datetime
from typing import ClassVar
from uuid import UUID

from pydantic import Field

from snowrail_events.base import Event
from snowrail_events.fields import Atoms, Code, TokenId


class RouteSelectV1(Event):
    """Command to routing: choose the rail of this attempt."""

    subject: ClassVar[str] = "route.select.v1"
    producers: ClassVar[tuple[str, ...]] = ("payment-orchestrator",)
    aggregate: ClassVar[str] = "payment_id"

    payment_id: UUID
    intent_id: UUID
    user_id: UUID
    attempt: int = Field(ge=1, le=100)
    token: TokenId
    amount: Atoms
    chain_id: int
    excluded_rails: tuple[Code, ...] = ()
    requested_at: datetime
