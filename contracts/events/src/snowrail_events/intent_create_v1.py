"""`intent.create.v1`"""

from datetime import datetime
from typing import Annotated, ClassVar
from uuid import UUID

from pydantic import Field

from snowrail_events.base import Event
from snowrail_events.fields import Address, Atoms, Code, TokenId
from snowrail_events.parts import IntentCondition, IntentRecurrence


class IntentCreateV1(Event):
    """Command to intent: create a payment intent on behalf of a user, who has not authorised anything yet."""

    subject: ClassVar[str] = "intent.create.v1"
    producers: ClassVar[tuple[str, ...]] = ("chat",)
    aggregate: ClassVar[str] = "intent_id"

    intent_id: UUID
    user_id: UUID
    payer: Address
    recipient: Address
    recipient_label: Annotated[str, Field(max_length=64)] = ""
    token: TokenId
    amount: Atoms
    not_before: datetime | None = None
    acknowledged: tuple[Code, ...] = ()
    """Warnings the user has acknowledged: `duplicate_payment`, `lookalike_address`."""
    requested_at: datetime
    condition: IntentCondition | None = None
    recurrence: IntentRecurrence | None = None
    """Its start takes the place of `not_before`, which is left out."""
    safety_buffer: Atoms = 0
    """Least atoms of the token that stay in the payer's wallet."""
