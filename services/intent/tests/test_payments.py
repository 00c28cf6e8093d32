"""What payments mean for the intents they execute: newest news wins, the chain decides races."""

from dataclasses import replace
from datetime import datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from snowrail_intent.domain import payments
from snowrail_intent.domain.intents import Intent
from snowrail_intent.domain.payments import (
    Occurrence,
    OccurrenceStatus,
    PaymentFact,
    open_occurrence,
)
from snowrail_intent.domain.schedule import Slot
from snowrail_intent.domain.states import Status

from .samples import NOW, a_signed_intent

INTENT = a_signed_intent(status=Status.DUE, slot=1, counted_on=NOW.date())
OCCURRENCE = open_occurrence(INTENT, Slot(0, NOW), NOW)


def apply_payment(
    intent: Intent, occurrence: Occurrence, fact: PaymentFact, now: datetime
) -> tuple[Intent, Occurrence] | None:
    """Return intent and occurrence after a fact, or None when it says nothing new."""
    steps = payments.apply_payment(intent, occurrence, fact, now)
    return steps[-1] if steps else None


def a_fact(
    status: OccurrenceStatus, step: str = "executing", version: int = 1, **changes: Any
) -> PaymentFact:
    fact = PaymentFact(OCCURRENCE.payment_id, INTENT.intent_id, 0, version, status, step, None)
    return replace(fact, **changes)


def test_the_payment_of_an_occurrence_is_named_the_same_for_ever() -> None:
    assert OCCURRENCE.payment_id == open_occurrence(replace(INTENT, version=9), Slot(0, NOW), NOW).payment_id
    assert OCCURRENCE.payment_id != open_occurrence(INTENT, Slot(1, NOW), NOW).payment_id
    assert (OCCURRENCE.status, OCCURRENCE.version) == (OccurrenceStatus.PAYING, 0)


@pytest.mark.parametrize(
    ("fact", "status", "reason"),
    [
        (a_fact(OccurrenceStatus.SUCCEEDED, "succeeded"), Status.COMPLETED, None),
        (a_fact(OccurrenceStatus.FAILED, "order_expired"), Status.FAILED, "order_expired"),
        (a_fact(OccurrenceStatus.BLOCKED, "blocked"), Status.FAILED, "fraud_blocked"),
        (a_fact(OccurrenceStatus.CANCELLED, "cancelled"), Status.CANCELLED, "cancelled_on_chain"),
        (a_fact(OccurrenceStatus.PAYING, "review"), Status.DUE, "payment_in_review"),
        (a_fact(OccurrenceStatus.PAYING, "unknown"), Status.DUE, "outcome_unknown"),
        (a_fact(OccurrenceStatus.PAYING, "executing"), Status.DUE, None),
    ],
)
def test_how_a_payment_ends_is_how_its_intent_ends(
    fact: PaymentFact, status: Status, reason: str | None
) -> None:
    applied = apply_payment(INTENT, OCCURRENCE, fact, NOW)
    assert applied is not None
    intent, occurrence = applied
    assert (intent.status, intent.reason) == (status, reason)
    assert (occurrence.status, occurrence.step, occurrence.version) == (fact.status, fact.step, 1)
    changed = status is not Status.DUE or reason is not None
    assert intent.version == INTENT.version + changed


def test_a_review_that_ends_is_forgotten() -> None:
    held = replace(INTENT, reason="payment_in_review")
    applied = apply_payment(held, OCCURRENCE, a_fact(OccurrenceStatus.PAYING, "approved"), NOW)
    assert applied is not None
    assert applied[0].reason is None


def test_stale_news_changes_nothing() -> None:
    known = replace(OCCURRENCE, version=5)
    for version in (1, 5):
        assert apply_payment(INTENT, known, a_fact(OccurrenceStatus.FAILED, version=version), NOW) is None


def test_the_hash_of_the_transaction_is_kept() -> None:
    first = apply_payment(INTENT, OCCURRENCE, a_fact(OccurrenceStatus.PAYING, tx_hash="0x1"), NOW)
    assert first is not None
    second = apply_payment(first[0], first[1], a_fact(OccurrenceStatus.PAYING, version=2), NOW)
    assert second is not None
    assert second[1].tx_hash == "0x1"


def test_a_final_payment_that_leaves_the_chain_opens_the_intent_again() -> None:
    paid = apply_payment(INTENT, OCCURRENCE, a_fact(OccurrenceStatus.SUCCEEDED), NOW)
    assert paid is not None
    assert paid[0].next_occurrence == 1
    reopened = apply_payment(paid[0], paid[1], a_fact(OccurrenceStatus.PAYING, "reopened", 2), NOW)
    assert reopened is not None
    assert (reopened[0].status, reopened[0].reason) == (Status.DUE, "payment_reopened")
    assert reopened[0].next_occurrence == 0
    again = apply_payment(*reopened, a_fact(OccurrenceStatus.SUCCEEDED, version=3), NOW)
    assert again is not None
    assert (again[0].status, again[0].next_occurrence) == (Status.COMPLETED, 1)


def test_a_repeating_intent_goes_on_until_its_last_occurrence() -> None:
    repeating = replace(INTENT, slots=2)
    first = apply_payment(repeating, OCCURRENCE, a_fact(OccurrenceStatus.SUCCEEDED), NOW)
    assert first is not None
    assert (first[0].status, first[0].next_occurrence) == (Status.ARMED, 1)
    due = replace(first[0], status=Status.DUE, slot=2)
    second = open_occurrence(due, Slot(1, NOW), NOW)
    last = apply_payment(due, second, a_fact(OccurrenceStatus.SUCCEEDED, occurrence=1), NOW)
    assert last is not None
    assert (last[0].status, last[0].next_occurrence) == (Status.COMPLETED, 2)


def test_a_payment_that_won_the_race_against_its_cancellation_is_the_truth() -> None:
    cancelled = replace(INTENT, status=Status.CANCELLED, reason="cancelled_on_chain")
    applied = apply_payment(cancelled, OCCURRENCE, a_fact(OccurrenceStatus.SUCCEEDED), NOW)
    assert applied is not None
    assert applied[0].status is Status.COMPLETED
    failed = apply_payment(cancelled, OCCURRENCE, a_fact(OccurrenceStatus.FAILED, "order_cancelled"), NOW)
    assert failed is not None
    assert failed[0].status is Status.CANCELLED


FACTS = [
    a_fact(OccurrenceStatus.PAYING, "executing", 1),
    a_fact(OccurrenceStatus.SUCCEEDED, "succeeded", 2),
    a_fact(OccurrenceStatus.PAYING, "reopened", 3),
    a_fact(OccurrenceStatus.SUCCEEDED, "succeeded", 4),
]


FAILED_AFTER_ALL = [*FACTS[:3], a_fact(OccurrenceStatus.FAILED, "proven", 4)]
PAID_AFTER_ALL = [FACTS[0], a_fact(OccurrenceStatus.FAILED, "proven", 2), *FACTS[2:]]


@pytest.mark.parametrize(
    ("history", "status", "paid"),
    [(FACTS, "completed", 1), (FAILED_AFTER_ALL, "failed", 0), (PAID_AFTER_ALL, "completed", 1)],
)
@given(data=st.data())
def test_news_about_a_rollback_in_any_order_end_as_the_newest_has_it(
    history: list[PaymentFact], status: str, paid: int, data: st.DataObject
) -> None:
    intent, occurrence = INTENT, OCCURRENCE
    for fact in data.draw(st.permutations(history)):
        intent, occurrence = apply_payment(intent, occurrence, fact, NOW) or (intent, occurrence)
    assert (intent.status, intent.next_occurrence) == (status, paid)


@given(st.permutations(FACTS).flatmap(lambda told: st.just(told + told)))
def test_news_in_any_order_and_twice_ends_the_same(told: list[PaymentFact]) -> None:
    intent, occurrence = INTENT, OCCURRENCE
    for fact in told:
        applied = apply_payment(intent, occurrence, fact, NOW)
        if applied is not None:
            intent, occurrence = applied
    assert (intent.status, intent.next_occurrence) == (Status.COMPLETED, 1)
    assert (occurrence.status, occurrence.version) == (OccurrenceStatus.SUCCEEDED, 4)
    assert isinstance(occurrence, Occurrence)


def test_a_payment_that_failed_because_its_payer_cancelled_is_cancelled() -> None:
    fact = a_fact(OccurrenceStatus.FAILED, "order_cancelled")
    applied = apply_payment(replace(INTENT, chain_cancelled=True), OCCURRENCE, fact, NOW)
    assert applied is not None
    assert (applied[0].status, applied[0].reason) == (Status.CANCELLED, "cancelled_on_chain")
