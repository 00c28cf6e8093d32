"""`user.rejected.v1`"""

from datetime import datetime
from typing import ClassVar
from uuid import UUID

from snowrail_events.base import Event
from snowrail_events.fields import Code, Text


class UserRejectedV1(Event):
    """A command about a user's account was refused and changed nothing."""

    subject: ClassVar[str] = "user.rejected.v1"
    producers: ClassVar[tuple[str, ...]] = ("accounts",)
    aggregate: ClassVar[str] = "user_id"

    user_id: UUID
    request_id: UUID
    command: Code
    """`set_time_zone`."""
    code: Code
    detail: Text
    rejected_at: datetime
