"""What the escrow owes and what it has paid, by its own events. Pure.

The events are those of final blocks, in chain order. What the contract holds may be more than it owes,
because anybody can send it money without an order; it can never be less.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from snowrail_chain.addresses import NATIVE_TOKEN
from snowrail_events.parts import EscrowLog


class IncompleteBook(Exception):
    """An event concerns an order whose funding was never read: backfill below the start block."""


@dataclass(slots=True)
class EscrowBook:
    """Fold of the escrow's events. Amounts in atoms, tokens as EIP-55 addresses.

    Attributes:
        deposits: What each order still has in the escrow, where that is anything.
        tokens: Token of each order in `deposits`.
        executed: What executions have moved, fees included, by token.
        executions: How many executions there were, by token.
    """

    deposits: dict[str, int] = field(default_factory=dict[str, int])
    tokens: dict[str, str] = field(default_factory=dict[str, str])
    executed: Counter[str] = field(default_factory=Counter[str])
    executions: Counter[str] = field(default_factory=Counter[str])

    def take(self, entries: Iterable[EscrowLog]) -> None:
        """Take events into account, in chain order.

        Raises:
            IncompleteBook: Money leaves an order that has none by the events taken so far.
        """
        for entry in entries:
            match entry.name:
                case "funded":
                    assert entry.token is not None, "a funding names its token"
                    self._move(entry.order_hash, entry.token, entry.amount or 0)
                case "executed":
                    assert entry.token is not None, "an execution names its token"
                    self._execute(entry, entry.token)
                case "cancelled" | "returned":
                    if entry.amount:
                        self._move(entry.order_hash, self.tokens.get(entry.order_hash), -entry.amount)
                case _:
                    continue

    def owed(self) -> Counter[str]:
        """Return what orders have in the escrow, by token."""
        owed: Counter[str] = Counter()
        for order_hash, atoms in self.deposits.items():
            owed[self.tokens[order_hash]] += atoms
        return owed

    def _execute(self, entry: EscrowLog, token: str) -> None:
        total = (entry.amount or 0) + (entry.fee or 0)
        self.executed[token] += total
        self.executions[token] += 1
        if token == NATIVE_TOKEN or self.deposits.get(entry.order_hash, 0) >= total:
            self._move(entry.order_hash, token, -total)

    def _move(self, order_hash: str, token: str | None, atoms: int) -> None:
        left = self.deposits.get(order_hash, 0) + atoms
        if token is None or left < 0:
            raise IncompleteBook(f"order {order_hash} moves {atoms} and would have {left} left")
        if left:
            self.deposits[order_hash], self.tokens[order_hash] = left, token
        else:
            self.deposits.pop(order_hash, None)
            self.tokens.pop(order_hash, None)


@dataclass(slots=True)
class KnownBook:
    """The book up to a block, and the version of the newest fact when it was read."""

    block_number: int = -1
    version: int = 0
    book: EscrowBook = field(default_factory=EscrowBook)
