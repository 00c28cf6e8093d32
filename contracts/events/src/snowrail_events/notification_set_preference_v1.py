"""`notification.set_preference.v1`"""

from datetime import datetime
from typing import ClassVar
from uuid import UUID

from snowrail_events.base import Event
from snowrail_events.fields import Code


class NotificationSetPreferenceV1(Event):
    """Command to notification: tell, or do not tell, types of notifications on channels.

    Without a type it means all of them, without a channel all channels. Answered by
    `notification.preferences_updated.v1` or `notification.rejected.v1`.
    """

    subject: ClassVar[str] = "notification.set_preference.v1"
    producers: ClassVar[tuple[str, ...]] = ("chat",)
    aggregate: ClassVar[str] = "user_id"

    request_id: UUID
    user_id: UUID
    type: Code | None = None
    channel: Code | None = None
    enabled: bool
    requested_at: datetime
