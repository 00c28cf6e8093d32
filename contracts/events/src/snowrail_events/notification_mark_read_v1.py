"""`notification.mark_read.v1`"""

from datetime import datetime
from typing import Annotated, ClassVar
from uuid import UUID

from pydantic import Field

from snowrail_events.base import Event


class NotificationMarkReadV1(Event):
    """Command to notification: the user has read these notifications (empty: all of them)."""

    subject: ClassVar[str] = "notification.mark_read.v1"
    producers: ClassVar[tuple[str, ...]] = ("gateway",)
    aggregate: ClassVar[str] = "user_id"

    user_id: UUID
    notification_ids: Annotated[tuple[UUID, ...], Field(max_length=500)]
    read_at: datetime
