"""Times, conditions and recurrences: read exactly, resolved by written rules, or refused with a hint."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from snowrail_chat.domain.conditions import GasCondition, read_condition
from snowrail_chat.domain.errors import WordProblem
from snowrail_chat.domain.kinds import Kind
from snowrail_chat.domain.plans import recur
from snowrail_chat.domain.recurrences import read_recurrence
from snowrail_chat.domain.times import In, read_moment, resolve

from .command_lines import VALUES

BERLIN = ZoneInfo("Europe/Berlin")
NOW = datetime(2026, 11, 20, 10, 0, tzinfo=UTC)
"""A Friday, 11:00 in Berlin."""


def berlin(text: str, now: datetime = NOW) -> str:
    return f"{resolve(read_moment(text), now, BERLIN):%Y-%m-%d %H:%M}"


def refused(text: str, now: datetime = NOW) -> WordProblem:
    with pytest.raises(WordProblem) as caught:
        berlin(text, now)
    return caught.value


@pytest.mark.parametrize(
    ("text", "shown", "at"),
    [
        ("at 2026-12-25 14:00", "at 2026-12-25 14:00", "2026-12-25 13:00"),
        ("at 2026-12-25T14:00", "at 2026-12-25 14:00", "2026-12-25 13:00"),
        ("AT 2026-12-25 14:00 utc", "at 2026-12-25 14:00 UTC", "2026-12-25 14:00"),
        ("at tomorrow 9am", "at tomorrow 09:00", "2026-11-21 08:00"),
        ("at today 11:01", "at today 11:01", "2026-11-20 10:01"),
        ("at tomorrow 12:30 pm", "at tomorrow 12:30", "2026-11-21 11:30"),
        ("at tomorrow 12am", "at tomorrow 00:00", "2026-11-20 23:00"),
        ("at noon", "at 12:00", "2026-11-20 11:00"),
        ("at 10:59", "at 10:59", "2026-11-21 09:59"),
        ("at friday 18:00", "at friday 18:00", "2026-11-20 17:00"),
        ("at Fri 11:00", "at friday 11:00", "2026-11-27 10:00"),
        ("at thursday 18:00", "at thursday 18:00", "2026-11-26 17:00"),
        ("in 2 hours", "in 2 hours", "2026-11-20 12:00"),
        ("in 1h30m", "in 1 hour 30 minutes", "2026-11-20 11:30"),
        ("in 2 weeks 1 day", "in 2 weeks 1 day", "2026-12-05 10:00"),
    ],
)
def test_times_are_found_in_the_users_zone(text: str, shown: str, at: str) -> None:
    assert str(read_moment(text)) == shown
    assert berlin(text) == at


def test_a_time_that_never_comes_is_refused_with_those_beside_it() -> None:
    problem = refused("at 2027-03-28 2:30")
    assert problem.code == "time_skipped"
    assert problem.replacements == ("at 2027-03-28 01:30", "at 2027-03-28 03:30")
    for replacement in problem.replacements:
        berlin(replacement)


def test_a_time_that_comes_twice_is_refused_with_both() -> None:
    problem = refused("at 2027-10-31 2:30")
    assert problem.code == "time_ambiguous"
    assert problem.replacements == ("at 2027-10-31 00:30 UTC", "at 2027-10-31 01:30 UTC")
    assert [berlin(replacement) for replacement in problem.replacements] == [
        "2027-10-31 00:30",
        "2027-10-31 01:30",
    ]


def test_hours_are_elapsed_time_and_days_keep_the_clock() -> None:
    before_spring = datetime(2027, 3, 27, 11, 0, tzinfo=UTC)
    assert berlin("in 24 hours", before_spring) == "2027-03-28 11:00"
    assert berlin("in 1 day", before_spring) == "2027-03-28 10:00"
    # 2:30 of that day never comes: as long after the leap; of the two of autumn it is the first
    assert berlin("in 1 day", datetime(2027, 3, 27, 1, 30, tzinfo=UTC)) == "2027-03-28 01:30"
    assert berlin("in 1 day", datetime(2027, 10, 30, 0, 30, tzinfo=UTC)) == "2027-10-31 00:30"


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("at today 9am", "time_past"),
        ("at 2020-01-01 9:00", "time_past"),
        ("at 2031-01-01 9:00", "time_too_far"),
        ("in 9999 weeks", "time_too_far"),
    ],
)
def test_what_is_past_or_too_far_is_refused(text: str, code: str) -> None:
    assert refused(text).code == code


@pytest.mark.parametrize(
    ("text", "offered"),
    [
        ("at 9", ("at 9am", "at 9pm")),
        ("at tomorrow 12", ("at tomorrow 12am", "at tomorrow 12pm")),
        ("at friday 18", ("at friday 18:00",)),
        ("at tomorrow", ("at tomorrow 9:00",)),
        ("at 25/12/2026 9am", ()),
        ("at 1.2.2027 9am", ()),
        ("at midnight", ()),
        ("at next friday 9am", ()),
        ("at 24:00", ()),
        ("at 9:60", ()),
        ("at 0am", ()),
        ("at 2026-02-30 9am", ()),
        ("at 0000-01-01 9am", ()),
        ("in 2", ()),
        ("in 0 hours", ()),
        ("in 2 hours 3 hours", ()),
        ("in 2 months", ()),
        ("in half an hour", ()),
    ],
)
def test_what_may_mean_several_times_is_never_guessed(text: str, offered: tuple[str, ...]) -> None:
    problem = refused(text)
    assert problem.replacements == offered
    assert 0 <= problem.start <= len(text)


@given(
    VALUES[Kind.MOMENT], st.sampled_from(["UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe"])
)
def test_every_time_is_resolved_ahead_or_refused(moment: object, zone: str) -> None:
    again = read_moment(str(moment))
    assert again == moment
    try:
        found = resolve(again, NOW, ZoneInfo(zone))
    except WordProblem:
        return
    assert found > NOW
    if not isinstance(again, In) and not again.utc:
        local = found.astimezone(ZoneInfo(zone))
        assert (local.hour, local.minute) == (again.clock.hour, again.clock.minute)


def test_conditions() -> None:
    assert str(read_condition("if cro<0.10", ("CRO",))) == "if CRO < 0.10"
    gas = read_condition("if gas over 5000.5 GWEI", ("CRO",))
    assert isinstance(gas, GasCondition)
    assert (str(gas), gas.wei) == ("if gas > 5000.5 gwei", 5_000_500_000_000)
    for text in ("if", "if CRO", "if CRO < 1,5", "if CRO < 0", "if gas < 1", "if CRO => 1", "if CRO < 1 EUR"):
        with pytest.raises(WordProblem):
            read_condition(text, ("CRO",))


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("every day at 9am", "every day at 09:00"),
        ("daily at noon", "every day at 12:00"),
        ("every 2 weeks on Fri at 18:00", "every 2 weeks on friday at 18:00"),
        ("every friday at 6pm", "every week on friday at 18:00"),
        ("monthly on 31st at 9:30", "every month on 31 at 09:30"),
        ("cron */5  0-3 1,15 * mon", "cron */5 0-3 1,15 * mon"),
    ],
)
def test_recurrences_are_read_and_shown(text: str, shown: str) -> None:
    assert str(read_recurrence(text)) == shown


@pytest.mark.parametrize(
    "text",
    ["every", "every day", "every month at 9:00", "every week at 9:00", "every day on friday at 9:00",
     "every month on 32 at 9:00", "every 0 days at 9:00", "every friday on monday at 9:00", "cron 1 2 3",
     "every day at 9", "every day at 25:00", "every fortnight at 9:00"],
)  # fmt: skip
def test_a_recurrence_that_means_nothing_is_refused(text: str) -> None:
    with pytest.raises(WordProblem):
        read_recurrence(text)


def test_a_recurrence_begins_at_its_next_time_and_ends_with_its_last_day() -> None:
    every = read_recurrence("every friday at 9:00")
    span = recur(every, NOW, BERLIN, None, date(2027, 1, 31))
    assert span.start_at == datetime(2026, 11, 21, 8, 0, tzinfo=UTC)
    assert span.end_at == datetime(2027, 1, 31, 22, 59, 59, tzinfo=UTC)
    later = recur(every, NOW, BERLIN, date(2027, 1, 1), None)
    assert later.start_at == datetime(2027, 1, 1, 8, 0, tzinfo=UTC)
    assert recur(read_recurrence("cron 0 9 * * 1"), NOW, BERLIN, None, None).start_at > NOW
    skipped = read_recurrence("every day at 2:30")
    with pytest.raises(WordProblem, match="never show 02:30") as problem:
        recur(skipped, NOW, BERLIN, date(2027, 3, 28), None)
    assert problem.value.replacements == ()
    for first, last in ((date(2026, 11, 19), None), (date(2027, 1, 2), date(2027, 1, 1))):
        with pytest.raises(WordProblem):
            recur(every, NOW, BERLIN, first, last)
    assert NOW + timedelta(days=1) > NOW
