"""Events and commands that services exchange: one module each, and a registry of them all."""

from snowrail_events.alert_create_v1 import AlertCreateV1
from snowrail_events.alert_delete_v1 import AlertDeleteV1
from snowrail_events.alert_updated_v1 import AlertUpdatedV1
from snowrail_events.base import Event
from snowrail_events.chat_answered_v1 import ChatAnsweredV1
from snowrail_events.chat_message_posted_v1 import ChatMessagePostedV1
from snowrail_events.device_approve_v1 import DeviceApproveV1
from snowrail_events.device_decided_v1 import DeviceDecidedV1
from snowrail_events.device_deny_v1 import DeviceDenyV1
from snowrail_events.device_signed_in_v1 import DeviceSignedInV1
from snowrail_events.feed_event_v1 import PLATFORM_FEED, FeedEventV1
from snowrail_events.fraud_assess_v1 import FraudAssessV1
from snowrail_events.fraud_assessed_v1 import FraudAssessedV1
from snowrail_events.fraud_reviewed_v1 import FraudReviewedV1
from snowrail_events.gas_price_updated_v1 import GasPriceUpdatedV1
from snowrail_events.intent_authorise_v1 import IntentAuthoriseV1
from snowrail_events.intent_cancel_v1 import IntentCancelV1
from snowrail_events.intent_cancelled_v1 import IntentCancelledV1
from snowrail_events.intent_create_v1 import IntentCreateV1
from snowrail_events.intent_created_v1 import IntentCreatedV1
from snowrail_events.intent_due_v1 import IntentDueV1
from snowrail_events.intent_low_balance_v1 import IntentLowBalanceV1
from snowrail_events.intent_pause_v1 import IntentPauseV1
from snowrail_events.intent_rejected_v1 import IntentRejectedV1
from snowrail_events.intent_resume_v1 import IntentResumeV1
from snowrail_events.intent_updated_v1 import IntentUpdatedV1
from snowrail_events.notification_mark_read_v1 import NotificationMarkReadV1
from snowrail_events.notification_preferences_updated_v1 import NotificationPreferencesUpdatedV1
from snowrail_events.notification_rejected_v1 import NotificationRejectedV1
from snowrail_events.notification_set_preference_v1 import NotificationSetPreferenceV1
from snowrail_events.notification_set_quiet_hours_v1 import NotificationSetQuietHoursV1
from snowrail_events.payment_blocked_v1 import PaymentBlockedV1
from snowrail_events.payment_cancelled_v1 import PaymentCancelledV1
from snowrail_events.payment_failed_v1 import PaymentFailedV1
from snowrail_events.payment_succeeded_v1 import PaymentSucceededV1
from snowrail_events.payment_updated_v1 import PaymentUpdatedV1
from snowrail_events.price_anomaly_detected_v1 import PriceAnomalyDetectedV1
from snowrail_events.price_updated_v1 import PriceUpdatedV1
from snowrail_events.route_select_v1 import RouteSelectV1
from snowrail_events.route_selected_v1 import RouteSelectedV1
from snowrail_events.settlement_execute_v1 import SettlementExecuteV1
from snowrail_events.settlement_executed_v1 import SettlementExecutedV1
from snowrail_events.settlement_failed_v1 import SettlementFailedV1
from snowrail_events.settlement_included_v1 import SettlementIncludedV1
from snowrail_events.settlement_orphaned_v1 import SettlementOrphanedV1
from snowrail_events.settlement_submitted_v1 import SettlementSubmittedV1
from snowrail_events.settlement_unknown_v1 import SettlementUnknownV1
from snowrail_events.transaction_final_v1 import TransactionFinalV1
from snowrail_events.transaction_included_v1 import TransactionIncludedV1
from snowrail_events.transaction_orphaned_v1 import TransactionOrphanedV1
from snowrail_events.user_registered_v1 import UserRegisteredV1
from snowrail_events.user_rejected_v1 import UserRejectedV1
from snowrail_events.user_set_time_zone_v1 import UserSetTimeZoneV1
from snowrail_events.user_updated_v1 import UserUpdatedV1

EVENTS: dict[str, type[Event]] = {
    event.subject: event
    for event in (
        AlertCreateV1,
        AlertDeleteV1,
        AlertUpdatedV1,
        ChatAnsweredV1,
        ChatMessagePostedV1,
        DeviceApproveV1,
        DeviceDecidedV1,
        DeviceDenyV1,
        DeviceSignedInV1,
        FeedEventV1,
        FraudAssessV1,
        FraudAssessedV1,
        FraudReviewedV1,
        GasPriceUpdatedV1,
        IntentAuthoriseV1,
        IntentCancelV1,
        IntentCancelledV1,
        IntentCreateV1,
        IntentCreatedV1,
        IntentDueV1,
        IntentLowBalanceV1,
        IntentPauseV1,
        IntentRejectedV1,
        IntentResumeV1,
        IntentUpdatedV1,
        NotificationMarkReadV1,
        NotificationPreferencesUpdatedV1,
        NotificationRejectedV1,
        NotificationSetPreferenceV1,
        NotificationSetQuietHoursV1,
        PaymentBlockedV1,
        PaymentCancelledV1,
        PaymentFailedV1,
        PaymentSucceededV1,
        PaymentUpdatedV1,
        PriceAnomalyDetectedV1,
        PriceUpdatedV1,
        RouteSelectV1,
        RouteSelectedV1,
        SettlementExecuteV1,
        SettlementExecutedV1,
        SettlementFailedV1,
        SettlementIncludedV1,
        SettlementOrphanedV1,
        SettlementSubmittedV1,
        SettlementUnknownV1,
        TransactionFinalV1,
        TransactionIncludedV1,
        TransactionOrphanedV1,
        UserRegisteredV1,
        UserRejectedV1,
        UserSetTimeZoneV1,
        UserUpdatedV1,
    )
}
"""Every event class by its subject."""

__all__ = [
    "EVENTS",
    "PLATFORM_FEED",
    "AlertCreateV1",
    "AlertDeleteV1",
    "AlertUpdatedV1",
    "ChatAnsweredV1",
    "ChatMessagePostedV1",
    "DeviceApproveV1",
    "DeviceDecidedV1",
    "DeviceDenyV1",
    "DeviceSignedInV1",
    "Event",
    "FeedEventV1",
    "FraudAssessV1",
    "FraudAssessedV1",
    "FraudReviewedV1",
    "GasPriceUpdatedV1",
    "IntentAuthoriseV1",
    "IntentCancelV1",
    "IntentCancelledV1",
    "IntentCreateV1",
    "IntentCreatedV1",
    "IntentDueV1",
    "IntentLowBalanceV1",
    "IntentPauseV1",
    "IntentRejectedV1",
    "IntentResumeV1",
    "IntentUpdatedV1",
    "NotificationMarkReadV1",
    "NotificationPreferencesUpdatedV1",
    "NotificationRejectedV1",
    "NotificationSetPreferenceV1",
    "NotificationSetQuietHoursV1",
    "PaymentBlockedV1",
    "PaymentCancelledV1",
    "PaymentFailedV1",
    "PaymentSucceededV1",
    "PaymentUpdatedV1",
    "PriceAnomalyDetectedV1",
    "PriceUpdatedV1",
    "RouteSelectV1",
    "RouteSelectedV1",
    "SettlementExecuteV1",
    "SettlementExecutedV1",
    "SettlementFailedV1",
    "SettlementIncludedV1",
    "SettlementOrphanedV1",
    "SettlementSubmittedV1",
    "SettlementUnknownV1",
    "TransactionFinalV1",
    "TransactionIncludedV1",
    "TransactionOrphanedV1",
    "UserRegisteredV1",
    "UserRejectedV1",
    "UserSetTimeZoneV1",
    "UserUpdatedV1",
]
