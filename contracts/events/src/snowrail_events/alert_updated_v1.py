"""`alert.updated.v1`"""

from datetime import datetime
from typing import Annotated, ClassVar, Literal
from uuid import UUID

from pydantic import Field

from snowrail_events.base import Event


class AlertUpdatedV1(Event):
    """A price alert was armed, fired or deleted; carries the whole record."""

    subject: ClassVar[str] = "alert.updated.v1"
    producers: ClassVar[tuple[str, ...]] = ("notification",)
    aggregate: ClassVar[str] = "alert_id"

    alert_id: UUID
    user_id: UUID
    version: int = Field(ge=1)
    status: Literal["armed", "fired", "deleted"]
    symbol: Annotated[str, Field(pattern=r"^[A-Z0-9]{2,12}$")]
    currency: Annotated[str, Field(pattern=r"^[A-Z]{3}$")] = "USD"
    comparison: Literal["above", "below"]
    price: Annotated[str, Field(pattern=r"^[0-9]{1,20}(\.[0-9]{1,18})?$")]
    fired_price: Annotated[str | None, Field(max_length=64)] = None
    """The price that passed the mark, when it fired."""
    request_id: UUID | None = None
    """The command that led to it, if one did."""
    changed_at: datetime
