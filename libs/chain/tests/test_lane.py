"""The nonce lane: every state with every event, verdicts, nonces, fees."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from snowrail_chain.lane import (
    OPEN_STATES,
    FeePolicy,
    Fees,
    IllegalTransition,
    NonceVerdict,
    NonceView,
    SendVerdict,
    TransactionEvent,
    TransactionState,
    after_transaction_event,
    bid_up_to,
    count_that_fit,
    judge_nonce,
    judge_send,
    least_ceiling,
    raise_fees,
    reconcile_nonces,
)
from snowrail_chain.send import SendOutcome

# One line per state; one column per event in the order of `TransactionEvent`; `-` is illegal.
#           reserve   sign    accepted   unclear    refused    included  final  orphaned  lost  returned
TABLE = """
created     reserved  -       -          -          -          -         -      -         -     -
reserved    -         signed  -          -          -          -         -      -         -     -
signed      -         -       broadcast  ambiguous  signed     included  final  orphaned  dead  -
broadcast   -         -       broadcast  ambiguous  ambiguous  included  final  orphaned  dead  -
ambiguous   -         -       broadcast  ambiguous  ambiguous  included  final  orphaned  dead  -
included    -         -       included   included   included   included  final  orphaned  dead  -
final       -         -       final      final      final      included  final  orphaned  dead  -
orphaned    -         -       broadcast  ambiguous  orphaned   included  final  orphaned  dead  -
dead        -         -       dead       dead       dead       included  final  dead      dead  ambiguous
"""
ROWS = [line.split() for line in TABLE.strip().splitlines()]
PAIRS = [
    (TransactionState(row[0]), event, None if cell == "-" else TransactionState(cell))
    for row in ROWS
    for event, cell in zip(TransactionEvent, row[1:], strict=True)
]
POLICY = FeePolicy(base_fee_percent=200, least_base_fee_percent=125, priority_fee=10, replacement_percent=112)


def test_the_table_names_every_state() -> None:
    assert [row[0] for row in ROWS] == list(TransactionState)


@pytest.mark.parametrize(("state", "event", "following"), PAIRS)
def test_every_state_with_every_event(
    state: TransactionState, event: TransactionEvent, following: TransactionState | None
) -> None:
    if following is None:
        with pytest.raises(IllegalTransition, match=f"{event} cannot happen while {state}"):
            after_transaction_event(state, event)
    else:
        assert after_transaction_event(state, event) is following


def test_open_transactions_are_those_neither_in_a_block_nor_dead() -> None:
    assert {str(state) for state in OPEN_STATES} == {"signed", "broadcast", "ambiguous", "orphaned"}


@pytest.mark.parametrize(
    ("outcome", "verdict"),
    [
        (SendOutcome.ACCEPTED, SendVerdict.TAKEN),
        (SendOutcome.ALREADY_KNOWN, SendVerdict.TAKEN),
        (SendOutcome.NONCE_TOO_LOW, SendVerdict.ASK),
        (SendOutcome.UNKNOWN, SendVerdict.ASK),
        (SendOutcome.NONCE_TOO_HIGH, SendVerdict.REFUSED),
        (SendOutcome.UNDERPRICED, SendVerdict.REFUSED),
        (SendOutcome.INSUFFICIENT_FUNDS, SendVerdict.REFUSED),
    ],
)
def test_every_answer_to_a_sent_transaction_has_a_verdict(outcome: SendOutcome, verdict: SendVerdict) -> None:
    assert judge_send(outcome) is verdict


def test_all_outcomes_are_judged() -> None:
    assert {judge_send(outcome) for outcome in SendOutcome} == set(SendVerdict)


@pytest.mark.parametrize(
    ("account_nonce", "known", "verdict"),
    [
        (7, True, NonceVerdict.OURS),
        (8, True, NonceVerdict.OURS),
        (7, False, NonceVerdict.FREE),
        (6, False, NonceVerdict.FREE),
        (8, False, NonceVerdict.USED),
    ],
)
def test_a_nonce_is_ours_free_or_used(account_nonce: int, known: bool, verdict: NonceVerdict) -> None:
    assert judge_nonce(7, account_nonce, known) is verdict


@pytest.mark.parametrize(
    ("account_nonce", "acknowledged", "view"),
    [
        (3, set[int](), NonceView(5, None)),
        (5, set[int](), NonceView(5, None)),
        (7, set[int](), NonceView(5, 5)),
        (7, {5}, NonceView(6, 6)),
        (7, {5, 6}, NonceView(7, None)),
        (7, {5, 6, 9}, NonceView(7, None)),
    ],
)
def test_a_nonce_used_elsewhere_stops_the_lane_until_acknowledged(
    account_nonce: int, acknowledged: set[int], view: NonceView
) -> None:
    assert reconcile_nonces(5, account_nonce, acknowledged) == view


@given(base_fee=st.integers(0, 10**15), ceiling=st.integers(0, 10**16))
def test_a_bid_never_exceeds_a_ceiling_and_covers_the_base_fee_where_the_ceiling_does(
    base_fee: int, ceiling: int
) -> None:
    fees = bid_up_to(base_fee, ceiling, POLICY)
    assert fees.max_fee_per_gas <= min(ceiling, base_fee * 2 + POLICY.priority_fee)
    assert fees.max_priority_fee_per_gas <= fees.max_fee_per_gas
    if ceiling >= least_ceiling(base_fee, POLICY):
        assert base_fee + POLICY.priority_fee <= fees.max_fee_per_gas


def test_the_least_ceiling_leaves_room_for_a_rising_base_fee() -> None:
    assert least_ceiling(1_000, POLICY) == 1_260


@pytest.mark.parametrize(
    ("base_fee", "ceiling", "fees"),
    [
        (1_000, 10_000, Fees(2_010, 12)),
        (100, 10_000, Fees(1_120, 12)),
        (1_000, 1_500, Fees(1_500, 12)),
        (1_000, 1_119, None),
    ],
)
def test_a_replacement_bids_more_but_never_above_the_ceiling(
    base_fee: int, ceiling: int, fees: Fees | None
) -> None:
    assert raise_fees(Fees(1_000, 10), base_fee, ceiling, POLICY) == fees


def test_a_replacement_whose_tip_would_exceed_its_bid_is_not_made() -> None:
    assert raise_fees(Fees(5, 100), 0, 50, POLICY) is None


@given(costs=st.lists(st.integers(0, 100), max_size=20), limit=st.integers(0, 500))
def test_as_many_as_fit(costs: list[int], limit: int) -> None:
    count = count_that_fit(costs, limit)
    assert sum(costs[:count]) <= limit
    assert count == len(costs) or sum(costs[: count + 1]) > limit
