"""`alert.create.v1`"""

from datetime import datetime
from typing import Annotated, ClassVar, Literal
from uuid import UUID

from pydantic import Field

from snowrail_events.base import Event


class AlertCreateV1(Event):
    """Command to notification: tell the user once when a price passes a mark.

    Answered by `alert.updated.v1` (armed) or `notification.rejected.v1`, both with the request's id.
    """

    subject: ClassVar[str] = "alert.create.v1"
    producers: ClassVar[tuple[str, ...]] = ("chat",)
    aggregate: ClassVar[str] = "alert_id"

    alert_id: UUID
    request_id: UUID
    """The message that asked."""
    user_id: UUID
    symbol: Annotated[str, Field(pattern=r"^[A-Z0-9]{2,12}$")]
    currency: Annotated[str, Field(pattern=r"^[A-Z]{3}$")] = "USD"
    comparison: Literal["above", "below"]
    price: Annotated[str, Field(pattern=r"^[0-9]{1,20}(\.[0-9]{1,18})?$")]
    """Decimal string in units of `currency` for one whole token."""
    requested_at: datetime
