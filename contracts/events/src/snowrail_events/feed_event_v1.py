"""`feed`"""

from datetime import datetime
from typing import Annotated, Any, ClassVar
from uuid import UUID

from pydantic import Field

from snowrail_events.base import Event

PLATFORM_FEED = UUID(int=0)
"""Whose feed only gateways hear."""


class FeedEventV1(Event):
    """One event of a user's feed, under its name on the WebSocket (`chat:message`, `tx:confirmed`, …).

    The feed of `PLATFORM_FEED` belongs to no user: gateways themselves hear it. `session:ended` there names
    sessions that are over before their access tokens are.
    """

    subject: ClassVar[str] = "feed"
    producers: ClassVar[tuple[str, ...]] = ("accounts", "chat", "notification")
    aggregate: ClassVar[str] = "user_id"

    user_id: UUID
    event_id: UUID
    name: Annotated[str, Field(pattern=r"^[a-z]+([:_][a-z]+)*$")]
    data: dict[str, Any]
    occurred_at: datetime

    def routing_subject(self) -> str:
        """Return `feed.<user id>`: only gateways read it, each user's apart."""
        return f"{self.subject}.{self.user_id}"
