"""`user.updated.v1`"""

from datetime import datetime
from typing import Annotated, ClassVar
from uuid import UUID

from pydantic import Field

from snowrail_events.base import Event
from snowrail_events.fields import Address, Code, Handle


class UserUpdatedV1(Event):
    """A user's handle, roles, KYC level or time zone changed, or a command to change one was followed.

    Carries the whole record.
    """

    subject: ClassVar[str] = "user.updated.v1"
    producers: ClassVar[tuple[str, ...]] = ("accounts",)
    aggregate: ClassVar[str] = "user_id"

    user_id: UUID
    handle: Handle
    address: Address
    roles: tuple[Code, ...]
    kyc_level: int = Field(ge=0, le=3)
    time_zone: Annotated[str, Field(max_length=64)] = "UTC"
    changed_at: datetime
    request_id: UUID | None = None
    """The command that this answers."""
