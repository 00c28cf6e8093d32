"""What fraud listens to."""

from snowrail_events import (
    DeviceSignedInV1,
    FraudAssessV1,
    PaymentCancelledV1,
    PaymentSucceededV1,
    UserRegisteredV1,
    UserUpdatedV1,
)
from snowrail_fraud.parts import Parts
from snowrail_fraud.usecases import assess, learn
from snowrail_kit.consumer import Consumers

consumers: Consumers[Parts] = Consumers()

consumers.on(FraudAssessV1)(assess.assess)
consumers.on(UserRegisteredV1)(learn.learn_users)
consumers.on(UserUpdatedV1)(learn.learn_user_changes)
consumers.on(DeviceSignedInV1)(learn.learn_devices)
consumers.on(PaymentSucceededV1)(learn.learn_payments)
consumers.on(PaymentCancelledV1)(learn.withdraw_reviews)
