"""`intent.resume.v1`"""

from typing import ClassVar
from uuid import UUID

from snowrail_events.base import Event


class IntentResumeV1(Event):
    """Command to intent: let a paused intent go on."""

    subject: ClassVar[str] = "intent.resume.v1"
    producers: ClassVar[tuple[str, ...]] = ("chat",)
    aggregate: ClassVar[str] = "intent_id"

    intent_id: UUID
    user_id: UUID
    request_id: UUID
