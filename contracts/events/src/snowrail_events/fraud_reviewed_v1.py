"""`fraud.reviewed.v1`"""

from datetime import datetime
from typing import ClassVar
from uuid import UUID

from snowrail_events.base import Event
from snowrail_events.fields import Text


class FraudReviewedV1(Event):
    """A reviewer decided a held payment."""

    subject: ClassVar[str] = "fraud.reviewed.v1"
    producers: ClassVar[tuple[str, ...]] = ("fraud",)
    aggregate: ClassVar[str] = "payment_id"

    payment_id: UUID
    approved: bool
    reviewer_id: UUID
    note: Text = ""
    reviewed_at: datetime
