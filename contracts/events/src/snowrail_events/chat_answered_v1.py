"""`chat.answered.v1`"""

from datetime import datetime
from typing import Annotated, Any, ClassVar
from uuid import UUID

from pydantic import Field

from snowrail_events.base import Event
from snowrail_events.fields import Code


class ChatAnsweredV1(Event):
    """The answer to a line that came over another channel than the feed, or a newer state of its card.

    Triggers: notification sends it there, or edits what it sent. Lines of the console and the command line
    have their answers in the feed only.
    """

    subject: ClassVar[str] = "chat.answered.v1"
    producers: ClassVar[tuple[str, ...]] = ("chat",)
    aggregate: ClassVar[str] = "user_id"

    message_id: UUID
    in_reply_to: UUID
    """The line answered; an answer to the same line stands in the place of the one before."""
    user_id: UUID
    origin: Code
    card: dict[str, Any]
    text: Annotated[str, Field(max_length=20_000)]
    answered_at: datetime
