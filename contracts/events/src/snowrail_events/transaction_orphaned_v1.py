"""`transaction.orphaned.v1`"""

from datetime import datetime
from typing import ClassVar

from pydantic import Field

from snowrail_events.base import Event
from snowrail_events.fields import Address, Hash32
from snowrail_events.parts import EscrowLog


class TransactionOrphanedV1(Event):
    """The block that held such a transaction left the chain, whether it was final or not."""

    subject: ClassVar[str] = "transaction.orphaned.v1"
    producers: ClassVar[tuple[str, ...]] = ("chain-monitor",)
    aggregate: ClassVar[str] = "tx_hash"

    chain_id: int
    tx_hash: Hash32
    sender: Address
    nonce: int = Field(ge=0)
    succeeded: bool
    block_number: int = Field(ge=0)
    block_hash: Hash32
    block_time: datetime
    logs: tuple[EscrowLog, ...]
