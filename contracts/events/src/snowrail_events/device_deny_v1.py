"""`device.deny.v1`"""

from datetime import datetime
from typing import ClassVar
from uuid import UUID

from snowrail_events.base import Event


class DeviceDenyV1(Event):
    """Command to accounts: a sign-in was not the user's own; the device loses its sessions at once.

    Answered by `device.decided.v1`.
    """

    subject: ClassVar[str] = "device.deny.v1"
    producers: ClassVar[tuple[str, ...]] = ("chat",)
    aggregate: ClassVar[str] = "device_id"

    device_id: UUID
    request_id: UUID
    user_id: UUID
    by_device_id: UUID | None = None
    requested_at: datetime
