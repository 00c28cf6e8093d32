"""`device.signed_in.v1`"""

from datetime import datetime
from typing import Annotated, ClassVar
from uuid import UUID

from pydantic import Field

from snowrail_events.base import Event


class DeviceSignedInV1(Event):
    """A device obtained a session. `is_new` is true the first time this user is seen on it."""

    subject: ClassVar[str] = "device.signed_in.v1"
    producers: ClassVar[tuple[str, ...]] = ("accounts",)
    aggregate: ClassVar[str] = "user_id"

    user_id: UUID
    device_id: UUID
    label: Annotated[str, Field(max_length=200)]
    address: Annotated[str, Field(max_length=64)] = ""
    is_new: bool
    signed_in_at: datetime
