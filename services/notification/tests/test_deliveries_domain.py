"""The states of a delivery, over every pair."""

from datetime import timedelta
from itertools import product

import pytest

from snowrail_notification.domain.catalogue import OUTSIDE, Channel, Priority
from snowrail_notification.domain.deliveries import (
    MAX_ATTEMPTS,
    Ended,
    IllegalTransition,
    Next,
    State,
    claim,
    end,
    is_repeatable,
)


@pytest.mark.parametrize("state", State)
def test_only_what_waits_is_attempted(state: State) -> None:
    if state is State.PENDING:
        assert claim(state) is State.SENDING
    else:
        with pytest.raises(IllegalTransition):
            claim(state)


def test_every_end_of_every_attempt() -> None:
    for state, ended, channel, priority, attempts in product(
        State, Ended, OUTSIDE, Priority, range(1, MAX_ATTEMPTS + 1)
    ):
        if state is not State.SENDING:
            with pytest.raises(IllegalTransition):
                end(state, ended, channel, priority, attempts)
            continue
        following = end(state, ended, channel, priority, attempts)
        if ended is Ended.ACCEPTED:
            assert following == Next(State.SENT)
        elif ended in (Ended.REFUSED, Ended.GONE):
            assert following == Next(State.FAILED)
        elif attempts == MAX_ATTEMPTS:
            assert following.state is (State.FAILED if ended is Ended.NOT_NOW else State.UNKNOWN)
        elif ended is Ended.NOT_NOW or channel is Channel.WEB_PUSH or priority is Priority.CRITICAL:
            assert following.state is State.PENDING
            assert timedelta(seconds=5) <= following.pause <= timedelta(hours=1)
        else:
            assert following == Next(State.UNKNOWN)


def test_a_provider_is_left_alone_for_as_long_as_it_asks() -> None:
    asked = timedelta(hours=2)
    assert end(State.SENDING, Ended.NOT_NOW, Channel.EMAIL, Priority.LOW, 1, asked).pause == asked
    short = timedelta(seconds=1)
    pauses = [
        end(State.SENDING, Ended.NOT_NOW, Channel.TELEGRAM, Priority.LOW, attempts, short).pause
        for attempts in range(1, 6)
    ]
    assert [pause.total_seconds() for pause in pauses] == [1, 1, 1, 320, 1_280]


def test_what_may_be_sent_twice() -> None:
    assert {pair for pair in product(OUTSIDE, Priority) if is_repeatable(*pair)} == {
        *((Channel.WEB_PUSH, priority) for priority in Priority),
        (Channel.EMAIL, Priority.CRITICAL),
        (Channel.TELEGRAM, Priority.CRITICAL),
    }
