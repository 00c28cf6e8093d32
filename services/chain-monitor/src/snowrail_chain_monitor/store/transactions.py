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
SET status = EXCLUDED.status, version = EXCLUDED.version, succeeded = EXCLUDED.succeeded, logs = EXCLUDED.logs
WHERE known.status = ANY($12::text[])
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
    tx: Transaction, chain_id: int, first: int, last: int, last_version: int
) -> list[StoredTransaction]:
    """Make the open transactions between two heights final and return them."""
    return await _move(
        tx, chain_id, MOVES[Change.FINALISE], last_version, "block_number BETWEEN $5 AND $6", first, last
    )


async def orphan_above(
    tx: Transaction, chain_id: int, number: int, last_version: int
) -> list[StoredTransaction]:
    """Mark everything above a height as having left the chain and return it."""
    return await _move(tx, chain_id, MOVES[Change.ORPHAN], last_version, "block_number > $5", number)


async def _move(
    tx: Transaction, chain_id: int, move: Move, last_version: int, condition: str, *arguments: Any
) -> list[StoredTransaction]:
    (after,) = move.after
    rows = await tx.fetch(
        _MOVE.format(condition=condition),
        chain_id,
        _names(move.before),
        str(after),
        next_versions(last_version, tx.now, 1).start,
        *arguments,
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


async def newest_block(database: Database, chain_id: int, up_to: int) -> tuple[int, str] | None:
    """Return height and hash of the newest block, up to a height, with a transaction that is on the chain."""
    row = await database.fetch_row(
        "SELECT block_number, block_hash FROM chain_transaction"
        " WHERE chain_id = $1 AND block_number <= $2 AND status <> 'orphaned'"
        " ORDER BY block_number DESC LIMIT 1",
        chain_id,
        up_to,
    )
    return (row["block_number"], row["block_hash"]) if row else None


async def has_changed(database: Database, chain_id: int, up_to: int, since_version: int) -> bool:
    """Whether anything was told since a version about a block up to a height."""
    row = await database.fetch_row(
        "SELECT 1 FROM chain_transaction WHERE chain_id = $1 AND version > $3 AND block_number <= $2 LIMIT 1",
        chain_id,
        up_to,
        since_version,
    )
    return row is not None


async def final_logs(
    database: Database, chain_id: int, above: int, up_to: int, blocks: int
) -> list[tuple[int, EscrowLog]]:
    """Return final logs with their heights, in chain order, of the next so many blocks that have any."""
    rows = await database.fetch(
        "SELECT block_number, logs FROM chain_transaction"
        " WHERE chain_id = $1 AND status = 'final' AND block_number > $2 AND logs <> '[]' AND block_number <="
        " (SELECT max(block_number) FROM (SELECT DISTINCT block_number FROM chain_transaction"
        "  WHERE chain_id = $1 AND status = 'final' AND block_number > $2 AND block_number <= $3"
        "  AND logs <> '[]' ORDER BY block_number LIMIT $4) AS next)",
        chain_id,
        above,
        up_to,
        blocks,
    )
    logs = [(row["block_number"], EscrowLog.model_validate(part)) for row in rows for part in row["logs"]]
    return sorted(logs, key=lambda entry: (entry[0], entry[1].log_index))


async def open_logs(
    database: Database, chain_id: int, first: int, last: int
) -> tuple[dict[int, str], list[tuple[str, str, EscrowLog]]]:
    """Return what is stored, not final yet, between two heights.

    Returns:
        Block hash by height of every block with such a transaction; and block hash, transaction hash and
        content of each of their logs.
    """
    rows = await database.fetch(
        "SELECT block_number, block_hash, tx_hash, logs FROM chain_transaction"
        " WHERE chain_id = $1 AND block_number BETWEEN $2 AND $3 AND status IN ('seen', 'included')",
        chain_id,
        first,
        last,
    )
    hashes = {row["block_number"]: row["block_hash"] for row in rows}
    logs = [
        (row["block_hash"], row["tx_hash"], EscrowLog.model_validate(part))
        for row in rows
        for part in row["logs"]
    ]
    return hashes, logs
