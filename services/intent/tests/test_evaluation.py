"""When an authorised intent is paid, and what it waits for if not."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from snowrail_intent.domain.evaluation import Inputs, evaluate, record
from snowrail_intent.domain.intents import Intent
from snowrail_intent.domain.states import WAITING, IntentEvent, Status, advance

from .samples import CRO, NOW, PACE, a_signed_intent, an_intent

LATER = NOW + timedelta(hours=1)


def inputs(**changes: Any) -> Inputs:
    return replace(Inputs(now=NOW, balance=1_000, allowance=1_000, gas_price=7), **changes)


@pytest.mark.parametrize(
    ("changes", "seen", "status", "reason"),
    [
        ({}, {}, Status.DUE, None),
        ({"status": Status.AWAITING_FUNDS}, {}, Status.DUE, None),
        ({"status": Status.AWAITING_APPROVAL}, {}, Status.DUE, None),
        ({"status": Status.DELAYED}, {}, Status.DUE, None),
        ({}, {"balance": 999}, Status.AWAITING_FUNDS, "insufficient_funds"),
        ({}, {"balance": None}, Status.AWAITING_FUNDS, "insufficient_funds"),
        ({"status": Status.DELAYED}, {"balance": 999}, Status.AWAITING_FUNDS, "insufficient_funds"),
        ({}, {"allowance": 999}, Status.AWAITING_APPROVAL, "approval_missing"),
        ({}, {"allowance": None}, Status.AWAITING_APPROVAL, "approval_missing"),
        ({"status": Status.AWAITING_FUNDS}, {"allowance": 0}, Status.AWAITING_APPROVAL, "approval_missing"),
        ({}, {"gas_price": None}, Status.DELAYED, "gas_price_unknown"),
        ({}, {"gas_price": 36}, Status.DELAYED, "gas_price_above_ceiling"),
        ({"status": Status.AWAITING_FUNDS}, {"gas_price": 36}, Status.DELAYED, "gas_price_above_ceiling"),
        ({"status": Status.DELAYED}, {"gas_price": 35}, Status.DUE, None),
        ({"not_before": LATER}, {}, Status.ARMED, None),
        ({"not_before": LATER, "status": Status.AWAITING_FUNDS}, {}, Status.ARMED, None),
        ({"not_before": LATER}, {"balance": 0}, Status.AWAITING_FUNDS, "insufficient_funds"),
        ({"not_before": NOW - timedelta(seconds=3)}, {}, Status.DUE, None),
        ({"not_before": NOW - timedelta(seconds=2)}, {}, Status.ARMED, None),
        ({}, {"now": NOW + timedelta(days=1)}, Status.EXPIRED, "expired"),
        ({"paused": True}, {"now": NOW + timedelta(days=1)}, Status.EXPIRED, "expired"),
        ({"paused": True}, {}, Status.ARMED, None),
        ({"deposit": 1_000}, {"balance": None, "allowance": None}, Status.DUE, None),
        ({"deposit": 999}, {"balance": None, "allowance": None}, Status.AWAITING_FUNDS, "insufficient_funds"),
        ({"deposit": 1_000, "order_safety_buffer": 5}, {"balance": 5, "allowance": 0}, Status.DUE, None),
        (
            {"deposit": 1_000, "order_safety_buffer": 5},
            {"balance": 4},
            Status.AWAITING_FUNDS,
            "insufficient_funds",
        ),
        ({}, {"balance": 2_000, "allowance": 2_000, "in_flight": 1_000}, Status.DUE, None),
        ({}, {"balance": 1_999, "allowance": 2_000, "in_flight": 1_000}, Status.DELAYED, "earlier_payments"),
        ({}, {"balance": 2_000, "allowance": 1_999, "in_flight": 1_000}, Status.DELAYED, "earlier_payments"),
        (
            {"order_safety_buffer": 5},
            {"balance": 2_004, "allowance": 2_000, "in_flight": 1_000},
            Status.DELAYED,
            "earlier_payments",
        ),
        ({"deposit": 1_000}, {"balance": 0, "allowance": 0, "in_flight": 5_000}, Status.DUE, None),
        ({"not_before": LATER}, {"in_flight": 1_000}, Status.ARMED, None),
        ({}, {"is_stale": True}, Status.ARMED, None),
        ({"status": Status.AWAITING_FUNDS}, {"is_stale": True}, Status.AWAITING_FUNDS, None),
        ({}, {"is_stale": True, "now": NOW + timedelta(days=1)}, Status.EXPIRED, "expired"),
        ({"order_safety_buffer": 5}, {"balance": 1_004}, Status.AWAITING_FUNDS, "insufficient_funds"),
    ],
)
def test_a_verdict_leads_where_it_should(
    changes: dict[str, Any], seen: dict[str, Any], status: Status, reason: str | None
) -> None:
    intent = a_signed_intent(**changes)
    verdict = evaluate(intent, inputs(**seen), PACE)
    after = intent.after(NOW, *verdict.events, reason=verdict.reason)
    assert (after.status, after.reason) == (status, reason)
    assert verdict.is_due is (status is Status.DUE)


def test_what_nobody_has_authorised_only_expires() -> None:
    assert evaluate(an_intent(), inputs(), PACE).events == ()
    late = evaluate(an_intent(), inputs(now=NOW + timedelta(days=1)), PACE)
    assert late.events == (IntentEvent.EXPIRED,)


def test_a_native_intent_is_paid_from_its_deposit_alone() -> None:
    rich_but_unfunded = an_intent(CRO, status=Status.ARMED)
    assert not evaluate(rich_but_unfunded, inputs(balance=999), PACE).is_due
    funded = an_intent(CRO, status=Status.ARMED, deposit=1_000)
    assert evaluate(funded, Inputs(now=NOW, gas_price=7), PACE).is_due


def test_a_payment_in_flight_is_not_judged() -> None:
    with pytest.raises(AssertionError):
        evaluate(a_signed_intent(status=Status.DUE), inputs(), PACE)


def test_the_missing_approval_is_said_and_forgotten_when_it_is_there() -> None:
    intent = a_signed_intent(status=Status.AWAITING_APPROVAL)
    assert evaluate(intent, inputs(allowance=400), PACE).approval_amount == 1_000
    assert evaluate(intent, inputs(allowance=400, obligations=1_700), PACE).approval_amount == 1_700
    assert evaluate(intent, inputs(), PACE).approval_amount == 0
    assert evaluate(replace(intent, approval_amount=7), inputs(balance=0), PACE).approval_amount == 7


def test_the_record_holds_the_inputs() -> None:
    intent = a_signed_intent(not_before=LATER, paused=True)
    kept = record(intent, inputs(balance=None), "chain_unavailable")
    assert kept.reason == "chain_unavailable"
    assert kept.status is Status.ARMED
    assert kept.inputs == {
        "balance": None,
        "allowance": "1000",
        "gas_price": "7",
        "in_flight": "0",
        "deposit": "0",
        "max_gas_price": "35",
        "not_before": LATER.isoformat(),
        "expires_at": (NOW + timedelta(days=1)).isoformat(),
        "paused": True,
        "occurrence": 0,
    }
    assert record(an_intent(), inputs(), None).inputs["not_before"] is None


UNPAID = [Status.ARMED, Status.DELAYED, Status.AWAITING_FUNDS, Status.AWAITING_APPROVAL]


@given(
    status=st.sampled_from(UNPAID),
    paused=st.booleans(),
    deposit=st.integers(0, 1_200),
    balance=st.none() | st.integers(0, 1_200),
    allowance=st.none() | st.integers(0, 1_200),
    gas_price=st.none() | st.integers(0, 70),
    after_seconds=st.integers(-10, 90_000),
    buffer=st.integers(0, 100),
    in_flight=st.integers(0, 300),
)
def test_nothing_becomes_due_unless_the_chain_would_execute_it(
    status: Status,
    paused: bool,
    deposit: int,
    balance: int | None,
    allowance: int | None,
    gas_price: int | None,
    after_seconds: int,
    buffer: int,
    in_flight: int,
) -> None:
    intent = a_signed_intent(status=status, paused=paused, deposit=deposit, order_safety_buffer=buffer)
    seen = Inputs(NOW + timedelta(seconds=after_seconds), balance, allowance, gas_price, in_flight)
    verdict = evaluate(intent, seen, PACE)
    state = intent.state
    for event in verdict.events:
        state = advance(state, event)  # every verdict is a legal history
    assert verdict.is_due is (state.status is Status.DUE)
    if verdict.is_due:
        wallet = 0 if deposit >= 1_000 else 1_000
        assert not paused
        assert seen.now < intent.expires_at
        assert gas_price is not None
        assert gas_price <= intent.order.max_gas_price
        taken = in_flight if wallet else 0
        assert wallet + buffer == 0 or (balance is not None and balance - taken >= wallet + buffer)
        assert wallet == 0 or (allowance is not None and allowance - in_flight >= wallet)


def looked_at(intent: Intent, now: datetime) -> datetime | None:
    return PACE.next_check(intent, now)


def test_the_engine_looks_again_when_something_can_have_changed() -> None:
    expiry = NOW + timedelta(days=1)
    assert looked_at(an_intent(), NOW) == expiry
    assert looked_at(a_signed_intent(), NOW) == NOW
    assert looked_at(a_signed_intent(not_before=LATER), NOW) == LATER + timedelta(seconds=3)
    assert looked_at(a_signed_intent(paused=True), NOW) == expiry
    assert looked_at(a_signed_intent(status=Status.DUE), NOW) is None
    assert looked_at(a_signed_intent(status=Status.DUE, chain_cancelled=True), NOW) == NOW + timedelta(
        seconds=15
    )
    for status in (Status.COMPLETED, Status.CANCELLED, Status.EXPIRED, Status.FAILED):
        assert looked_at(a_signed_intent(status=status), NOW) is None


@pytest.mark.parametrize(
    ("waited", "pause"), [(None, 2), (0, 2), (20, 2), (100, 10), (599, 59.9), (600, 60), (80_000, 60)]
)
def test_pauses_grow_with_the_time_waited_up_to_a_minute(waited: float | None, pause: float) -> None:
    since = None if waited is None else NOW - timedelta(seconds=waited)
    for status in WAITING:
        intent = a_signed_intent(status=status, waiting_since=since)
        assert looked_at(intent, NOW) == NOW + timedelta(seconds=pause)
    paused = a_signed_intent(status=Status.DELAYED, waiting_since=since, paused=True)
    assert looked_at(paused, NOW) == NOW + timedelta(days=1)


def test_what_is_scheduled_far_ahead_is_looked_at_less_often_but_in_time() -> None:
    far = a_signed_intent(
        status=Status.AWAITING_FUNDS,
        not_before=NOW + timedelta(seconds=36_000),
        waiting_since=NOW - timedelta(days=2),
    )
    following = looked_at(far, NOW)
    assert following is not None
    assert timedelta(seconds=3_000) < following - NOW < timedelta(seconds=4_000)


@given(
    status=st.sampled_from(list(WAITING)),
    waited=st.integers(0, 10**6),
    left=st.integers(1, 10**5),
)
def test_a_due_intent_is_looked_at_within_a_minute_and_never_after_its_expiry(
    status: Status, waited: int, left: int
) -> None:
    intent = a_signed_intent(
        status=status,
        waiting_since=NOW - timedelta(seconds=waited),
        expires_at=NOW + timedelta(seconds=left),
    )
    following = looked_at(intent, NOW)
    assert following is not None
    assert NOW < following <= NOW + timedelta(seconds=60)
    assert following <= intent.expires_at


def test_waiting_begins_once_and_ends() -> None:
    waiting = a_signed_intent().after(NOW, IntentEvent.FUNDS_MISSING, reason="insufficient_funds")
    assert waiting.waiting_since == NOW
    still = waiting.after(LATER, IntentEvent.APPROVAL_MISSING, reason="approval_missing")
    assert still.waiting_since == NOW
    assert still.version == waiting.version + 1
    assert still.after(LATER, IntentEvent.COVERED).waiting_since is None


def test_ended_intents_give_their_limits_back() -> None:
    counted = a_signed_intent(counted_on=NOW.date())
    for event in (IntentEvent.CANCELLED, IntentEvent.EXPIRED, IntentEvent.CANCELLED_ON_CHAIN):
        assert counted.after(NOW, event).counted_on is None
    for event in (IntentEvent.FUNDS_MISSING, IntentEvent.PAUSED, IntentEvent.BECAME_DUE):
        assert counted.after(NOW, event).counted_on == NOW.date()
    due = replace(counted, status=Status.DUE)
    assert due.after(NOW, IntentEvent.PAYMENT_FAILED).counted_on is None
    assert due.after(NOW, IntentEvent.ALL_PAID).counted_on == NOW.date()


def test_what_changed_by_itself_is_looked_at_ahead_of_its_time() -> None:
    soon = a_signed_intent(not_before=LATER)
    assert PACE.next_check(soon, NOW) == LATER + timedelta(seconds=3)
    assert PACE.next_check(soon, NOW, is_news=True) == NOW
    later = a_signed_intent(not_before=NOW + timedelta(days=3), expires_at=NOW + timedelta(days=9))
    warning = NOW + timedelta(days=2, seconds=3)
    for is_news in (False, True):
        assert PACE.next_check(later, NOW, is_news) == warning
        assert PACE.next_check(later, warning, is_news) == (
            warning if is_news else warning + timedelta(days=1)
        )
    waiting = replace(later, status=Status.AWAITING_FUNDS, waiting_since=NOW - timedelta(days=30))
    just_before = warning - timedelta(seconds=1)
    assert PACE.next_check(waiting, just_before) == warning
