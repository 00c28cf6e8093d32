"""`intent.cancelled.v1`"""

from datetime import datetime
from typing import ClassVar
from uuid import UUID

from snowrail_events.base import Event
from snowrail_events.fields import Hash32


class IntentCancelledV1(Event):
    """An intent ended without (further) execution."""

    subject: ClassVar[str] = "intent.cancelled.v1"
    producers: ClassVar[tuple[str, ...]] = ("intent",)
    aggregate: ClassVar[str] = "intent_id"

    intent_id: UUID
    user_id: UUID
    order_hash: Hash32
    on_chain: bool
    """True when a final on-chain cancellation was seen: the order can never execute again."""
    cancelled_at: datetime
