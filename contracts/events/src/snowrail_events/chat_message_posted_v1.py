"""`chat.message_posted.v1`"""

from datetime import datetime
from typing import ClassVar
from uuid import UUID

from snowrail_events.base import Event
from snowrail_events.fields import Address, Code, Handle, Text


class ChatMessagePostedV1(Event):
    """A user typed a line.

    The gateway has authenticated the sender and decided nothing else; so has notification, for lines that
    arrive over a linked channel.
    """

    subject: ClassVar[str] = "chat.message_posted.v1"
    producers: ClassVar[tuple[str, ...]] = ("gateway", "notification")
    aggregate: ClassVar[str] = "user_id"

    message_id: UUID
    user_id: UUID
    handle: Handle
    address: Address
    roles: tuple[Code, ...]
    text: Text
    posted_at: datetime
    device_id: UUID | None = None
    """The device it was typed on, where the sender has one."""
    origin: Code = "feed"
    """Where the answer goes: `feed`, or also to a channel such as `telegram`."""
