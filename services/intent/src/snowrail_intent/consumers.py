"""Subscribers of the intent service: each hands its batch to a use case."""

from snowrail_events import (
    GasPriceUpdatedV1,
    IntentAuthoriseV1,
    IntentCancelV1,
    IntentCreateV1,
    IntentPauseV1,
    IntentResumeV1,
    PaymentBlockedV1,
    PaymentCancelledV1,
    PaymentFailedV1,
    PaymentSucceededV1,
    PaymentUpdatedV1,
    PriceUpdatedV1,
    TransactionFinalV1,
    TransactionIncludedV1,
    TransactionOrphanedV1,
    UserRegisteredV1,
    UserUpdatedV1,
)
from snowrail_intent.parts import Parts
from snowrail_intent.usecases import authorise, cancel, chain_facts, create, hold, payment_facts, projected
from snowrail_kit.consumer import Consumers

consumers: Consumers[Parts] = Consumers()

consumers.on(IntentCreateV1, prepare=create.prepare_create)(create.create)
consumers.on(IntentAuthoriseV1, prepare=authorise.prepare_authorise)(authorise.authorise)
consumers.on(IntentCancelV1)(cancel.cancel)
consumers.on(IntentPauseV1)(hold.pause)
consumers.on(IntentResumeV1)(hold.resume)
consumers.on(TransactionIncludedV1)(chain_facts.record_included)
consumers.on(TransactionFinalV1)(chain_facts.record_final)
consumers.on(TransactionOrphanedV1)(chain_facts.record_orphaned)
consumers.on(PaymentUpdatedV1)(payment_facts.record_progress)
consumers.on(PaymentSucceededV1)(payment_facts.record_success)
consumers.on(PaymentFailedV1)(payment_facts.record_failure)
consumers.on(PaymentBlockedV1)(payment_facts.record_block)
consumers.on(PaymentCancelledV1)(payment_facts.record_cancellation)
consumers.on(UserRegisteredV1)(projected.record_registered)
consumers.on(UserUpdatedV1)(projected.record_updated)
consumers.on(GasPriceUpdatedV1)(projected.record_gas_prices)
consumers.on(PriceUpdatedV1)(projected.record_prices)
