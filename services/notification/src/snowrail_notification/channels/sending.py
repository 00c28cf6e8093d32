"""What every channel's client is given and answers."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Protocol
from uuid import UUID

from snowrail_notification.domain.catalogue import Priority
from snowrail_notification.domain.deliveries import Ended


@dataclass(frozen=True, slots=True)
class Outgoing:
    """One message to one contact.

    Attributes:
        address: as the channel needs it: mail address, chat id, or push subscription as JSON.
        content: the notification as it is on the feed, a card, or the text of a confirmation.
        message_id: the same for each attempt of the same message.
        provider_reference: what the provider called it when it took an earlier revision.
    """

    delivery_id: UUID
    contact_id: UUID
    user_id: UUID
    address: str
    content: dict[str, Any]
    priority: Priority
    message_id: UUID
    revision: int
    provider_reference: str | None


@dataclass(frozen=True, slots=True)
class Result:
    """How an attempt ended.

    Attributes:
        reference: what the provider calls the message.
        retry_after: how long the provider asked to be left alone.
        all_wait: whether that is meant for every message, not for this contact alone.
    """

    ended: Ended
    error: str = ""
    reference: str | None = None
    retry_after: timedelta | None = None
    all_wait: bool = False


class Sender(Protocol):
    """A provider's client."""

    async def send(self, outgoing: Outgoing) -> Result:
        """Hand one message over. Never raises for what a provider or the network does; bounded in time."""
        ...


def not_now(error: BaseException | str) -> Result:
    """Return the end of an attempt that surely had no effect and may succeed later."""
    return Result(Ended.NOT_NOW, _text(error))


def unknown(error: BaseException | str) -> Result:
    """Return the end of an attempt whose effect is not known."""
    return Result(Ended.UNKNOWN, _text(error))


def _text(error: BaseException | str) -> str:
    return (str(error) or type(error).__name__)[:500]
