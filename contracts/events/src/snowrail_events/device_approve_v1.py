"""`device.approve.v1`"""

from datetime import datetime
from typing import ClassVar
from uuid import UUID

from snowrail_events.base import Event


class DeviceApproveV1(Event):
    """Command to accounts: a sign-in from a new device was the user's own.

    Answered by `device.decided.v1`. Only an approved device may say so, and not about itself.
    """

    subject: ClassVar[str] = "device.approve.v1"
    producers: ClassVar[tuple[str, ...]] = ("chat",)
    aggregate: ClassVar[str] = "device_id"

    device_id: UUID
    request_id: UUID
    user_id: UUID
    by_device_id: UUID | None = None
    """The device the command came from; absent: from a linked channel without a device."""
    requested_at: datetime
