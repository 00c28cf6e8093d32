"""Transactions that concern us, one row per transaction and block, and what was told about them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from snowrail_chain.cursor import BlockLink
from snowrail_chain_monitor.domain import MOVES, ChainTransaction, Change, Move, Status, next_versions
from snowrail_events.parts import EscrowLog
from snowrail_kit.database import Database, Row
from snowrail_kit.unit_of_work import Transaction


@dataclass(frozen=True, slots=True)
class StoredTransaction:
    """A row of `chain_transaction` that a statement has just written.

    Attributes:
        was_told: Whether a fact about this block had been told before.
    """

    transaction: ChainTransaction
    status: Status
    version: int
    was_told: bool


_INSERT_TRANSACTIONS = """
INSERT INTO chain_transaction AS known (chain_id, tx_hash, block_hash, block_number, block_time, status,
                                        version, sender, nonce, succeeded, logs)
SELECT $1, tx_hash, block_hash, block_number, block_time, status, version, sender, nonce, succeeded,
       logs::jsonb
FROM unnest($2::text[], $3::text[], $4::bigint[], $5::timestamptz[], $6::text[], $7::bigint[], $8::text[],
            $9::bigint[], $10::boolean[], $11::text[])
     AS found (tx_hash, block_hash, block_number, block_time, status, version, sender, nonce, succeeded, logs)
ON CONFLICT (chain_id, tx_hash, block_hash) DO UPDATE
SET status = EXCLUDED.status, version = EXCLUDED.version WHERE known.status = ANY($12::text[])
RETURNING tx_hash, block_hash
"""


async def insert_transactions(
    tx: Transaction,
    chain_id: int,
    found: Sequence[tuple[ChainTransaction, Status]],
    last_version: int,
) -> list[StoredTransaction]:
    """Store transactions and return those that were not known in this block, in chain order."""
    if not found:
        return []
    versions = next_versions(last_version, tx.now, len(found))
    rows = await tx.fetch(
        _INSERT_TRANSACTIONS,
        chain_id,
        [transaction.hash for transaction, _ in found],
        [transaction.block.hash for transaction, _ in found],
        [transaction.block.number for transaction, _ in found],
        [transaction.block_time for transaction, _ in found],
        [status for _, status in found],
        list(versions),
        [transaction.sender for transaction, _ in found],
        [transaction.nonce for transaction, _ in found],
        [transaction.succeeded for transaction, _ in found],
        [_encoded(transaction.logs) for transaction, _ in found],
        _names(MOVES[Change.RETURN].before),
    )
    written = {(row["tx_hash"], row["block_hash"]) for row in rows}
    return [
        StoredTransaction(transaction, status, version, was_told=False)
        for (transaction, status), version in zip(found, versions, strict=True)
        if (transaction.hash, transaction.block.hash) in written
    ]


_MOVE = """
WITH chosen AS (
    SELECT tx_hash, block_hash, status, row_number() OVER (ORDER BY block_number, tx_hash) - 1 AS place
    FROM chain_transaction WHERE chain_id = $1 AND status = ANY($2::text[]) AND {condition}
)
UPDATE chain_transaction AS known SET status = $3, version = $4 + place
FROM chosen WHERE known.chain_id = $1 AND known.tx_hash = chosen.tx_hash
              AND known.block_hash = chosen.block_hash
RETURNING known.*, chosen.status AS status_before
"""


async def finalise(
    tx: Transaction, chain_id: int, block_hashes: Sequence[str], last_version: int
) -> list[StoredTransaction]:
    """Make the open transactions of these blocks final and return them."""
    return await _move(
        tx, chain_id, MOVES[Change.FINALISE], last_version, "block_hash = ANY($5::text[])", list(block_hashes)
    )


async def orphan_above(
    tx: Transaction, chain_id: int, number: int, last_version: int
) -> list[StoredTransaction]:
    """Mark everything above a height as having left the chain and return it."""
    return await _move(tx, chain_id, MOVES[Change.ORPHAN], last_version, "block_number > $5", number)


async def _move(
    tx: Transaction, chain_id: int, move: Move, last_version: int, condition: str, argument: Any
) -> list[StoredTransaction]:
    (after,) = move.after
    rows = await tx.fetch(
        _MOVE.format(condition=condition),
        chain_id,
        _names(move.before),
        str(after),
        next_versions(last_version, tx.now, 1).start,
        argument,
    )
    stored = [
        StoredTransaction(
            _transaction(row), after, row["version"], was_told=row["status_before"] != Status.SEEN
        )
        for row in rows
    ]
    return sorted(stored, key=_version)


def _encoded(logs: Sequence[EscrowLog]) -> str:
    return orjson.dumps([part.model_dump(mode="json", exclude_none=True) for part in logs]).decode()


def _version(stored: StoredTransaction) -> int:
    return stored.version


def _names(statuses: frozenset[Status]) -> list[str]:
    return sorted(str(status) for status in statuses)


def _transaction(row: Row) -> ChainTransaction:
    return ChainTransaction(
        hash=row["tx_hash"],
        block=BlockLink(row["block_number"], row["block_hash"], ""),
        block_time=row["block_time"],
        sender=row["sender"],
        nonce=row["nonce"],
        succeeded=row["succeeded"],
        logs=tuple(EscrowLog.model_validate(part) for part in row["logs"]),
    )


async def open_blocks(database: Database, chain_id: int, up_to: int, limit: int) -> list[tuple[int, str]]:
    """Return height and hash of the lowest blocks whose transactions are not final yet."""
    rows = await database.fetch(
        "SELECT DISTINCT block_number, block_hash FROM chain_transaction"
        " WHERE chain_id = $1 AND block_number <= $2 AND status IN ('seen', 'included')"
        " ORDER BY block_number LIMIT $3",
        chain_id,
        up_to,
        limit,
    )
    return [(row["block_number"], row["block_hash"]) for row in rows]
