"""Cards: what the chat answers with."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Action:
    """A button.

    Attributes:
        command: the line that it sends.
        sign: what the wallet has to do first: `{"kind": "typed_data", "typed_data": …}` or
            `{"kind": "transaction", "transaction": …}`; None when nothing.
        draft: the line is to be completed by the user instead of being sent.
    """

    label: str
    command: str
    style: str
    sign: Mapping[str, Any] | None
    draft: bool


@dataclass(frozen=True, slots=True)
class Card:
    """A structured answer. Newer states of the same thing have the same `card_id` and a higher version.

    Attributes:
        rows: label and value.
        steps: label and state.
        progress: done and total.
    """

    card_id: str
    kind: str
    title: str
    status: str | None
    rows: Sequence[tuple[str, str]]
    steps: Sequence[tuple[str, str]]
    progress: tuple[int, int] | None
    actions: Sequence[Action]
    notes: Sequence[str]
    version: int
    retry_after_seconds: int | None

    def row(self, label: str) -> str:
        """Return the value of a row. Raises KeyError."""
        return dict(self.rows)[label]

    def action(self, label: str) -> Action:
        """Return a button by its label. Raises KeyError."""
        return {action.label: action for action in self.actions}[label]

    @property
    def signing_actions(self) -> Sequence[Action]:
        """The buttons that need the wallet, in order."""
        return [action for action in self.actions if action.sign is not None]


def parse_card(wire: Mapping[str, Any]) -> Card:
    """Return a card from its form on the wire. Raises KeyError for one that is incomplete."""
    progress = wire.get("progress")
    return Card(
        card_id=wire["card_id"],
        kind=wire["kind"],
        title=wire["title"],
        status=wire.get("status"),
        rows=[(row["label"], row["value"]) for row in wire.get("rows", ())],
        steps=[(step["label"], step["state"]) for step in wire.get("steps", ())],
        progress=None if progress is None else (progress["done"], progress["total"]),
        actions=[
            Action(
                action["label"],
                action["command"],
                action.get("style", "secondary"),
                action.get("sign"),
                action.get("draft", False),
            )
            for action in wire.get("actions", ())
        ],
        notes=list(wire.get("notes", ())),
        version=wire.get("version", 1),
        retry_after_seconds=wire.get("retry_after_seconds"),
    )
