"""The state machine over every pair, and the arithmetic of journals."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from snowrail_payment_orchestrator.domain import (
    FINISHED,
    MAX_ATTEMPTS,
    Happening,
    IllegalTransition,
    Posting,
    Status,
    failure,
    is_native,
    payment_postings,
    retry_delay_seconds,
    reversed_postings,
    transfer_postings,
    transition,
)

ALLOWED = {
    Status.REQUESTED: {
        Happening.ASSESSED_ALLOW: Status.APPROVED,
        Happening.ASSESSED_REVIEW: Status.REVIEW,
        Happening.ASSESSED_BLOCK: Status.BLOCKED,
        Happening.CANCELLED_OFF_CHAIN: Status.CANCELLED,
        Happening.CANCELLED_ON_CHAIN: Status.CANCELLED,
    },
    Status.REVIEW: {
        Happening.REVIEW_APPROVED: Status.APPROVED,
        Happening.REVIEW_DENIED: Status.BLOCKED,
        Happening.CANCELLED_OFF_CHAIN: Status.CANCELLED,
        Happening.CANCELLED_ON_CHAIN: Status.CANCELLED,
    },
    Status.APPROVED: {
        Happening.ROUTED: Status.EXECUTING,
        Happening.NO_ROUTE: Status.FAILED,
        Happening.EXECUTED: Status.SUCCEEDED,
        Happening.CANCELLED_OFF_CHAIN: Status.CANCELLED,
        Happening.CANCELLED_ON_CHAIN: Status.CANCELLED,
    },
    Status.EXECUTING: {
        Happening.EXECUTED: Status.SUCCEEDED,
        Happening.FAILED_RETRYABLE: Status.APPROVED,
        Happening.FAILED_FINAL: Status.FAILED,
        Happening.OUTCOME_UNKNOWN: Status.UNKNOWN,
        Happening.ORPHANED: Status.EXECUTING,
        Happening.CANCELLED_ON_CHAIN: Status.CANCELLED,
    },
    Status.UNKNOWN: {
        Happening.EXECUTED: Status.SUCCEEDED,
        Happening.FAILED_RETRYABLE: Status.FAILED,
        Happening.FAILED_FINAL: Status.FAILED,
        Happening.ORPHANED: Status.UNKNOWN,
        Happening.CANCELLED_ON_CHAIN: Status.CANCELLED,
    },
    Status.SUCCEEDED: {Happening.ORPHANED: Status.EXECUTING},
    Status.FAILED: {Happening.EXECUTED: Status.SUCCEEDED, Happening.ORPHANED: Status.EXECUTING},
    Status.BLOCKED: {},
    Status.CANCELLED: {Happening.EXECUTED: Status.SUCCEEDED},
}


@pytest.mark.parametrize(("status", "happening"), list(itertools.product(Status, Happening)))
def test_every_pair_of_state_and_happening(status: Status, happening: Happening) -> None:
    expected = ALLOWED[status].get(happening, IllegalTransition(status, happening))
    assert transition(status, happening) == expected


def test_an_unknown_outcome_is_never_tried_again() -> None:
    reachable = {transition(Status.UNKNOWN, happening) for happening in Happening}
    assert Status.APPROVED not in reachable
    assert Status.EXECUTING not in reachable


def test_only_evidence_of_the_chain_takes_a_payment_out_of_its_end() -> None:
    for status, happening in itertools.product(FINISHED, Happening):
        after = transition(status, happening)
        evidence = (Happening.ORPHANED, Happening.EXECUTED)
        assert isinstance(after, IllegalTransition) or happening in evidence


def test_a_retryable_failure_is_final_after_the_last_attempt() -> None:
    assert failure(MAX_ATTEMPTS - 1, retryable=True) is Happening.FAILED_RETRYABLE
    assert failure(MAX_ATTEMPTS, retryable=True) is Happening.FAILED_FINAL
    assert failure(1, retryable=False) is Happening.FAILED_FINAL
    assert [retry_delay_seconds(attempt) for attempt in (1, 2, 3)] == [1.0, 4.0, 16.0]


@given(st.integers(1, 2**256 - 1), st.integers(0, 2**128))
def test_every_journal_sums_to_zero(amount: int, fee: int) -> None:
    for postings in (
        payment_postings("wallet:a", "b", "1:0x0", amount, fee),
        transfer_postings("wallet:a", "escrow:b", "1:0x0", amount),
    ):
        assert sum(line.atoms for line in postings) == 0
        assert all(line.atoms for line in postings)
        assert sum(line.atoms for line in postings + reversed_postings(postings)) == 0


def test_a_fee_has_its_own_line_only_when_there_is_one() -> None:
    assert len(payment_postings("wallet:a", "b", "1:0x0", 5, 0)) == 2
    assert Posting("platform:fees", "1:0x0", 1) in payment_postings("wallet:a", "b", "1:0x0", 5, 1)


@pytest.mark.parametrize(("number", "expected"), [(0, True), (1, False)])
def test_the_own_coin_of_a_chain_has_no_address(number: int, expected: bool) -> None:
    assert is_native(f"1:0x{number:040x}") is expected
