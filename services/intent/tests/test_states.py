"""The state machine over every pair of state and event, against a table written independently of it."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from snowrail_intent.domain.states import (
    STOPPABLE,
    TERMINAL,
    IllegalTransition,
    IntentEvent,
    State,
    Status,
    advance,
    allows,
)

# One column per state an event can happen in: `from>to` in initials, `-` where nothing else is listed.
_INITIALS = {
    "DR": Status.DRAFT,
    "AU": Status.AWAITING_AUTHORISATION,
    "FU": Status.AWAITING_FUNDS,
    "AP": Status.AWAITING_APPROVAL,
    "AR": Status.ARMED,
    "DU": Status.DUE,
    "DE": Status.DELAYED,
    "CO": Status.COMPLETED,
    "CA": Status.CANCELLED,
    "EX": Status.EXPIRED,
    "FA": Status.FAILED,
}
_TABLE = """
submitted               DR>AU
edited                  AU>AU
authorised              AU>AR
funds_missing           FU>FU AP>FU AR>FU DE>FU
approval_missing        FU>AP AP>AP AR>AP DE>AP
covered                 FU>AR AP>AR
became_due              AR>DU DE>DU
condition_unmet         DU>DE
occurrence_paid         DU>AR CA>CA
occurrence_failed       DU>AR CA>CA
occurrence_missed       FU>AR AP>AR AR>AR DE>AR
series_ended            AU>CO FU>CO AP>CO AR>CO DE>CO DU>CO CA>CA
all_paid                DU>CO CA>CO FA>CO
payment_failed          DU>FA CA>CA
payment_cancelled       DU>CA CA>CA
reopened                AU>DU FU>DU AP>DU AR>DU DE>DU CO>DU FA>DU
cancelled               AU>CA FU>CA AP>CA AR>CA DE>CA
cancelled_on_chain      AU>CA FU>CA AP>CA AR>CA DE>CA DU>CA CO>CO CA>CA EX>EX FA>FA
cancellation_orphaned   DU>DU CO>CO CA>CA EX>EX FA>FA
funding_orphaned        FU>AU AP>AU AR>AU DE>AU
expired                 AU>EX FU>EX AP>EX AR>EX DE>EX
paused                  AU>AU FU>FU AP>AP AR>AR DE>DE DU>DU
resumed                 AU>AU FU>FU AP>AP AR>AR DE>DE DU>DU
"""


def expected() -> dict[tuple[Status, IntentEvent], Status]:
    """Read the table."""
    found: dict[tuple[Status, IntentEvent], Status] = {}
    for line in _TABLE.strip().splitlines():
        name, *arrows = line.split()
        for arrow in arrows:
            before, after = arrow.split(">")
            found[_INITIALS[before], IntentEvent(name)] = _INITIALS[after]
    return found


EXPECTED = expected()
PAIRS = list(itertools.product(Status, (False, True), IntentEvent))


@pytest.mark.parametrize(("status", "paused", "event"), PAIRS)
def test_every_pair_leads_where_the_table_says(status: Status, paused: bool, event: IntentEvent) -> None:
    state = State(status, paused)
    following = EXPECTED.get((status, event))
    blocked = (
        (event is IntentEvent.BECAME_DUE and paused)
        or (event is IntentEvent.PAUSED and paused)
        or (event is IntentEvent.RESUMED and not paused)
    )
    if following is None or blocked:
        assert not allows(state, event)
        with pytest.raises(IllegalTransition) as refused:
            advance(state, event)
        assert (refused.value.state, refused.value.event) == (state, event)
        assert event in str(refused.value)
        return
    after = advance(state, event)
    assert allows(state, event)
    assert after.status is following
    if event in (IntentEvent.PAUSED, IntentEvent.RESUMED):
        assert after.paused is (event is IntentEvent.PAUSED)
    else:
        assert after.paused is (paused and following not in TERMINAL)


def test_the_table_names_every_event() -> None:
    assert {event for _, event in EXPECTED} == set(IntentEvent)


@given(st.lists(st.sampled_from(list(IntentEvent)), max_size=60))
def test_no_history_pays_without_authorisation_or_after_an_end(history: list[IntentEvent]) -> None:
    state = State(Status.DRAFT)
    happened: list[IntentEvent] = []
    for event in history:
        if not allows(state, event):
            continue
        before, state = state, advance(state, event)
        happened.append(event)
        if state.status is Status.DUE and before.status is not Status.DUE:
            assert IntentEvent.AUTHORISED in happened
            assert not before.paused or event is IntentEvent.REOPENED
        if before.status in TERMINAL and state.status is not before.status:
            assert event in (IntentEvent.ALL_PAID, IntentEvent.REOPENED)  # evidence from the chain
        if state.paused:
            assert state.status in STOPPABLE or state.status is Status.DUE


@given(st.lists(st.sampled_from(list(IntentEvent)), max_size=60))
def test_an_intent_that_can_be_stopped_stops_at_once_and_for_good(history: list[IntentEvent]) -> None:
    state = State(Status.AWAITING_AUTHORISATION)
    for event in history:
        if allows(state, event):
            state = advance(state, event)
        if state.status in STOPPABLE:
            stopped = advance(state, IntentEvent.CANCELLED)
            assert stopped == State(Status.CANCELLED)
            assert not allows(stopped, IntentEvent.BECAME_DUE)
            assert not allows(stopped, IntentEvent.AUTHORISED)
