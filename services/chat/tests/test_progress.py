"""Where a payment stands, for every pair of states of intent and payment."""

from itertools import product

import pytest

from snowrail_chat.domain.cards import StepState
from snowrail_chat.domain.progress import (
    APPROVE,
    CHECK,
    ENDED_INTENT,
    FUND,
    INCLUDE,
    OPEN_INTENT,
    SEND,
    SIGN,
    PaymentState,
    standing,
)

INTENT_STATES = (
    *("draft", "awaiting_authorisation", "awaiting_funds", "awaiting_approval", "armed", "due", "delayed"),
    *("completed", "cancelled", "expired", "failed", "something_new"),
)
RUNNING = (
    "requested",
    "review",
    "approved",
    "executing",
    "submitted",
    "included",
    "unknown",
    "reopened",
    "new",
)
PAYMENTS = (
    None,
    *(PaymentState("executing", step, sent) for step in RUNNING for sent in (False, True)),
    *(
        PaymentState(end, end, sent)
        for end in ("succeeded", "failed", "blocked", "cancelled")
        for sent in (False, True)
    ),
)
EVERYTHING = list(product(INTENT_STATES, (False, True), (False, True), PAYMENTS))


def test_every_standing_is_consistent() -> None:
    for intent, signs, approves, payment in EVERYTHING:
        seen = standing(intent, signs, approves, payment)
        states = [step.state for step in seen.steps]
        labels = {step.label for step in seen.steps}
        where = f"{intent}, {payment}: {seen}"
        assert states.count(StepState.CURRENT) == (1 if seen.is_open else 0), where
        assert seen.progress.total == len(states) == len(labels), where
        assert (seen.progress.done == seen.progress.total) == (seen.status == "final"), where
        assert (SIGN in labels) == signs, where
        assert seen.is_open or not seen.is_waiting_for_payer, where
        assert states.count(StepState.FAILED) == (seen.status in ("failed", "blocked")), where
        assert not seen.is_open or StepState.SKIPPED not in states, where


def test_a_payment_decides_once_it_has_begun() -> None:
    assert standing("due", True, False, PaymentState("executing", "submitted", True)).status == "pending"
    assert standing("due", True, False, PaymentState("executing", "included", True)).status == "confirmed"
    assert standing("due", True, False, PaymentState("succeeded", "final", True)).status == "final"
    assert standing("cancelled", True, False, PaymentState("succeeded", "final", True)).status == "final"
    assert standing("completed", True, False, PaymentState("executing", "reopened", True)).status == "pending"


def test_an_ended_intent_ends_what_has_not_ended() -> None:
    for ended in ENDED_INTENT:
        seen = standing(ended, True, False, PaymentState("executing", "submitted", True))
        assert (seen.status, seen.is_open) == (ended, False)


@pytest.mark.parametrize("status", sorted(OPEN_INTENT))
def test_open_states_are_open(status: str) -> None:
    assert standing(status, True, False, None).is_open


def current(intent: str, signs: bool, approves: bool) -> str:
    seen = standing(intent, signs, approves, None)
    return next(step.label for step in seen.steps if step.state is StepState.CURRENT)


def test_the_payer_is_asked_for_what_comes_next() -> None:
    assert current("awaiting_authorisation", True, False) == SIGN
    assert current("awaiting_authorisation", True, True) == APPROVE
    assert current("awaiting_authorisation", False, True) == FUND
    assert current("awaiting_approval", True, False) == APPROVE
    assert current("awaiting_funds", True, False) == CHECK
    assert current("armed", True, True) == CHECK


def test_a_signature_given_before_the_approval_stays_done() -> None:
    seen = standing("awaiting_approval", True, True, None)
    assert {step.label: step.state for step in seen.steps}[SIGN] is StepState.DONE


def failed_step(payment: PaymentState) -> str:
    seen = standing("due", True, False, payment)
    return next(step.label for step in seen.steps if step.state is StepState.FAILED)


def test_the_step_that_failed_is_named() -> None:
    assert failed_step(PaymentState("blocked", "blocked", False)) == CHECK
    assert failed_step(PaymentState("failed", "failed", False)) == SEND
    assert failed_step(PaymentState("failed", "failed", True)) == INCLUDE


def test_nothing_is_claimed_of_what_ended_before_its_payment() -> None:
    seen = standing("cancelled", True, True, None)
    assert [step.state for step in seen.steps] == [StepState.DONE, *[StepState.SKIPPED] * 6]
