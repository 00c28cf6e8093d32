"""Words that events carry as plain codes and that more than one service has to know.

Events keep the type `Code`: an older reader passes on a word that it does not know.
"""

from enum import StrEnum


class NotificationType(StrEnum):
    """Types of notifications: `type` of preferences and of what a person is told."""

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


class NotificationChannelName(StrEnum):
    """Where a person is told: `channel` of preferences."""

    IN_APP = "in_app"
    EMAIL = "email"
    TELEGRAM = "telegram"
    WEB_PUSH = "web_push"
