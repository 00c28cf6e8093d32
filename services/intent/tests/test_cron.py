"""Cron expressions, against a slow reading of the same rules."""

from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from snowrail_intent.domain.cron import CronExpression, InvalidCron

WALL = datetime.fromisoformat("2026-01-01 12:00")  # a Thursday


@pytest.mark.parametrize(
    ("text", "following"),
    [
        ("* * * * *", "2026-01-01 12:01"),
        ("*/15 * * * *", "2026-01-01 12:15"),
        ("0 12 * * *", "2026-01-02 12:00"),
        ("30 9 * * mon-fri", "2026-01-02 09:30"),
        ("30 9 * * 6,7", "2026-01-03 09:30"),
        ("0 0 1 */3 *", "2026-04-01 00:00"),
        ("0 8 29 feb *", "2028-02-29 08:00"),
        ("5/20 12 * * *", "2026-01-01 12:05"),
        ("0 9 15 * wed", "2026-01-07 09:00"),
        ("0 9 15 * *", "2026-01-15 09:00"),
        ("0 9 * jul SUN", "2026-07-05 09:00"),
    ],
)
def test_the_next_fitting_minute_is_found(text: str, following: str) -> None:
    assert CronExpression.parse(text).next_after(WALL) == datetime.fromisoformat(following)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "* * * *",
        "* * * * * *",
        "60 * * * *",
        "* 24 * * *",
        "* * 0 * *",
        "* * * 13 *",
        "* * * * 8",
        "5-1 * * * *",
        "*/0 * * * *",
        "a * * * *",
        "* * * foo *",
        "1,,2 * * * *",
        "@daily",
        "٣ * * * *",
        "-1 * * * *",
    ],
)
def test_what_is_no_expression_is_refused(text: str) -> None:
    with pytest.raises(InvalidCron):
        CronExpression.parse(text)


def test_a_day_that_never_comes_is_never_found() -> None:
    assert CronExpression.parse("0 0 31 feb *").next_after(WALL) is None


def field(lowest: int, highest: int) -> st.SearchStrategy[tuple[str, set[int]]]:
    """A field with the values it stands for."""
    some = st.sets(st.integers(lowest, highest), min_size=1, max_size=4)
    return st.just(("*", set(range(lowest, highest + 1)))) | some.map(
        lambda chosen: (",".join(map(str, sorted(chosen))), chosen)
    )


@given(
    minute=field(0, 59),
    hour=field(0, 23),
    weekday=field(0, 6),
    wall=st.datetimes(WALL, WALL + timedelta(days=366)),
)
def test_it_agrees_with_trying_every_minute(
    minute: tuple[str, set[int]], hour: tuple[str, set[int]], weekday: tuple[str, set[int]], wall: datetime
) -> None:
    found = CronExpression.parse(f"{minute[0]} {hour[0]} * * {weekday[0]}").next_after(wall)
    tried = wall.replace(second=0, microsecond=0)
    while True:
        tried += timedelta(minutes=1)
        if (tried.weekday() + 1) % 7 not in weekday[1]:
            tried = tried.replace(hour=23, minute=59)
        elif tried.minute in minute[1] and tried.hour in hour[1]:
            break
    assert found == tried
