"""Sets of payments under names, and their runs."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from snowrail_chat.domain.views import IntentView


@dataclass(frozen=True, slots=True)
class Template:
    """A named set. `payments` are its payments as they are typed, each on its own line."""

    user_id: UUID
    key: str
    name: str
    payments: str

    @property
    def lines(self) -> list[str]:
        """Its payments as they are typed."""
        return self.payments.split("\n")


@dataclass(frozen=True, slots=True)
class RunPayment:
    """One payment of a run.

    Attributes:
        line: as it was typed.
        intent_id: what was asked for; None when it was refused before.
        code, detail: why it was refused.
        view: its intent, once it exists.
    """

    position: int
    line: str
    intent_id: UUID | None
    code: str | None = None
    detail: str | None = None
    view: IntentView | None = None


@dataclass(frozen=True, slots=True)
class Run:
    """A run of a template. `version` is that of its card."""

    run_id: UUID
    user_id: UUID
    name: str
    version: int
    payments: Sequence[RunPayment]
