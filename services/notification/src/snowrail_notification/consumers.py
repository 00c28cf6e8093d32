"""Subscribers of notification."""

from snowrail_events import (
    AlertCreateV1,
    AlertDeleteV1,
    ChatAnsweredV1,
    DeviceDecidedV1,
    DeviceSignedInV1,
    IntentCreatedV1,
    IntentLowBalanceV1,
    IntentUpdatedV1,
    NotificationMarkReadV1,
    NotificationSetPreferenceV1,
    NotificationSetQuietHoursV1,
    PaymentBlockedV1,
    PaymentCancelledV1,
    PaymentFailedV1,
    PaymentSucceededV1,
    PaymentUpdatedV1,
    PriceAnomalyDetectedV1,
    PriceUpdatedV1,
    UserRegisteredV1,
    UserUpdatedV1,
)
from snowrail_kit.consumer import Consumers
from snowrail_notification.parts import Parts
from snowrail_notification.usecases import alerts, money, people, preferences, telegram

consumers: Consumers[Parts] = Consumers()

consumers.on(UserRegisteredV1)(people.learn_registered)
consumers.on(UserUpdatedV1)(people.learn_updated)
consumers.on(DeviceSignedInV1)(people.tell_of_devices)
consumers.on(NotificationMarkReadV1)(people.mark_read)
consumers.on(PriceAnomalyDetectedV1)(people.tell_of_anomalies)
consumers.on(IntentCreatedV1)(money.show_created)
consumers.on(IntentUpdatedV1)(money.show_updated)
consumers.on(IntentLowBalanceV1)(money.warn_of_low_balance)
consumers.on(PaymentUpdatedV1)(money.show_payment_progress)
consumers.on(PaymentSucceededV1)(money.show_succeeded)
consumers.on(PaymentFailedV1)(money.show_failed)
consumers.on(PaymentBlockedV1)(money.show_blocked)
consumers.on(PaymentCancelledV1)(money.show_cancelled)
consumers.on(AlertCreateV1)(alerts.create)
consumers.on(AlertDeleteV1)(alerts.delete)
consumers.on(PriceUpdatedV1)(alerts.watch_prices)
consumers.on(NotificationSetPreferenceV1)(preferences.follow_preferences)
consumers.on(NotificationSetQuietHoursV1)(preferences.follow_quiet_hours)
consumers.on(ChatAnsweredV1)(telegram.show_answers)
consumers.on(DeviceDecidedV1)(people.tell_of_decisions)
