"""`notification.preferences_updated.v1`"""

from datetime import datetime
from typing import Annotated, ClassVar
from uuid import UUID

from pydantic import Field

from snowrail_events.base import Event
from snowrail_events.fields import ClockTime
from snowrail_events.parts import NotificationChannel, NotificationPreference


class NotificationPreferencesUpdatedV1(Event):
    """A user's preferences changed; carries all of them, and the state of each channel."""

    subject: ClassVar[str] = "notification.preferences_updated.v1"
    producers: ClassVar[tuple[str, ...]] = ("notification",)
    aggregate: ClassVar[str] = "user_id"

    user_id: UUID
    request_id: UUID | None = None
    preferences: Annotated[tuple[NotificationPreference, ...], Field(max_length=200)]
    channels: Annotated[tuple[NotificationChannel, ...], Field(max_length=10)]
    quiet_starts_at: ClockTime | None = None
    quiet_ends_at: ClockTime | None = None
    time_zone: Annotated[str, Field(max_length=64)] = "UTC"
    changed_at: datetime
