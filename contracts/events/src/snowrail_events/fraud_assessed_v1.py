"""`fraud.assessed.v1`"""

from datetime import datetime
from typing import ClassVar
from uuid import UUID

from pydantic import Field

from snowrail_events.base import Event
from snowrail_events.fields import Code


class FraudAssessedV1(Event):
    """A payment has its score: 0 (harmless) to 1, in thousandths, with reasons."""

    subject: ClassVar[str] = "fraud.assessed.v1"
    producers: ClassVar[tuple[str, ...]] = ("fraud",)
    aggregate: ClassVar[str] = "payment_id"

    payment_id: UUID
    score_thousandths: int = Field(ge=0, le=1000)
    decision: Code
    """`allow`, `review` or `block`."""
    reasons: tuple[Code, ...]
    assessed_at: datetime
