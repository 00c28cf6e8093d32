"""Which occurrence of a series is next, and which ones are missed."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from snowrail_intent.domain.recurrence import Missed, Recurrence


@dataclass(frozen=True, slots=True)
class Slot:
    """One occurrence in the calendar.

    Attributes:
        number: from 0.
        at: when it falls due.
    """

    number: int
    at: datetime


@dataclass(frozen=True, slots=True)
class Turn:
    """Where a series stands.

    Attributes:
        slot: the occurrence to pay now, or to wait for when it is not due yet; None when none is left.
        missed: occurrences that are left out for it, in order.
    """

    slot: Slot | None
    missed: tuple[Slot, ...] = ()


def following(recurrence: Recurrence, slots: int, slot: Slot) -> Slot | None:
    """Return the occurrence after this one; None after the last of `slots`."""
    if slot.number + 1 >= slots:
        return None
    at = recurrence.after(slot.number, slot.at)
    return None if at is None else Slot(slot.number + 1, at)


def turn_of(recurrence: Recurrence, slots: int, current: Slot, now: datetime, grace: timedelta) -> Turn:
    """Return what is to be done about the occurrences of a series that have neither been paid nor missed.

    - `run_all`: each is paid, the earliest first, however late;
    - `run_once`: the latest one that is due is paid, however late, and those before it are missed;
    - `skip`: the latest one that is due is paid within the grace, and is missed after it.

    Args:
        recurrence: the calendar.
        slots: how many occurrences the series has.
        current: the earliest that has neither been paid nor missed.
        now: what is due by now counts.
        grace: how late a payment may be under `skip`.
    """
    if now < current.at or recurrence.missed is Missed.RUN_ALL:
        return Turn(current)
    due = [current]
    upcoming = following(recurrence, slots, current)
    while upcoming is not None and upcoming.at <= now:
        due.append(upcoming)
        upcoming = following(recurrence, slots, upcoming)
    latest = due[-1]
    if recurrence.missed is Missed.SKIP and now > latest.at + grace:
        return Turn(upcoming, tuple(due))
    return Turn(latest, tuple(due[:-1]))
