"""Rate limits: a window that slides."""

from datetime import datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from snowrail_chat.domain.limits import Use, take
from snowrail_chat.domain.specs import RateLimit
from snowrail_testkit.fixed import START_OF_TIME

LIMIT = RateLimit(10, 60)


def after(seconds: float) -> datetime:
    return START_OF_TIME + timedelta(seconds=seconds)


def test_the_limit_is_allowed_at_once_and_no_more() -> None:
    verdict = take(Use(START_OF_TIME), 12, LIMIT, START_OF_TIME)
    assert verdict.allowed == 10
    again = take(verdict.use, 1, LIMIT, after(59))
    assert again.allowed == 0
    assert again.retry_after_seconds >= 1


def test_a_burst_at_the_border_of_two_windows_is_not_twice_the_limit() -> None:
    use = take(Use(START_OF_TIME), 10, LIMIT, after(59)).use
    assert take(use, 10, LIMIT, after(61)).allowed == 0
    assert take(use, 10, LIMIT, after(90)).allowed == 5
    assert take(use, 10, LIMIT, after(120)).allowed == 10


def test_long_after_everything_is_allowed_again() -> None:
    use = take(Use(START_OF_TIME), 10, LIMIT, START_OF_TIME).use
    verdict = take(use, 3, LIMIT, after(1_000))
    assert verdict.allowed == 3
    assert verdict.use == Use(after(1_000), 3, 0)
    assert verdict.retry_after_seconds == 1


def test_a_clock_that_was_set_back_allows_nothing_more() -> None:
    use = take(Use(START_OF_TIME), 10, LIMIT, START_OF_TIME).use
    assert take(use, 1, LIMIT, after(-30)).allowed == 0


def test_a_limit_of_one_says_when() -> None:
    once = RateLimit(1, 60)
    use = take(Use(START_OF_TIME), 1, once, START_OF_TIME).use
    verdict = take(use, 1, once, after(10))
    assert (verdict.allowed, verdict.retry_after_seconds) == (0, 110)
    assert take(verdict.use, 1, once, after(120)).allowed == 1


@given(
    st.lists(st.tuples(st.floats(0, 90), st.integers(1, 15)), min_size=1, max_size=30),
    st.integers(1, 20),
    st.integers(1, 120),
)
def test_waiting_as_told_always_allows_one(steps: list[tuple[float, int]], count: int, seconds: int) -> None:
    limit = RateLimit(count, seconds)
    now, use = START_OF_TIME, Use(START_OF_TIME)
    taken: list[tuple[datetime, int]] = []
    for pause, wanted in steps:
        now += timedelta(seconds=pause)
        verdict = take(use, wanted, limit, now)
        use = verdict.use
        taken.append((now, verdict.allowed))
        assert 0 <= verdict.allowed <= min(wanted, count)
        if verdict.allowed < wanted:
            later = now + timedelta(seconds=verdict.retry_after_seconds)
            assert take(use, 1, limit, later).allowed == 1
            assert verdict.retry_after_seconds <= 2 * seconds
    for start, _ in taken:
        window = [used for at, used in taken if start <= at < start + timedelta(seconds=seconds)]
        assert sum(window) < 2 * count or count == 1


def test_limits_read_well() -> None:
    assert str(RateLimit(10, 60)) == "10 per minute"
    assert str(RateLimit(2, 300)) == "2 in 5 minutes"
    assert str(RateLimit(3, 10)) == "3 in 10 s"
