"""Cards: the structured answer to a line, and the same card as plain text."""

from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from typing import Any
from uuid import UUID

_LABEL_COLUMNS = 14
_QR_MARGIN = 2
_HALF_BLOCKS = {"00": "█", "01": "▀", "10": "▄", "11": " "}
"""A light module is drawn, a dark one is left as the terminal's dark ground."""


class Style(StrEnum):
    """How a button looks."""

    PRIMARY = "primary"
    SECONDARY = "secondary"
    DANGER = "danger"


class StepState(StrEnum):
    """Where a step stands."""

    DONE = "done"
    CURRENT = "current"
    AHEAD = "ahead"
    FAILED = "failed"
    SKIPPED = "skipped"


_STEP_MARKS = {
    StepState.DONE: "x",
    StepState.CURRENT: ">",
    StepState.AHEAD: " ",
    StepState.FAILED: "!",
    StepState.SKIPPED: "-",
}


@dataclass(frozen=True, slots=True)
class Row:
    """A labelled value; `mono` where every character counts."""

    label: str
    value: str
    mono: bool = False


@dataclass(frozen=True, slots=True)
class Step:
    """One step of something that takes several."""

    label: str
    state: StepState


@dataclass(frozen=True, slots=True)
class Progress:
    """How many of how many steps are done."""

    done: int
    total: int


@dataclass(frozen=True, slots=True)
class QrCode:
    """A QR code.

    Attributes:
        text: what it says.
        modules: its rows, from the top; `1` is dark, `0` is light. Readers need a light margin around it.
    """

    text: str
    modules: tuple[str, ...]

    def to_text(self) -> list[str]:
        """Return it as lines of half blocks, dark on light as most terminals show text light on dark."""
        margin = "0" * (len(self.modules[0]) + 2 * _QR_MARGIN)
        side = "0" * _QR_MARGIN
        rows = [margin] * _QR_MARGIN + [f"{side}{row}{side}" for row in self.modules] + [margin] * _QR_MARGIN
        rows += [margin] * (len(rows) % 2)
        return [
            "".join(_HALF_BLOCKS[upper + lower] for upper, lower in zip(top, bottom, strict=True))
            for top, bottom in zip(rows[::2], rows[1::2], strict=True)
        ]


@dataclass(frozen=True, slots=True)
class Action:
    """A button that sends a command.

    Attributes:
        command: the line to send.
        sign: what the wallet has to do first. For `typed_data` the client signs and sends the command with
            the signature as one more word; for `transaction` the wallet sends the transaction, and the
            command merely shows the payment again.
        draft: the line is put where the user types, to be completed, instead of being sent.
    """

    label: str
    command: str
    style: Style = Style.SECONDARY
    sign: dict[str, Any] | None = None
    draft: bool = False

    def to_text(self) -> str:
        """Return the action for people who have to type it."""
        line = f"{self.command}…" if self.draft and self.command.endswith(" ") else self.command
        return line if self.label == self.command else f"{self.label}: {line}"

    def to_wire(self) -> dict[str, Any]:
        """Return the action as it stands in a card on the wire."""
        return {
            "label": self.label,
            "command": self.command,
            "style": self.style.value,
            "sign": self.sign,
            "draft": self.draft,
        }


@dataclass(frozen=True)
class Card:
    """An answer. It is rendered once, however many places it goes to.

    Attributes:
        card_id: the same for every later state of what the card shows; clients replace by it.
        kind: `payment`, `transaction`, `wallet`, `history`, `contacts`, `account`, `plans`, `template`,
            `request`, `alerts`, `notifications`, `settings`, `dialogue`, `help`, `notice`, `error`, `limit`.
        version: grows with every change, so that an older state never replaces a newer one.
        retry_after_seconds: when to try again; set where a limit was reached.
    """

    card_id: UUID
    kind: str
    title: str
    status: str | None = None
    rows: tuple[Row, ...] = ()
    progress: Progress | None = None
    steps: tuple[Step, ...] = ()
    actions: tuple[Action, ...] = ()
    notes: tuple[str, ...] = ()
    version: int = 1
    retry_after_seconds: int | None = None
    qr: QrCode | None = None

    @cached_property
    def wire(self) -> dict[str, Any]:
        """The card as it stands in feed events and answers; not to be changed."""
        progress = self.progress
        return {
            "card_id": str(self.card_id),
            "kind": self.kind,
            "title": self.title,
            "status": self.status,
            "rows": [{"label": row.label, "value": row.value, "mono": row.mono} for row in self.rows],
            "progress": None if progress is None else {"done": progress.done, "total": progress.total},
            "steps": [{"label": step.label, "state": step.state.value} for step in self.steps],
            "actions": [action.to_wire() for action in self.actions],
            "notes": list(self.notes),
            "version": self.version,
            "retry_after_seconds": self.retry_after_seconds,
            "qr": None if self.qr is None else {"text": self.qr.text, "modules": list(self.qr.modules)},
        }

    @cached_property
    def text(self) -> str:
        """The card as plain text for terminals and messengers."""
        status = f" [{self.status.replace('_', ' ')}]" if self.status else ""
        lines = [f"{self.title}{status}"]
        for row in self.rows:
            first, *more = row.value.split("\n")
            lines.append(f"  {row.label.ljust(_LABEL_COLUMNS)} {first}".rstrip())
            lines.extend(f"  {' ' * _LABEL_COLUMNS} {line}" for line in more)
        if self.progress is not None:
            lines.append(
                f"  {'Progress'.ljust(_LABEL_COLUMNS)} {self.progress.done} of {self.progress.total}"
            )
        lines.extend(f"  [{_STEP_MARKS[step.state]}] {step.label}" for step in self.steps)
        lines.extend(f"  {line}" for line in (self.qr.to_text() if self.qr is not None else ()))
        lines.extend(f"  {note}" for note in self.notes)
        lines.extend(f"  > {action.to_text()}" for action in self.actions)
        return "\n".join(lines)
