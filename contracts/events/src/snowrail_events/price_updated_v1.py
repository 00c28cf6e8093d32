"""`price.updated.v1`"""

from datetime import datetime
from typing import Annotated, ClassVar

from pydantic import Field

from snowrail_events.base import Event
from snowrail_events.fields import Code


class PriceUpdatedV1(Event):
    """A token's price. `price` is a decimal string in units of `currency` for one whole token."""

    subject: ClassVar[str] = "price.updated.v1"
    producers: ClassVar[tuple[str, ...]] = ("rates",)
    aggregate: ClassVar[str] = "symbol"

    symbol: Annotated[str, Field(pattern=r"^[A-Z0-9]{2,12}$")]
    currency: Annotated[str, Field(pattern=r"^[A-Z]{3}$")]
    price: Annotated[str, Field(pattern=r"^[0-9]{1,20}(\.[0-9]{1,18})?$")]
    source: Code
    observed_at: datetime
