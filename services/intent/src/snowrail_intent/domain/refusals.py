"""Why a request is refused: a stable code, and what the person can do about it."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Refusal:
    """A request that changed nothing.

    Attributes:
        code: stable snake_case code.
        detail: what is wrong and what to do, for a person.
    """

    code: str
    detail: str


NOT_FOUND = Refusal("not_found", "You have no such intent; check its id.")
