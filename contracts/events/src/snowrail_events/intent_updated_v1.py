"""`intent.updated.v1`"""

from datetime import datetime
from typing import Annotated, ClassVar
from uuid import UUID

from pydantic import Field

from snowrail_events.base import Event
from snowrail_events.fields import Address, Atoms, Code, Hash32, TokenId
from snowrail_events.parts import UnsignedTransaction


class IntentUpdatedV1(Event):
    """An intent changed its state; `reason` says why it waits or ended."""

    subject: ClassVar[str] = "intent.updated.v1"
    producers: ClassVar[tuple[str, ...]] = ("intent",)
    aggregate: ClassVar[str] = "intent_id"

    intent_id: UUID
    user_id: UUID
    version: int = Field(ge=1)
    status: Code
    reason: Code | None = None
    payer: Address
    recipient: Address
    recipient_label: Annotated[str, Field(max_length=64)] = ""
    token: TokenId
    amount: Atoms
    order_hash: Hash32
    expires_at: datetime
    changed_at: datetime

    request_id: UUID | None = None
    next_step: UnsignedTransaction | None = None
    """Transaction the payer may send next: an approval, or the on-chain cancellation."""
    refunded: Atoms | None = None
    paused: bool | None = None
    next_run_at: datetime | None = None
    """When the next occurrence is, or was, due; None for at once and when none is left."""
    occurrences_total: int | None = Field(default=None, ge=1)
    occurrences_paid: int | None = Field(default=None, ge=0)
    occurrences_missed: int | None = Field(default=None, ge=0)
    """Left out or failed."""
    last_result: Code | None = None
    """How the last occurrence ended: `succeeded`, `failed`, `blocked`, `cancelled` or `skipped`."""
    last_result_at: datetime | None = None
