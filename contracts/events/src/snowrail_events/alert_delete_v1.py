"""`alert.delete.v1`"""

from datetime import datetime
from typing import ClassVar
from uuid import UUID

from snowrail_events.base import Event


class AlertDeleteV1(Event):
    """Command to notification: forget a price alert of this user.

    Answered by `alert.updated.v1` (deleted) or `notification.rejected.v1`.
    """

    subject: ClassVar[str] = "alert.delete.v1"
    producers: ClassVar[tuple[str, ...]] = ("chat",)
    aggregate: ClassVar[str] = "alert_id"

    alert_id: UUID
    request_id: UUID
    user_id: UUID
    requested_at: datetime
