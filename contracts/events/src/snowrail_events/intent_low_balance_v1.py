"""`intent.low_balance.v1`"""

from datetime import datetime
from typing import Annotated, ClassVar
from uuid import UUID

from pydantic import Field

from snowrail_events.base import Event
from snowrail_events.fields import Address, Atoms, Code, TokenId


class IntentLowBalanceV1(Event):
    """A payment falls due soon and is not covered. Said once per occurrence."""

    subject: ClassVar[str] = "intent.low_balance.v1"
    producers: ClassVar[tuple[str, ...]] = ("intent",)
    aggregate: ClassVar[str] = "intent_id"

    intent_id: UUID
    user_id: UUID
    payer: Address
    recipient: Address
    recipient_label: Annotated[str, Field(max_length=64)] = ""
    token: TokenId
    due_at: datetime
    reason: Code
    """What is missing: `insufficient_funds`, `approval_missing` or `deposit_missing`."""
    needed: Atoms
    """What the payment takes from the wallet, the allowance or the deposit, with what must remain."""
    available: Atoms
    """What is there of it."""
    warned_at: datetime
