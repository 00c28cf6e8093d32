"""`intent.cancel.v1`"""

from typing import ClassVar
from uuid import UUID

from snowrail_events.base import Event


class IntentCancelV1(Event):
    """Command to intent: stop this intent before it executes."""

    subject: ClassVar[str] = "intent.cancel.v1"
    producers: ClassVar[tuple[str, ...]] = ("chat",)
    aggregate: ClassVar[str] = "intent_id"

    intent_id: UUID
    user_id: UUID
    request_id: UUID
