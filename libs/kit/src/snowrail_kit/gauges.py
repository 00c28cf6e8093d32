"""Gauges that one replica at a time measures: one whose turn is over shows nothing, not what it saw last.

    FROZEN = ExclusiveGauge("snowrail_chain_frozen", "1 while …: alarm", ["chain"])

An exclusive task sets it like any other gauge; the chassis withdraws its series when another replica is found
to hold the task's lock, so that an alarm hears of a state from nobody but the one who looks at it. As long as
no other replica does, the last values stay. What raises an alarm is set at each pass, also where it follows
from a row alone: a replica whose turn it is now must not hide a state that lasts.

For moments, such as the time of the last pass, an ordinary gauge is right: of several the newest counts, and
when nobody measures any more, an old one is what raises the alarm.
"""

from contextvars import ContextVar
from typing import Any, Self

from prometheus_client import Gauge


class ExclusiveGauge(Gauge):
    """A gauge that an exclusive task measures. It has labels, given in their order at each use."""

    def labels(self, *labelvalues: Any, **labelkwargs: Any) -> Self:
        """Return the series of these labels, which belongs to the exclusive task that asks for it."""
        assert not labelkwargs, "labels are given in their order"
        series = super().labels(*labelvalues)
        measurements = _measurements.get()
        if measurements is not None:
            measurements.note(self, labelvalues)
        return series


class Measurements:
    """The series that one exclusive task has set in this process."""

    def __init__(self) -> None:
        self._series: set[tuple[ExclusiveGauge, tuple[Any, ...]]] = set()

    def begin(self) -> None:
        """Have what the current asyncio task measures from now on noted here."""
        _measurements.set(self)

    def note(self, gauge: ExclusiveGauge, labelvalues: tuple[Any, ...]) -> None:
        """Remember a series, to be withdrawn later."""
        self._series.add((gauge, labelvalues))

    def withdraw(self) -> None:
        """Show none of it any more: another replica measures now."""
        for gauge, labelvalues in self._series:
            gauge.remove(*labelvalues)
        self._series.clear()


_measurements: ContextVar[Measurements | None] = ContextVar("measurements", default=None)
