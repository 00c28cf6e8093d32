"""`gas.price_updated.v1`"""

from datetime import datetime
from typing import ClassVar

from pydantic import Field

from snowrail_events.base import Event
from snowrail_events.fields import Atoms


class GasPriceUpdatedV1(Event):
    """The chain's gas price, in wei, at a block."""

    subject: ClassVar[str] = "gas.price_updated.v1"
    producers: ClassVar[tuple[str, ...]] = ("chain-monitor",)
    aggregate: ClassVar[str] = "chain_id"

    chain_id: int
    block_number: int = Field(ge=0)
    gas_price: Atoms
    base_fee: Atoms
    observed_at: datetime
