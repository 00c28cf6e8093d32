"""From where the executions of an order took their money, by the order of events on the chain. Pure.

`IntentEscrow` pays an execution from the order's deposit when the deposit covers all of it at that moment,
and from the payer's wallet otherwise; never from both. Its events do not say which, and they are heard in any
order. So the source is not decided by what is known when an execution is heard of: what counts is replayed in
the order of the chain.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from snowrail_payment_orchestrator.domain import Posting, escrow_account, transfer_postings, wallet_account


@dataclass(frozen=True, slots=True)
class Movement:
    """An event of the escrow that counts, about an order in an ERC-20 token.

    Native orders have none: they are paid from their deposit or not at all.

    Attributes:
        reference: Names the event; unique, with its block.
        order_hash: The order, which may be signed for several chains.
        token: Token with its chain.
        block_number: Place of the event: block, then index of the log.
        log_index: See `block_number`.
        atoms: What the deposit gains; less than 0 for what is returned, and for an execution with its fee.
        payer: Who pays an execution; nothing for what goes in and out by the payer's own hand.
        from_deposit: Whether it moves the deposit, as the ledger has it; nothing before it is in the ledger.
        left_after: What the order has in the escrow after it, in atoms.
        corrections: How often the ledger has changed its mind about the source.
    """

    reference: str
    order_hash: str
    token: str
    block_number: int
    log_index: int
    atoms: int
    payer: str | None = None
    from_deposit: bool | None = None
    left_after: int = 0
    corrections: int = 0

    @property
    def order(self) -> tuple[str, str]:
        """What the deposit belongs to: an order on a chain."""
        return self.order_hash, self.token

    @property
    def place(self) -> tuple[int, int, str]:
        """Where it is on the chain; two blocks of one height count until it is heard which one is gone."""
        return self.block_number, self.log_index, self.reference


@dataclass(frozen=True, slots=True)
class Replay:
    """What a replay found.

    Attributes:
        changed: Movements that are not as they were, to be stored.
        corrected: Those among them whose source is another one in the ledger.
    """

    changed: list[Movement]
    corrected: list[Movement]


def replay(left: int, movements: Iterable[Movement]) -> Replay:
    """Replay movements of one order by the rule of `IntentEscrow`.

    Args:
        left: What the order has in the escrow before the first of them. It may be less than 0 while a return
            was heard of and the deposit that it returns was not.
        movements: All that count from some place of the chain on.
    """
    changed: list[Movement] = []
    corrected: list[Movement] = []
    for movement in sorted(movements, key=lambda item: item.place):
        draws = movement.payer is None or left >= -movement.atoms
        left += movement.atoms if draws else 0
        is_wrong = movement.from_deposit is not None and movement.from_deposit != draws
        now = replace(
            movement,
            from_deposit=draws,
            left_after=left,
            corrections=movement.corrections + is_wrong,
        )
        if now != movement:
            changed.append(now)
        if is_wrong:
            corrected.append(now)
    return Replay(changed, corrected)


def source_account(movement: Movement) -> str:
    """Return the account that gives what an execution moves."""
    assert movement.payer is not None, "only executions have a source"
    return escrow_account(movement.order_hash) if movement.from_deposit else wallet_account(movement.payer)


def correcting_postings(movement: Movement) -> tuple[Posting, ...]:
    """Return the lines that move an execution to its source from the other one."""
    assert movement.payer is not None, "only executions have a source"
    escrow, wallet = escrow_account(movement.order_hash), wallet_account(movement.payer)
    now, before = (escrow, wallet) if movement.from_deposit else (wallet, escrow)
    return transfer_postings(now, before, movement.token, -movement.atoms)
