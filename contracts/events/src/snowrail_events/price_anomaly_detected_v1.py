"""`price.anomaly_detected.v1`"""

from datetime import datetime
from typing import Annotated, ClassVar

from pydantic import Field

from snowrail_events.base import Event
from snowrail_events.fields import Code


class PriceAnomalyDetectedV1(Event):
    """A fetched price was not believed; the last good one stands."""

    subject: ClassVar[str] = "price.anomaly_detected.v1"
    producers: ClassVar[tuple[str, ...]] = ("rates",)
    aggregate: ClassVar[str] = "symbol"

    symbol: Annotated[str, Field(pattern=r"^[A-Z0-9]{2,12}$")]
    currency: Annotated[str, Field(pattern=r"^[A-Z]{3}$")]
    price: Annotated[str, Field(max_length=64)]
    last_price: Annotated[str, Field(max_length=64)]
    code: Code
    detected_at: datetime
