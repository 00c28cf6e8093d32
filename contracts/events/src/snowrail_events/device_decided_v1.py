"""`device.decided.v1`"""

from datetime import datetime
from typing import Annotated, ClassVar, Literal
from uuid import UUID

from pydantic import Field

from snowrail_events.base import Event
from snowrail_events.fields import Code, Text


class DeviceDecidedV1(Event):
    """A device was approved or denied, or the wish to do so was refused and changed nothing."""

    subject: ClassVar[str] = "device.decided.v1"
    producers: ClassVar[tuple[str, ...]] = ("accounts",)
    aggregate: ClassVar[str] = "device_id"

    device_id: UUID
    user_id: UUID
    decision: Literal["approved", "denied", "refused"]
    label: Annotated[str, Field(max_length=200)] = ""
    sessions_ended: int = Field(default=0, ge=0)
    request_id: UUID | None = None
    code: Code | None = None
    """Why it was refused."""
    detail: Text = ""
    decided_at: datetime
