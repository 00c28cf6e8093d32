"""`user.set_time_zone.v1`"""

from datetime import datetime
from typing import Annotated, ClassVar
from uuid import UUID

from pydantic import Field

from snowrail_events.base import Event


class UserSetTimeZoneV1(Event):
    """Command to accounts: the time zone in which a user lives.

    Answered by `user.updated.v1` or `user.rejected.v1` with the same request id.
    """

    subject: ClassVar[str] = "user.set_time_zone.v1"
    producers: ClassVar[tuple[str, ...]] = ("chat",)
    aggregate: ClassVar[str] = "user_id"

    request_id: UUID
    user_id: UUID
    time_zone: Annotated[str, Field(max_length=64)]
    """IANA name."""
    requested_at: datetime
