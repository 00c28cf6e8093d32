"""Eligibility, probabilities, learning, breakers."""

from collections import Counter
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from snowrail_routing.domain import (
    BREAKER_FAILURES,
    EXPLORATION_SHARE,
    FIRST_PAUSE,
    HALF_LIFE_SECONDS,
    LONGEST_PAUSE,
    MILLION,
    PROBE_PATIENCE,
    PROBES,
    RAIL_PAUSED,
    Experience,
    RailOffer,
    RailState,
    Request,
    after_choice,
    after_outcome,
    choose,
    context_of,
    learn,
    probabilities,
    refusal,
    value,
)

NOW = datetime(2026, 1, 1, tzinfo=UTC)
ON = RailState(enabled=True)
REQUEST = Request(1, "1:0x0", 100, ())


def offer(rail: str = "a", **changes: Any) -> RailOffer:
    given_fields: dict[str, Any] = {
        "rail": rail,
        "chain_ids": frozenset({1}),
        "tokens": frozenset[str](),
        "smallest_atoms": 1,
        "largest_atoms": 1000,
        "cost": 0.0,
        "risk": 0.0,
    }
    return RailOffer(**{**given_fields, **changes})


@pytest.mark.parametrize(
    ("offered", "state", "request_", "reason"),
    [
        (offer(), ON, REQUEST, None),
        (offer(), None, REQUEST, "rail_disabled"),
        (offer(), RailState(False), REQUEST, "rail_disabled"),
        (offer(), RailState(True, 5, NOW, NOW + timedelta(seconds=1)), REQUEST, "rail_paused"),
        (offer(), RailState(True, 5, NOW, NOW), REQUEST, None),
        (offer(), ON, Request(1, "1:0x0", 100, ("a",)), "rail_excluded"),
        (offer(), ON, Request(2, "2:0x0", 100, ()), "token_not_carried"),
        (offer(tokens=frozenset({"1:0x1"})), ON, REQUEST, "token_not_carried"),
        (offer(tokens=frozenset({"1:0x0"})), ON, REQUEST, None),
        (offer(smallest_atoms=101), ON, REQUEST, "amount_out_of_bounds"),
        (offer(largest_atoms=99), ON, REQUEST, "amount_out_of_bounds"),
    ],
)
def test_eligibility(
    offered: RailOffer, state: RailState | None, request_: Request, reason: str | None
) -> None:
    assert refusal(offered, state, request_, NOW) == reason


def test_without_an_eligible_rail_the_reason_is_named() -> None:
    assert choose(REQUEST, [offer()], {}, {}, NOW, 0.0).reason == "rail_disabled"
    several = choose(REQUEST, [offer("a"), offer("b", largest_atoms=1)], {"b": ON}, {}, NOW, 0.0)
    assert (several.rail, several.propensity_millionths, several.reason) == (None, 0, "no_eligible_rail")
    assert choose(REQUEST, [], {}, {}, NOW, 0.0).reason == "no_eligible_rail"


def test_a_single_eligible_rail_is_certain() -> None:
    choice = choose(REQUEST, [offer()], {"a": ON}, {}, NOW, 0.99)
    assert (choice.rail, choice.propensity_millionths, choice.reason) == ("a", MILLION, "only_eligible_rail")


@given(st.lists(st.floats(-5, 5), min_size=1, max_size=8))
def test_probabilities_sum_to_one_and_none_vanishes(values: list[float]) -> None:
    chances = probabilities(values)
    assert sum(chances) == pytest.approx(1)
    assert min(chances) >= EXPLORATION_SHARE / len(values) * 0.999
    assert chances[values.index(max(values))] == pytest.approx(max(chances))


def test_choices_follow_their_logged_propensities() -> None:
    offers = [offer("a"), offer("b", cost=0.1)]
    states = {"a": ON, "b": ON}
    random = Random(7)
    choices = [choose(REQUEST, offers, states, {}, NOW, random.random()) for _ in range(20_000)]
    counts = Counter(choice.rail for choice in choices)
    for rail in ("a", "b"):
        logged = next(choice.propensity_millionths for choice in choices if choice.rail == rail)
        assert counts[rail] / len(choices) == pytest.approx(logged / MILLION, abs=0.02)
    assert {choice.reason for choice in choices} == {"best_value", "exploration"}


def test_the_last_rail_takes_a_draw_that_rounding_left_over() -> None:
    choice = choose(REQUEST, [offer("a"), offer("b")], {"a": ON, "b": ON}, {}, NOW, 1.0)
    assert choice.rail == "b"


def test_learning_moves_the_value_and_time_takes_it_back() -> None:
    bad: Experience | None = None
    for _ in range(50):
        bad = learn(bad, succeeded=False, latency_seconds=120, now=NOW)
    assert bad is not None
    assert value(offer(), bad, NOW) < value(offer(), None, NOW) - 0.5
    much_later = NOW + timedelta(seconds=20 * HALF_LIFE_SECONDS)
    assert value(offer(), bad, much_later) == pytest.approx(value(offer(), None, NOW) - 0.1, abs=0.01)
    good = learn(None, succeeded=True, latency_seconds=1, now=NOW)
    assert value(offer(), good, NOW) > value(offer(), bad, NOW)


def test_contexts_separate_tokens_and_magnitudes() -> None:
    assert context_of(REQUEST) == context_of(Request(1, "1:0x0", 999, ("x",)))
    assert context_of(REQUEST) != context_of(Request(1, "1:0x0", 1000, ()))
    assert context_of(REQUEST) != context_of(Request(1, "1:0x1", 100, ()))


SOON = NOW + timedelta(seconds=1)


def opened(pauses: int = 1) -> RailState:
    """Return a breaker that has just opened."""
    state = RailState(True, BREAKER_FAILURES - 1, pauses=pauses - 1)
    return after_outcome(state, succeeded=False, selected_at=NOW, now=NOW)


def test_the_breaker_opens_after_failures_in_a_row_and_closes_on_success() -> None:
    state = ON
    for _ in range(BREAKER_FAILURES - 1):
        state = after_outcome(state, succeeded=False, selected_at=NOW, now=NOW)
    assert state.open_until is None
    assert after_outcome(state, succeeded=True, selected_at=NOW, now=NOW) == ON
    state = after_outcome(state, succeeded=False, selected_at=NOW, now=NOW)
    assert state.open_until == NOW + FIRST_PAUSE
    assert not state.admits(NOW)
    assert state.admits(NOW + FIRST_PAUSE)
    assert after_outcome(state, succeeded=True, selected_at=SOON, now=SOON) == ON


def test_what_was_chosen_before_the_breaker_opened_neither_closes_nor_prolongs_it() -> None:
    state = opened()
    earlier = NOW - timedelta(seconds=1)
    for succeeded in (True, False):
        assert after_outcome(state, succeeded, selected_at=earlier, now=SOON) == state


def test_a_half_open_breaker_admits_a_few_probes_at_a_time() -> None:
    state = opened()
    after_pause = NOW + FIRST_PAUSE
    for _ in range(PROBES):
        assert state.admits(after_pause)
        state = after_choice(state, after_pause)
    assert not state.admits(after_pause)
    assert refusal(offer(), state, REQUEST, after_pause) == RAIL_PAUSED
    later = after_pause + PROBE_PATIENCE
    assert state.admits(later)
    assert after_choice(state, later).probes == 1
    assert after_choice(ON, NOW) == ON


def test_a_probe_that_fails_opens_the_breaker_for_twice_as_long() -> None:
    state = opened()
    for pauses in range(2, 12):
        now = state.open_until or NOW
        state = after_outcome(after_choice(state, now), succeeded=False, selected_at=now, now=now)
        assert state.pauses == pauses
        assert state.open_until == now + min(FIRST_PAUSE * 2 ** (pauses - 1), LONGEST_PAUSE)
        assert state.probes == 0
    assert (
        after_outcome(opened(pauses=5_000), False, selected_at=SOON, now=SOON).open_until
        == SOON + LONGEST_PAUSE
    )


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 90)), max_size=80))
def test_a_rail_is_always_tried_again_and_never_flooded(outcomes: list[tuple[bool, int]]) -> None:
    state, now = ON, NOW
    for succeeded, seconds in outcomes:
        now += timedelta(seconds=seconds)
        admitted = 0
        probe = state
        while state.open_until is not None and probe.admits(now) and admitted <= 2 * PROBES:
            probe = after_choice(probe, now)
            admitted += 1
        assert admitted <= 2 * PROBES
        if state.open_until is not None:
            assert state.open_until - now <= LONGEST_PAUSE
            assert probe.admits(max(now, state.open_until) + PROBE_PATIENCE)
        state = after_outcome(probe, succeeded, selected_at=now, now=now)


def test_a_paused_rail_is_waited_for_and_not_given_up() -> None:
    paused = {"a": opened()}
    assert choose(REQUEST, [offer()], paused, {}, NOW, 0.0).reason == RAIL_PAUSED
    beside_a_disabled_one = choose(REQUEST, [offer("a"), offer("b")], paused, {}, NOW, 0.0)
    assert (beside_a_disabled_one.rail, beside_a_disabled_one.reason) == (None, RAIL_PAUSED)
    other = choose(REQUEST, [offer("a"), offer("b")], {**paused, "b": ON}, {}, NOW, 0.0)
    assert other.rail == "b"
    too_much = Request(1, "1:0x0", 1001, ())
    assert choose(too_much, [offer()], paused, {}, NOW, 0.0).reason == "amount_out_of_bounds"
