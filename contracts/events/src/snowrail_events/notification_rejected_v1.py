"""`notification.rejected.v1`"""

from datetime import datetime
from typing import ClassVar
from uuid import UUID

from snowrail_events.base import Event
from snowrail_events.fields import Code, Text


class NotificationRejectedV1(Event):
    """A command about alerts or preferences was refused and changed nothing."""

    subject: ClassVar[str] = "notification.rejected.v1"
    producers: ClassVar[tuple[str, ...]] = ("notification",)
    aggregate: ClassVar[str] = "user_id"

    user_id: UUID
    request_id: UUID
    command: Code
    """`alert_create`, `alert_delete`, `set_preference` or `set_quiet_hours`."""
    code: Code
    detail: Text
    rejected_at: datetime
