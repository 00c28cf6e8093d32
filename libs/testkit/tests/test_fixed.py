"""Time and ids that a test decides."""

from datetime import UTC, datetime, timedelta

import pytest

from snowrail_testkit import FakeClock, SequentialIds


def test_time_stands_still_until_moved() -> None:
    clock = FakeClock()
    start = clock.now()
    assert clock.now() == start
    assert clock.advance(1.5) == start + timedelta(seconds=1.5)
    clock.advance(timedelta(days=1))
    assert clock.now() == start + timedelta(days=1, seconds=1.5)
    clock.set(start)
    assert clock.now() == start


def test_a_moment_without_time_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="time zone"):
        FakeClock().set(datetime(2026, 1, 1))  # noqa: DTZ001 - the point of the test
    clock = FakeClock(datetime(2020, 1, 1, tzinfo=UTC))
    assert clock.now().year == 2020


def test_ids_count_upwards_and_are_version_seven() -> None:
    ids = SequentialIds()
    made = [ids.new() for _ in range(300)]
    assert made == sorted(made)
    assert len(set(made)) == 300
    assert {(one.version, one.variant) for one in made} == {(7, "specified in RFC 4122")}
    assert SequentialIds().new() == made[0]
