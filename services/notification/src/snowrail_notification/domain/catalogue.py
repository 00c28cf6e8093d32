"""Every type of notification: icon, priority, whether it can be dismissed, where it is told by default."""

from dataclasses import dataclass
from enum import StrEnum

from snowrail_events.vocabulary import NotificationChannelName, NotificationType

Type = NotificationType
Channel = NotificationChannelName


class Priority(StrEnum):
    """How much it matters; critical ones are always told."""

    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"
    CRITICAL = "critical"


OUTSIDE = (Channel.EMAIL, Channel.TELEGRAM, Channel.WEB_PUSH)
"""Channels that leave the platform."""

EVERYWHERE = frozenset(Channel)
_ON_SCREENS = frozenset({Channel.IN_APP, Channel.TELEGRAM, Channel.WEB_PUSH})
_IN_APP = frozenset({Channel.IN_APP})
_NOWHERE: frozenset[Channel] = frozenset()


@dataclass(frozen=True, slots=True)
class Kind:
    """What all notifications of a type have in common. `default_channels`: until a user says otherwise."""

    icon: str
    priority: Priority
    default_channels: frozenset[Channel]
    dismissible: bool = True


CATALOGUE: dict[Type, Kind] = {
    Type.PAYMENT_RECEIVED: Kind("arrow-down", Priority.HIGH, EVERYWHERE),
    Type.PAYMENT_SENT: Kind("arrow-up", Priority.MEDIUM, _ON_SCREENS),
    Type.DEPOSIT_CONFIRMED: Kind("vault", Priority.MEDIUM, _IN_APP),
    Type.WITHDRAWAL_READY: Kind("vault", Priority.MEDIUM, _ON_SCREENS),
    Type.INTENT_FUNDED: Kind("check", Priority.LOW, _IN_APP),
    Type.INTENT_EXECUTED: Kind("check", Priority.LOW, _NOWHERE),
    Type.INTENT_DELAYED: Kind("clock", Priority.MEDIUM, _ON_SCREENS),
    Type.BATCH_PROGRESS: Kind("list", Priority.LOW, _IN_APP),
    Type.BATCH_COMPLETE: Kind("list", Priority.MEDIUM, EVERYWHERE),
    Type.TRANSACTION_PENDING: Kind("clock", Priority.LOW, _NOWHERE),
    Type.TRANSACTION_CONFIRMED: Kind("check", Priority.LOW, _NOWHERE),
    Type.TRANSACTION_FAILED: Kind("alert", Priority.HIGH, EVERYWHERE),
    Type.LOW_BALANCE: Kind("alert", Priority.HIGH, EVERYWHERE),
    Type.PRICE_ALERT: Kind("chart", Priority.MEDIUM, _ON_SCREENS),
    Type.SECURITY_ALERT: Kind("shield", Priority.CRITICAL, EVERYWHERE, dismissible=False),
    Type.WEEKLY_SUMMARY: Kind("calendar", Priority.LOW, frozenset({Channel.IN_APP, Channel.EMAIL})),
}
"""Types that repeat what a card on the screen already shows are off until a user wants them."""
