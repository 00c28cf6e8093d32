"""Where a test says which call of which service is to be the last, and where services write what they called.

A folder that the test and the service processes share: `order.json` says what to do in the present run,
`calls-<run>-<service>.jsonl` is what a service called in it, `ended-<run>-<service>` that it died as ordered.
"""

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

FOLDER_VARIABLE = "SNOWRAIL_CALL_BOARD"
_ORDER_NAME = "order.json"


class Side(StrEnum):
    """Where a process dies: before a call is made, or after its answer has come."""

    BEFORE = "before"
    AFTER = "after"


@dataclass(frozen=True, slots=True)
class Call:
    """One call that a service made, as a place to die at.

    Attributes:
        label: Kind of the call and what it was about, the same in every run.
        outcome: What it came to where that tells calls of a label apart: `rows`, `none` or nothing.
        occurrence: How many calls of this label the service had made in the run, this one included.
        occurrence_of_outcome: The same for calls of this label that came to this outcome.
    """

    label: str
    outcome: str
    occurrence: int
    occurrence_of_outcome: int


@dataclass(frozen=True, slots=True)
class KillPoint:
    """A place where a service is to die.

    Attributes:
        outcome: After a call, what it has to have come to.
        occurrence: Of the label, or after a call of label and outcome, counted from 1 within the run.
    """

    label: str
    side: Side
    outcome: str = ""
    occurrence: int = 1

    def __str__(self) -> str:
        outcome = f" ({self.outcome})" if self.outcome else ""
        again = f" the {self.occurrence}th time" if self.occurrence > 1 else ""
        return f"{self.side} {self.label}{outcome}{again}"


@dataclass(frozen=True)
class Order:
    """What services are to do: nothing, write down their calls, or die.

    Attributes:
        run: Counts of calls begin anew with each run.
        kills: Where a service dies, once, by service.
    """

    run: int = 0
    is_recording: bool = False
    kills: Mapping[str, KillPoint] = field(default_factory=dict[str, KillPoint])


class CallBoard:
    """The shared folder, for both sides."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._read: tuple[int, int] | None = None
        self._order = Order()

    def give(self, order: Order) -> None:
        """Have every service do this from its next call on."""
        unfinished = self._folder / f"{_ORDER_NAME}.unfinished"
        unfinished.write_text(json.dumps(asdict(order)))
        unfinished.replace(self._folder / _ORDER_NAME)

    def order(self) -> Order:
        """Return the present order. Costs a look at one file's date."""
        file = self._folder / _ORDER_NAME
        try:
            status = file.stat()
        except FileNotFoundError:
            return self._order
        state = (status.st_ino, status.st_mtime_ns)
        if state != self._read:
            body: dict[str, Any] = json.loads(file.read_text())
            kills = {
                service: KillPoint(point["label"], Side(point["side"]), point["outcome"], point["occurrence"])
                for service, point in body["kills"].items()
            }
            self._order = Order(body["run"], body["is_recording"], kills)
            self._read = state
        return self._order

    def write_call(self, run: int, service: str, call: Call) -> None:
        """Add a call to what a service made in a run."""
        with (self._folder / f"calls-{run}-{service}.jsonl").open("a") as file:
            file.write(json.dumps(asdict(call)) + "\n")

    def calls(self, run: int, service: str) -> list[Call]:
        """Return the calls of a service in a run, in order."""
        file = self._folder / f"calls-{run}-{service}.jsonl"
        if not file.exists():
            return []
        return [Call(**json.loads(line)) for line in file.read_text().splitlines()]

    def claim_end(self, run: int, service: str) -> bool:
        """Say that a service dies now. False when it did already in this run."""
        try:
            os.close(os.open(self._ended_file(run, service), os.O_CREAT | os.O_EXCL))
        except FileExistsError:
            return False
        return True

    def has_ended(self, run: int, service: str) -> bool:
        """Return whether a service died as ordered in a run."""
        return self._ended_file(run, service).exists()

    def _ended_file(self, run: int, service: str) -> Path:
        return self._folder / f"ended-{run}-{service}"
