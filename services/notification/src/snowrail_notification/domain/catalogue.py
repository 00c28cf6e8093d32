"""Every type of notification: icon, priority, whether it can be dismissed, whether it is on by default."""

from dataclasses import dataclass
from enum import StrEnum


class Type(StrEnum):
    """Types of notifications."""

    PAYMENT_RECEIVED = "payment_received"
    PAYMENT_SENT = "payment_sent"
    DEPOSIT_CONFIRMED = "deposit_confirmed"
    WITHDRAWAL_READY = "withdrawal_ready"
    INTENT_FUNDED = "intent_funded"
    INTENT_EXECUTED = "intent_executed"
    INTENT_DELAYED = "intent_delayed"
    BATCH_PROGRESS = "batch_progress"
    BATCH_COMPLETE = "batch_complete"
    TRANSACTION_PENDING = "transaction_pending"
    TRANSACTION_CONFIRMED = "transaction_confirmed"
    TRANSACTION_FAILED = "transaction_failed"
    LOW_BALANCE = "low_balance"
    PRICE_ALERT = "price_alert"
    SECURITY_ALERT = "security_alert"
    WEEKLY_SUMMARY = "weekly_summary"


class Priority(StrEnum):
    """How much it matters; critical ones are always told."""

    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"
    CRITICAL = "critical"


class Channel(StrEnum):
    """Where a person is told."""

    IN_APP = "in_app"


@dataclass(frozen=True, slots=True)
class Kind:
    """What all notifications of a type have in common."""

    icon: str
    priority: Priority
    dismissible: bool = True
    on_by_default: bool = True


CATALOGUE: dict[Type, Kind] = {
    Type.PAYMENT_RECEIVED: Kind("arrow-down", Priority.HIGH),
    Type.PAYMENT_SENT: Kind("arrow-up", Priority.MEDIUM),
    Type.DEPOSIT_CONFIRMED: Kind("vault", Priority.MEDIUM),
    Type.WITHDRAWAL_READY: Kind("vault", Priority.MEDIUM),
    Type.INTENT_FUNDED: Kind("check", Priority.LOW),
    Type.INTENT_EXECUTED: Kind("check", Priority.LOW, on_by_default=False),
    Type.INTENT_DELAYED: Kind("clock", Priority.MEDIUM),
    Type.BATCH_PROGRESS: Kind("list", Priority.LOW),
    Type.BATCH_COMPLETE: Kind("list", Priority.MEDIUM),
    Type.TRANSACTION_PENDING: Kind("clock", Priority.LOW, on_by_default=False),
    Type.TRANSACTION_CONFIRMED: Kind("check", Priority.LOW, on_by_default=False),
    Type.TRANSACTION_FAILED: Kind("alert", Priority.HIGH),
    Type.LOW_BALANCE: Kind("alert", Priority.HIGH),
    Type.PRICE_ALERT: Kind("chart", Priority.MEDIUM),
    Type.SECURITY_ALERT: Kind("shield", Priority.CRITICAL, dismissible=False),
    Type.WEEKLY_SUMMARY: Kind("calendar", Priority.LOW),
}
"""Types that repeat what a card on the screen already shows are off until a user wants them."""


def is_told(kind: Kind, preference: bool | None) -> bool:
    """Return whether a user is told, given their preference for the type and channel, if they have one."""
    if kind.priority is Priority.CRITICAL:
        return True
    return kind.on_by_default if preference is None else preference
