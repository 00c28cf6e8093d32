"""Who is told what, where and when: every type, channel, preference and hour."""

from datetime import UTC, datetime, time, timedelta
from itertools import product
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from snowrail_notification.domain.attention import (
    QuietHours,
    due_at,
    is_told,
    last_monday_nine,
    quiet_until,
    zone,
)
from snowrail_notification.domain.catalogue import CATALOGUE, Channel, Kind, Priority, Type

NIGHT = QuietHours(time(22), time(7))
SIESTA = QuietHours(time(13), time(15, 30))
HOURS = (None, NIGHT, SIESTA)
MOMENTS = tuple(datetime(2026, 6, 1, hour, 15, tzinfo=UTC) for hour in range(24))
ZONES = ("UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata", "Pacific/Apia")


def expected_quiet(quiet: QuietHours | None, local: time) -> bool:
    """Whether a time of day lies in quiet hours, said once more in another way: minute by minute."""
    if quiet is None:
        return False
    minute, minutes = quiet.starts_at.hour * 60 + quiet.starts_at.minute, set[int]()
    while minute != quiet.ends_at.hour * 60 + quiet.ends_at.minute:
        minutes.add(minute)
        minute = (minute + 1) % 1_440
    return local.hour * 60 + local.minute in minutes


@pytest.mark.parametrize("type_", Type)
def test_every_type_channel_preference_and_hour(type_: Type) -> None:
    kind = CATALOGUE[type_]
    for channel, preference in product(Channel, (None, True, False)):
        told = is_told(kind, channel, preference)
        if kind.priority is Priority.CRITICAL:
            assert told
        elif preference is None:
            assert told is (channel in kind.default_channels)
        else:
            assert told is preference
    for priority, quiet, now, name in product(Priority, HOURS, MOMENTS, ZONES):
        told_at = due_at(Kind(kind.icon, priority, kind.default_channels), now, name, quiet)
        local = now.astimezone(ZoneInfo(name))
        if priority is Priority.CRITICAL or not expected_quiet(quiet, local.time()):
            assert told_at == now
        else:
            assert quiet is not None
            assert told_at > now
            assert told_at.astimezone(ZoneInfo(name)).time() == quiet.ends_at
            assert told_at - now <= timedelta(hours=24)


def test_every_type_has_its_kind_and_only_security_is_critical() -> None:
    assert set(CATALOGUE) == set(Type)
    critical = {type_ for type_, kind in CATALOGUE.items() if kind.priority is Priority.CRITICAL}
    assert critical == {Type.SECURITY_ALERT}


@given(
    minutes=st.integers(0, 10 * 366 * 1_440),
    name=st.sampled_from(ZONES),
    starts_at=st.times(),
    ends_at=st.times(),
)
def test_quiet_hours_end_after_now_and_within_a_day(
    minutes: int, name: str, starts_at: time, ends_at: time
) -> None:
    moment = datetime(2020, 1, 1, tzinfo=UTC) + timedelta(minutes=minutes)
    until = quiet_until(moment, name, QuietHours(starts_at, ends_at))
    assert until is None or moment <= until <= moment + timedelta(hours=25)


def test_quiet_hours_follow_the_clock_over_its_jumps() -> None:
    night = QuietHours(time(22), time(2, 30))
    spring = datetime(2026, 3, 29, 0, 30, tzinfo=UTC)  # 01:30 in Berlin; 02:30 does not exist that night
    assert quiet_until(spring, "Europe/Berlin", night) == datetime(2026, 3, 29, 1, 30, tzinfo=UTC)
    autumn = datetime(2026, 10, 24, 23, 0, tzinfo=UTC)  # 02:30 comes twice; the first ends it
    assert quiet_until(autumn, "Europe/Berlin", night) == datetime(2026, 10, 25, 0, 30, tzinfo=UTC)


@pytest.mark.parametrize("name", ["Nowhere/Land", "", "../etc/passwd"])
def test_a_time_zone_that_is_none_is_utc(name: str) -> None:
    assert zone(name) == ZoneInfo("UTC")


def test_mondays_are_those_of_the_user() -> None:
    monday = datetime(2026, 6, 1, 8, 0, tzinfo=UTC)
    assert last_monday_nine(monday, "Asia/Kolkata").date().isoformat() == "2026-06-01"
    assert last_monday_nine(monday, "UTC").date().isoformat() == "2026-05-25"
    assert last_monday_nine(monday + timedelta(hours=1), "UTC").date().isoformat() == "2026-06-01"
    assert last_monday_nine(monday - timedelta(days=1), "UTC").date().isoformat() == "2026-05-25"
