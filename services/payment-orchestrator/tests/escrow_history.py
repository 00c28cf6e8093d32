"""A model of one order in the escrow, on a chain that forks: what happened, and what is heard of it."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from random import Random

DEPOSIT, PAY, GIVE_BACK = "funded", "executed", "returned"


@dataclass(frozen=True)
class Act:
    """An event of the escrow. `occurrence` counts executions of the branch; `atoms` are positive."""

    name: str
    branch: str
    block_number: int
    log_index: int
    atoms: int
    occurrence: int = 0
    from_deposit: bool = True

    @property
    def reference(self) -> str:
        """Name it."""
        return f"{self.name}:{self.branch}:{self.block_number}:{self.log_index}"


@dataclass
class Branch:
    """Blocks with the order's events, as the contract lets them happen."""

    acts: list[Act] = field(default_factory=list[Act])
    deposited: int = 0
    executed: int = 0
    place: tuple[int, int] = (1, 0)

    def play(self, branch: str, wishes: Sequence[tuple[str, int, int]]) -> None:
        """Let things happen: (what, atoms, blocks after what was before). The contract's own rule."""
        for name, atoms, blocks in wishes:
            block, index = self.place
            self.place = (block + blocks, 0 if blocks else index + 1)
            covered = self.deposited >= atoms
            if name == DEPOSIT:
                self.deposited += atoms
                self._append(name, branch, atoms)
            elif name == PAY:
                self.deposited -= atoms if covered else 0
                self._append(name, branch, atoms, covered)
                self.executed += 1
            elif self.deposited:
                self._append(name, branch, self.deposited)
                self.deposited = 0

    def _append(self, name: str, branch: str, atoms: int, from_deposit: bool = True) -> None:
        self.acts.append(Act(name, branch, *self.place, atoms, self.executed, from_deposit))


@dataclass(frozen=True)
class History:
    """Acts that stay, acts whose blocks leave the chain, and acts of the blocks that come instead."""

    stay: list[Act]
    leave: list[Act]
    come: list[Act]

    @property
    def truth(self) -> list[Act]:
        """What is on the chain in the end, in its order."""
        return self.stay + self.come


Wishes = Sequence[tuple[str, int, int]]


def history(before: Wishes, leaving: Wishes, coming: Wishes) -> History:
    """Return what happens when the blocks of `leaving` are replaced by those of `coming`."""
    trunk = Branch()
    trunk.play("trunk", before)
    branches: list[list[Act]] = []
    for name, wishes in (("left", leaving), ("right", coming)):
        branch = Branch([], trunk.deposited, trunk.executed, trunk.place)
        branch.place = (trunk.place[0] + 1, 0)
        branch.play(name, wishes)
        branches.append(branch.acts)
    return History(trunk.acts, *branches)


def random_history(random: Random) -> History:
    """Return one of some random wishes, with amounts that often just cover each other."""

    def wishes(most: int) -> Wishes:
        return [
            (
                random.choice((DEPOSIT, DEPOSIT, PAY, PAY, PAY, GIVE_BACK)),
                random.randint(1, 6),
                random.randint(0, 2),
            )
            for _ in range(random.randint(0, most))
        ]

    return history(wishes(6), wishes(4), wishes(4))
