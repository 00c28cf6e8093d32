"""`intent.rejected.v1`"""

from datetime import datetime
from typing import ClassVar
from uuid import UUID

from snowrail_events.base import Event
from snowrail_events.fields import Code, Text


class IntentRejectedV1(Event):
    """A request about an intent was refused and changed nothing."""

    subject: ClassVar[str] = "intent.rejected.v1"
    producers: ClassVar[tuple[str, ...]] = ("intent",)
    aggregate: ClassVar[str] = "intent_id"

    intent_id: UUID
    user_id: UUID
    request_id: UUID
    command: Code
    """The command refused: `create`, `authorise`, `cancel`, `pause` or `resume`."""
    code: Code
    detail: Text
    rejected_at: datetime
