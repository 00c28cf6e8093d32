"""`intent.pause.v1`"""

from typing import ClassVar
from uuid import UUID

from snowrail_events.base import Event


class IntentPauseV1(Event):
    """Command to intent: hold this intent back until it is resumed."""

    subject: ClassVar[str] = "intent.pause.v1"
    producers: ClassVar[tuple[str, ...]] = ("chat",)
    aggregate: ClassVar[str] = "intent_id"

    intent_id: UUID
    user_id: UUID
    request_id: UUID
