"""The table of measurements: printed at the end of a run and written to `build/bench.json`."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import pytest

BUILD = Path(__file__).parents[2] / "build"


@dataclass(frozen=True)
class Measurement:
    """One figure.

    Attributes:
        goal: what it is held to, with its direction, such as `>= 3000`; None where there is none.
        other: the other side of a ratio measured in the same run, in the same unit.
    """

    name: str
    value: float
    unit: str
    goal: str | None = None
    other: float | None = None

    def line(self) -> str:
        """Return the figure as a line of the table."""
        ratio = f"{self.other:,.1f} ({self.value / self.other:.1f}x)" if self.other else ""
        return f"{self.name:<52} {self.value:>12,.1f} {self.unit:<14} {self.goal or '':<14} {ratio}"


class Table:
    """Collects figures."""

    def __init__(self) -> None:
        self.rows: list[Measurement] = []

    def add(
        self, name: str, value: float, unit: str, goal: str | None = None, other: float | None = None
    ) -> None:
        """Add a figure and show it at once."""
        self.rows.append(Measurement(name, value, unit, goal, other))
        print(f"\n  {self.rows[-1].line()}", flush=True)

    def add_percentiles(self, name: str, milliseconds: list[float], goal_p95: str | None = None) -> None:
        """Add p50, p95 and p99 of samples in milliseconds."""
        for percent, goal in ((50, None), (95, goal_p95), (99, None)):
            self.add(f"{name}, p{percent}", percentile(milliseconds, percent), "ms", goal)


def percentile(samples: Sequence[float], percent: int) -> float:
    """Return the sample below which so many percent of the others lie."""
    ordered = sorted(samples)
    return ordered[min(len(ordered) - 1, len(ordered) * percent // 100)]


@pytest.fixture(scope="session")
def table() -> Iterator[Table]:
    """The table of this run."""
    table = Table()
    yield table
    BUILD.mkdir(exist_ok=True)
    (BUILD / "bench.json").write_text(json.dumps([asdict(row) for row in table.rows], indent=1) + "\n")
    print(f"\n\n{'measurement':<52} {'value':>12} {'unit':<14} {'goal':<14} other side")
    for row in table.rows:
        print(row.line())
