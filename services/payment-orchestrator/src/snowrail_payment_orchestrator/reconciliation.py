"""Chain against ledger, per token and at one final block. Pure."""

from dataclasses import dataclass
from enum import StrEnum


class Difference(StrEnum):
    """What does not agree.

    DEFICIT: the escrow holds less than it owes by its own events. DEPOSITS: the ledger has other deposits
    than the escrow's events. EXECUTIONS: the ledger has other executions than the escrow's events.
    """

    DEFICIT = "deficit"
    DEPOSITS = "deposits"
    EXECUTIONS = "executions"


@dataclass(frozen=True, slots=True)
class ChainFigures:
    """A token at a final block, in atoms.

    Attributes:
        held: What the escrow contract has.
        fees: What of that are fees it has taken.
        owed: What orders still have in it by its events.
        executed: What executions have moved by its events, fees included.
    """

    held: int
    fees: int
    owed: int
    executed: int


@dataclass(frozen=True, slots=True)
class LedgerFigures:
    """The same token in the ledger up to the same block, in atoms.

    Attributes:
        owed: Sum of the escrow accounts.
        executed: What payments have moved, fees included, less what was taken back.
    """

    owed: int
    executed: int


@dataclass(frozen=True, slots=True)
class Comparison:
    """What was compared, atoms by difference, and money in the escrow that belongs to no order."""

    chain: ChainFigures
    ledger: LedgerFigures
    differences: dict[Difference, int]

    @property
    def unsolicited(self) -> int:
        """Return what somebody sent to the escrow without an order: harmless, and nobody can take it."""
        return max(self.chain.held - self.chain.fees - self.chain.owed, 0)

    @property
    def agrees(self) -> bool:
        """Whether nothing differs."""
        return not self.differences

    def explain(self) -> str:
        """Return what differs, for people."""
        return "; ".join(f"{name}: {atoms:+d} atoms on chain" for name, atoms in self.differences.items())


def compare(chain: ChainFigures, ledger: LedgerFigures) -> Comparison:
    """Compare a token. Differences are chain less ledger, or holdings less what is owed."""
    found = {
        Difference.DEFICIT: min(chain.held - chain.fees - chain.owed, 0),
        Difference.DEPOSITS: chain.owed - ledger.owed,
        Difference.EXECUTIONS: chain.executed - ledger.executed,
    }
    return Comparison(chain, ledger, {name: atoms for name, atoms in found.items() if atoms})
