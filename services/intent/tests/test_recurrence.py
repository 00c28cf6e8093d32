"""Calendars: the rules of days, months and clocks, and what no calendar may do."""

from datetime import UTC, datetime, timedelta
from itertools import islice, pairwise
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from snowrail_intent.domain.recurrence import (
    Frequency,
    InvalidRecurrence,
    Missed,
    Recurrence,
    recurrence,
    series_of,
)
from snowrail_intent.domain.schedule import Slot, following, turn_of

PARIS, NEW_YORK = "Europe/Paris", "America/New_York"
ZONES = ["UTC", PARIS, NEW_YORK, "Asia/Kolkata", "Australia/Lord_Howe", "America/St_Johns"]


def a_recurrence(frequency: str, start: str, zone: str = "UTC", **terms: Any) -> Recurrence:
    """Return a recurrence that starts at a time on the wall of its zone."""
    begins = datetime.fromisoformat(start).replace(tzinfo=ZoneInfo(zone))
    return recurrence(Frequency(frequency), start_at=begins, time_zone=zone, **terms)


def shown(repeated: Recurrence, count: int) -> list[str]:
    """Return the first occurrences as a clock on the wall shows them."""
    zone = ZoneInfo(repeated.time_zone)
    return [f"{moment.astimezone(zone):%Y-%m-%d %H:%M}" for moment in islice(repeated.occurrences(), count)]


def test_a_month_without_the_day_has_it_on_its_last() -> None:
    repeated = a_recurrence("monthly", "2027-12-31 09:00", PARIS)
    assert shown(repeated, 4) == [
        "2027-12-31 09:00", "2028-01-31 09:00", "2028-02-29 09:00", "2028-03-31 09:00",
    ]  # fmt: skip


def test_a_day_of_the_month_that_has_passed_is_first_in_the_next() -> None:
    assert shown(a_recurrence("monthly", "2026-01-15 09:00", day=1), 2) == [
        "2026-02-01 09:00", "2026-03-01 09:00",
    ]  # fmt: skip
    assert shown(a_recurrence("monthly", "2026-02-28 09:00", day=31, interval=2), 2) == [
        "2026-02-28 09:00", "2026-04-30 09:00",
    ]  # fmt: skip


def test_a_week_begins_with_its_day() -> None:
    assert shown(a_recurrence("weekly", "2026-01-01 09:00", weekday=0, interval=2), 2) == [
        "2026-01-05 09:00", "2026-01-19 09:00",
    ]  # fmt: skip
    assert shown(a_recurrence("weekly", "2026-01-01 09:00"), 2) == ["2026-01-01 09:00", "2026-01-08 09:00"]


def test_the_time_of_day_stays_over_a_change_of_the_clocks() -> None:
    assert shown(a_recurrence("daily", "2026-03-28 09:00", PARIS), 3) == [
        "2026-03-28 09:00", "2026-03-29 09:00", "2026-03-30 09:00",
    ]  # fmt: skip


def test_a_time_that_the_clocks_skip_comes_when_they_have_jumped() -> None:
    skipped = a_recurrence("daily", "2026-03-28 02:30", PARIS)
    assert shown(skipped, 3) == ["2026-03-28 02:30", "2026-03-29 03:00", "2026-03-30 02:30"]
    by_cron = a_recurrence("cron", "2026-03-29 01:00", PARIS, cron="*/30 2,3 * * *")
    assert shown(by_cron, 3) == ["2026-03-29 03:00", "2026-03-29 03:30", "2026-03-30 02:00"]


def test_a_time_that_the_clocks_show_twice_counts_once() -> None:
    twice = list(islice(a_recurrence("daily", "2026-10-24 02:30", PARIS).occurrences(), 3))
    assert [moment.isoformat() for moment in twice] == [
        "2026-10-24T00:30:00+00:00", "2026-10-25T00:30:00+00:00", "2026-10-26T01:30:00+00:00",
    ]  # fmt: skip
    by_cron = a_recurrence("cron", "2026-10-25 01:45", PARIS, cron="30 * * * *")
    assert shown(by_cron, 3) == ["2026-10-25 02:30", "2026-10-25 03:30", "2026-10-25 04:30"]


def test_what_starts_when_the_clock_shows_a_time_again_starts_then() -> None:
    second_time = datetime(2026, 10, 25, 1, 30, tzinfo=UTC)  # 02:30 in Paris, for the second time
    repeated = recurrence(Frequency.DAILY, start_at=second_time, time_zone=PARIS)
    assert next(repeated.occurrences()) == second_time


@pytest.mark.parametrize(
    ("terms", "word"),
    [
        ({"frequency": "daily", "zone": "Mars/Olympus"}, "time zone"),
        ({"frequency": "daily", "zone": "../etc/passwd"}, "time zone"),
        ({"frequency": "daily", "weekday": 1}, "weekly"),
        ({"frequency": "weekly", "day": 1}, "monthly"),
        ({"frequency": "daily", "cron": "* * * * *"}, "cron"),
        ({"frequency": "cron"}, "cron"),
        ({"frequency": "cron", "cron": "* * * * *", "interval": 2}, "interval"),
        ({"frequency": "cron", "cron": "61 * * * *"}, "minute"),
        ({"frequency": "daily", "end_at": datetime(2025, 1, 1, tzinfo=UTC)}, "ends before"),
        ({"frequency": "daily", "end_at": datetime(9999, 12, 31, tzinfo=UTC)}, "too far"),
    ],
)
def test_terms_that_do_not_fit_are_refused_in_words(terms: dict[str, Any], word: str) -> None:
    zone, frequency = terms.pop("zone", "UTC"), terms.pop("frequency")
    with pytest.raises(InvalidRecurrence, match=word):
        recurrence(Frequency(frequency), start_at=datetime(2026, 1, 1, tzinfo=UTC), time_zone=zone, **terms)


UNTIL = datetime(2027, 1, 1, tzinfo=UTC)


def test_what_is_signed_is_bounded() -> None:
    daily = a_recurrence("daily", "2026-01-01 09:00")
    assert series_of(daily, UNTIL, 1_000).slots == 365
    assert series_of(daily, UNTIL, 10).slots == 10
    counted = a_recurrence("daily", "2026-01-01 09:00", count=11)
    with pytest.raises(InvalidRecurrence, match="more than 10"):
        series_of(counted, UNTIL, 10)
    with pytest.raises(InvalidRecurrence, match="after 2027"):
        series_of(a_recurrence("monthly", "2026-02-01 09:00", count=12), UNTIL, 1_000)
    with pytest.raises(InvalidRecurrence, match="after 2027"):
        series_of(a_recurrence("cron", "2026-02-01 09:00", cron="0 0 29 2 *"), UNTIL, 1_000)
    with pytest.raises(InvalidRecurrence, match="no occurrence"):
        series_of(a_recurrence("cron", "2026-01-01 09:00", cron="0 0 31 2 *"), UNTIL, 1_000)


def test_the_busiest_day_and_month_are_known() -> None:
    twice_on_mondays = a_recurrence("cron", "2026-01-01 00:00", cron="0 9,17 * * mon", count=20)
    series = series_of(twice_on_mondays, UNTIL, 1_000)
    assert (series.most_in_day, series.most_in_month) == (2, 8)
    assert series.least_interval_seconds == 8 * 3_600


YEAR = datetime.fromisoformat("2026-01-01")
starts = st.datetimes(YEAR, YEAR + timedelta(days=366), timezones=st.just(UTC))
expressions = st.sampled_from(
    ["*/20 * * * *", "30 2 * * *", "0 0 * * sun", "15,45 1-3 * * *", "0 12 31 * *", "59 23 28-31 * *"]
)


@st.composite
def recurrences(draw: st.DrawFn) -> Recurrence:
    """Any recurrence of at most forty occurrences."""
    frequency = draw(st.sampled_from(list(Frequency)))
    start = draw(starts)
    by_cron = frequency is Frequency.CRON
    return recurrence(
        frequency,
        start_at=start,
        time_zone=draw(st.sampled_from(ZONES)),
        interval=1 if by_cron else draw(st.integers(1, 40)),
        weekday=draw(st.none() | st.integers(0, 6)) if frequency is Frequency.WEEKLY else None,
        day=draw(st.none() | st.integers(1, 31)) if frequency is Frequency.MONTHLY else None,
        cron=draw(expressions) if by_cron else None,
        end_at=draw(st.none() | st.integers(0, 400).map(lambda days: start + timedelta(days=days))),
        count=draw(st.integers(1, 40)),
        missed=draw(st.sampled_from(list(Missed))),
    )


@given(recurrences())
def test_no_calendar_goes_back_or_beyond_its_bounds(repeated: Recurrence) -> None:
    moments = list(repeated.occurrences())
    assert all(before < after for before, after in pairwise(moments))
    assert all(moment >= repeated.start_at for moment in moments)
    assert repeated.end_at is None or all(moment <= repeated.end_at for moment in moments)
    assert len(moments) <= (repeated.count or 0)
    if repeated.end_at is None:
        assert len(moments) == repeated.count


@given(recurrences(), st.data())
def test_the_chain_allows_each_occurrence_in_time_whatever_was_missed_before(
    repeated: Recurrence, data: st.DataObject
) -> None:
    moments = list(repeated.occurrences())
    if not moments:
        return
    series = series_of(repeated, moments[-1], 1_000)
    assert series.slots == len(moments)
    paid = 0
    for moment in moments:
        elapsed = int((moment - series.first_at).total_seconds())
        allowed = 1 + elapsed // series.least_interval_seconds if series.least_interval_seconds else 1
        assert min(allowed, series.slots) > paid
        paid += data.draw(st.booleans())


@given(
    repeated=recurrences(),
    looks=st.lists(st.integers(1, 10**6), min_size=1, max_size=60),
    grace=st.integers(1, 10**5),
)
def test_over_any_downtime_no_occurrence_is_paid_twice_or_early_and_none_is_forgotten(
    repeated: Recurrence, looks: list[int], grace: int
) -> None:
    """Looks at the series after pauses of any length; every look pays what is due, as the engine does."""
    moments = list(repeated.occurrences())
    if not moments:
        return
    current: Slot | None = Slot(0, moments[0])
    now = repeated.start_at
    paid: list[int] = []
    missed: list[int] = []
    for pause in looks:
        now += timedelta(seconds=pause)
        while current is not None:
            turn = turn_of(repeated, len(moments), current, now, timedelta(seconds=grace))
            missed += [slot.number for slot in turn.missed]
            current = turn.slot
            if current is None or now < current.at:
                break
            assert current.at == moments[current.number]
            if repeated.missed is Missed.SKIP:
                assert now <= current.at + timedelta(seconds=grace)
            paid.append(current.number)
            current = following(repeated, len(moments), current)
    seen = sorted(paid + missed)
    assert seen == list(range(len(seen)))  # each once, in order, without a gap
    assert paid == sorted(paid)
    assert all(moments[number] <= now for number in paid + missed)
    due = sum(moment <= now for moment in moments)
    assert len(seen) == due
    assert repeated.missed is not Missed.RUN_ALL or not missed
    if repeated.missed is Missed.RUN_ONCE:
        assert len(paid) >= min(1, due)
