"""What concerns us in a block, what its transactions go through, and what is said about them. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from snowrail_chain.abi import Cancelled, EscrowEvent, Executed, ExecutionFailed, Funded, Returned
from snowrail_chain.cursor import BlockLink, InconsistentBlocks
from snowrail_events.parts import EscrowLog

MAX_LOGS_PER_EVENT = 500
"""Logs of one fact: at under 900 bytes each it stays well below the bus's 1,000,000 bytes.

An `executeMany` has at most 256; only somebody else's transaction can be split over several facts.
"""
MAX_REASON_BYTES = 256


class Status(StrEnum):
    """Where a transaction is in one particular block.

    SEEN: stored and not told yet, because it is about to be told as final. INCLUDED: told as included. FINAL:
    told as final. ORPHANED: its block left the chain.
    """

    SEEN = "seen"
    INCLUDED = "included"
    FINAL = "final"
    ORPHANED = "orphaned"


class Change(StrEnum):
    """What happens to a transaction in its block. RETURN: the chain went back to a block it had left."""

    FINALISE = "finalise"
    ORPHAN = "orphan"
    RETURN = "return"


@dataclass(frozen=True, slots=True)
class Move:
    """From which statuses a change can happen, and to which it leads: nothing is told twice."""

    before: frozenset[Status]
    after: frozenset[Status]


MOVES: Mapping[Change, Move] = {
    Change.FINALISE: Move(frozenset({Status.SEEN, Status.INCLUDED}), frozenset({Status.FINAL})),
    Change.ORPHAN: Move(
        frozenset({Status.SEEN, Status.INCLUDED, Status.FINAL}), frozenset({Status.ORPHANED})
    ),
    Change.RETURN: Move(frozenset({Status.ORPHANED}), frozenset({Status.SEEN, Status.INCLUDED})),
}


@dataclass(frozen=True, slots=True)
class Block:
    """A block and those of its transactions that came with it.

    Attributes:
        link: Number, hash and parent.
        time: When it was produced, UTC.
        base_fee: Wei per gas; zero on chains without one.
        may_touch_escrow: Whether the block's bloom filter allows for events of the escrow.
        transactions: Hash, EIP-55 sender and nonce of every transaction, in order.
    """

    link: BlockLink
    time: datetime
    base_fee: int
    may_touch_escrow: bool
    transactions: tuple["BlockTransaction", ...]


@dataclass(frozen=True, slots=True)
class BlockTransaction:
    """A transaction as its block lists it."""

    hash: str
    sender: str
    nonce: int


@dataclass(frozen=True, slots=True)
class LocatedEvent:
    """A decoded event of the escrow and where it is."""

    block_number: int
    block_hash: str
    transaction_hash: str
    log_index: int
    event: EscrowEvent


@dataclass(frozen=True, slots=True)
class Receipt:
    """What a receipt says.

    Attributes:
        block_hash: Block the node means.
        succeeded: Whether the transaction took effect.
        escrow_logs: Number of events of the escrow in it.
    """

    block_hash: str
    succeeded: bool
    escrow_logs: int


@dataclass(frozen=True, slots=True)
class ChainTransaction:
    """A transaction that an executor sent or that touched the escrow, in one particular block."""

    hash: str
    block: BlockLink
    block_time: datetime
    sender: str
    nonce: int
    succeeded: bool
    logs: tuple[EscrowLog, ...]


def senders_among(blocks: Iterable[Block], executors: frozenset[str]) -> list[str]:
    """Return the hashes of transactions that an executor sent, in order."""
    return [
        transaction.hash
        for block in blocks
        for transaction in block.transactions
        if transaction.sender in executors
    ]


def relevant_transactions(
    blocks: Sequence[Block], events: Sequence[LocatedEvent], receipts: Mapping[str, Receipt]
) -> list[ChainTransaction]:
    """Put together the transactions that concern us.

    Args:
        blocks: Blocks of one range.
        events: Events of the escrow in that range.
        receipts: Receipts of the executors' transactions in it, by hash; reverted ones have no events.

    Raises:
        InconsistentBlocks: The answers are of different chains, or one of them is incomplete.
    """
    hashes = {block.link.hash for block in blocks}
    by_transaction: dict[str, list[LocatedEvent]] = {}
    for event in events:
        if event.block_hash not in hashes:
            raise InconsistentBlocks(f"a log of block {event.block_hash}, which is not in the range")
        by_transaction.setdefault(event.transaction_hash, []).append(event)
    found: list[ChainTransaction] = []
    for block in blocks:
        for transaction in block.transactions:
            located = by_transaction.pop(transaction.hash, [])
            receipt = receipts.get(transaction.hash)
            if receipt is None and not located:
                continue
            _require_agreement(block, transaction, located, receipt)
            found.append(
                ChainTransaction(
                    hash=transaction.hash,
                    block=block.link,
                    block_time=block.time,
                    sender=transaction.sender,
                    nonce=transaction.nonce,
                    succeeded=receipt is None or receipt.succeeded,
                    logs=tuple(
                        escrow_log(item.log_index, item.event)
                        for item in sorted(located, key=lambda item: item.log_index)
                    ),
                )
            )
    if by_transaction:
        raise InconsistentBlocks(f"logs of transactions in no block: {sorted(by_transaction)[:3]}")
    return found


def _require_agreement(
    block: Block, transaction: BlockTransaction, located: Sequence[LocatedEvent], receipt: Receipt | None
) -> None:
    if any(item.block_hash != block.link.hash for item in located):
        raise InconsistentBlocks(f"logs of {transaction.hash} are said to be in another block")
    if receipt is None:
        return
    if receipt.block_hash != block.link.hash:
        raise InconsistentBlocks(f"the receipt of {transaction.hash} is of another block")
    if receipt.escrow_logs != len(located):
        raise InconsistentBlocks(
            f"{transaction.hash} has {receipt.escrow_logs} logs by its receipt, {len(located)} by the filter"
        )


def escrow_log(log_index: int, event: EscrowEvent) -> EscrowLog:
    """Return an event of the escrow in the form it has on the bus."""
    order_hash = f"0x{event.order_hash.hex()}"
    match event:
        case Funded():
            return EscrowLog(
                log_index=log_index,
                name="funded",
                order_hash=order_hash,
                payer=event.payer,
                token=event.token,
                amount=event.amount,
            )
        case Executed():
            return EscrowLog(
                log_index=log_index,
                name="executed",
                order_hash=order_hash,
                payer=event.payer,
                recipient=event.recipient,
                token=event.token,
                amount=event.amount,
                fee=event.fee,
                occurrence=event.occurrence,
            )
        case ExecutionFailed():
            return EscrowLog(
                log_index=log_index,
                name="execution_failed",
                order_hash=order_hash,
                occurrence=event.occurrence,
                reason=f"0x{event.reason[:MAX_REASON_BYTES].hex()}",
            )
        case Cancelled():
            return EscrowLog(
                log_index=log_index,
                name="cancelled",
                order_hash=order_hash,
                payer=event.payer,
                amount=event.refunded,
            )
        case Returned():
            return EscrowLog(
                log_index=log_index,
                name="returned",
                order_hash=order_hash,
                payer=event.payer,
                amount=event.amount,
            )


def split_logs(logs: Sequence[EscrowLog]) -> list[tuple[EscrowLog, ...]]:
    """Return logs in parts that fit one fact each; a transaction without logs is one empty part."""
    parts = [
        tuple(logs[start : start + MAX_LOGS_PER_EVENT]) for start in range(0, len(logs), MAX_LOGS_PER_EVENT)
    ]
    return parts or [()]


def next_versions(last_version: int, now: datetime, count: int) -> range:
    """Return the versions of the next facts of a chain.

    They grow with every fact, and follow the clock in microseconds so that they go on growing when the
    database was restored from a backup.
    """
    first = max(last_version + 1, int(now.timestamp() * 1_000_000))
    return range(first, first + count)


@dataclass(frozen=True, slots=True)
class GasPrice:
    """A chain's gas price, in wei per gas."""

    block_number: int
    gas_price: int
    base_fee: int
    observed_at: datetime


def is_news(known: GasPrice | None, now: GasPrice, every_seconds: float) -> bool:
    """Whether a gas price is to be told: it changed, and the last one was not told just before."""
    if known is None:
        return True
    if (known.gas_price, known.base_fee) == (now.gas_price, now.base_fee):
        return False
    return (now.observed_at - known.observed_at).total_seconds() >= every_seconds
