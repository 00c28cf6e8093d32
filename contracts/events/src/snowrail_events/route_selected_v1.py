"""`route.selected.v1`"""

from datetime import datetime
from typing import ClassVar
from uuid import UUID

from pydantic import Field

from snowrail_events.base import Event
from snowrail_events.fields import Code


class RouteSelectedV1(Event):
    """The rail of an attempt, and how likely this choice was (for learning from logs)."""

    subject: ClassVar[str] = "route.selected.v1"
    producers: ClassVar[tuple[str, ...]] = ("routing",)
    aggregate: ClassVar[str] = "payment_id"

    payment_id: UUID
    attempt: int = Field(ge=1, le=100)
    decision_id: UUID
    rail: Code | None = None
    """None when no rail is eligible; `reason` says why."""
    propensity_millionths: int = Field(ge=0, le=1_000_000)
    eligible_rails: tuple[Code, ...]
    reason: Code
    selected_at: datetime
