"""Subscribers of the orchestrator: each hands its batch to a use case."""

from snowrail_events import (
    FraudAssessedV1,
    FraudReviewedV1,
    IntentCancelledV1,
    IntentDueV1,
    RouteSelectedV1,
    SettlementExecutedV1,
    SettlementFailedV1,
    SettlementIncludedV1,
    SettlementOrphanedV1,
    SettlementSubmittedV1,
    SettlementUnknownV1,
    TransactionFinalV1,
    TransactionOrphanedV1,
)
from snowrail_kit.consumer import Consumers
from snowrail_kit.delivery import Delivery
from snowrail_kit.unit_of_work import Transaction
from snowrail_payment_orchestrator.parts import Parts
from snowrail_payment_orchestrator.usecases import approval, deposits, outcome

consumers: Consumers[Parts] = Consumers()

consumers.on(IntentDueV1)(approval.request_payments)
consumers.on(FraudAssessedV1)(approval.record_scores)
consumers.on(FraudReviewedV1)(approval.record_reviews)
consumers.on(RouteSelectedV1)(approval.start_attempts)
consumers.on(IntentCancelledV1)(approval.cancel_payments)
consumers.on(SettlementExecutedV1)(outcome.record_executions)
consumers.on(SettlementFailedV1)(outcome.record_failures)
consumers.on(SettlementUnknownV1)(outcome.record_unknowns)
consumers.on(SettlementOrphanedV1)(outcome.record_orphans)
consumers.on(TransactionFinalV1)(deposits.record_deposits)
consumers.on(TransactionOrphanedV1)(deposits.reverse_deposits)


@consumers.on(SettlementSubmittedV1)
async def show_submitted(
    deliveries: list[Delivery[SettlementSubmittedV1]], tx: Transaction, _: Parts
) -> None:
    """The transaction that carries the payment was handed to the network."""
    await outcome.show_progress(deliveries, tx, "submitted")


@consumers.on(SettlementIncludedV1)
async def show_included(deliveries: list[Delivery[SettlementIncludedV1]], tx: Transaction, _: Parts) -> None:
    """The payment is in a block that is not final yet."""
    await outcome.show_progress(deliveries, tx, "included")
