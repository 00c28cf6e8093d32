"""`intent.authorise.v1`"""

from typing import ClassVar
from uuid import UUID

from snowrail_events.base import Event
from snowrail_events.fields import HexBytes


class IntentAuthoriseV1(Event):
    """Command to intent: the payer's wallet signed the order of this intent."""

    subject: ClassVar[str] = "intent.authorise.v1"
    producers: ClassVar[tuple[str, ...]] = ("chat",)
    aggregate: ClassVar[str] = "intent_id"

    intent_id: UUID
    user_id: UUID
    request_id: UUID
    """Message that carried the signature; names the request in the answer."""
    signature: HexBytes
    chain_id: int | None = None
    """Chain the wallet says it signed for, where it says so."""
