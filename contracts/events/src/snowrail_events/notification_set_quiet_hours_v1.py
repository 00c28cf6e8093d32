"""`notification.set_quiet_hours.v1`"""

from datetime import datetime
from typing import ClassVar
from uuid import UUID

from snowrail_events.base import Event
from snowrail_events.fields import ClockTime


class NotificationSetQuietHoursV1(Event):
    """Command to notification: when the user is not to be disturbed, in their own time zone.

    Both absent: never quiet. Answered like `notification.set_preference.v1`.
    """

    subject: ClassVar[str] = "notification.set_quiet_hours.v1"
    producers: ClassVar[tuple[str, ...]] = ("chat",)
    aggregate: ClassVar[str] = "user_id"

    request_id: UUID
    user_id: UUID
    starts_at: ClockTime | None = None
    ends_at: ClockTime | None = None
    requested_at: datetime
