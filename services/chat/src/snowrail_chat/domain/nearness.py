"""What a mistyped word most likely meant."""

from collections.abc import Sequence
from difflib import get_close_matches


def nearest(word: str, choices: Sequence[str]) -> str | None:
    """Return the choice that a mistyped word most likely meant."""
    found = get_close_matches(word, choices, n=1, cutoff=0.6)
    return found[0] if found else None
