"""Providers that keep their callers waiting, so that a caller can be killed in the midst of a call."""

import asyncio
from dataclasses import dataclass
from enum import StrEnum

_FOR_EVER_SECONDS = 3_600.0


class Holding(StrEnum):
    """At which point calls are kept waiting."""

    NOWHERE = "nowhere"
    BEFORE_TAKING = "before_taking"
    """The provider has no effect of the call, and never will."""
    AFTER_TAKING = "after_taking"
    """The provider did what it was asked; the answer never comes."""


@dataclass
class Hold:
    """Where a provider keeps calls waiting, for good, and how many wait or waited there."""

    at: Holding = Holding.NOWHERE
    held: int = 0

    async def reach(self, point: Holding) -> None:
        """Wait for good where calls are kept at this point."""
        if self.at is point:
            self.held += 1
            await asyncio.sleep(_FOR_EVER_SECONDS)
