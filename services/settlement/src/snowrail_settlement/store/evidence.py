"""What the chain has said, as far as it concerns items and lanes: the newest fact per transaction."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from snowrail_events import TransactionFinalV1, TransactionIncludedV1, TransactionOrphanedV1
from snowrail_kit.database import Database, Row
from snowrail_kit.unit_of_work import Transaction
from snowrail_settlement.domain.item import Basis, Evidence, Execution, OwnTransaction
from snowrail_settlement.domain.lane import FactStatus

Fact = TransactionIncludedV1 | TransactionFinalV1 | TransactionOrphanedV1

EXECUTED = "executed"
EXECUTION_FAILED = "execution_failed"


@dataclass(frozen=True, slots=True)
class Observed:
    """A fact about a transaction.

    Attributes:
        version: Newer facts about a transaction have higher versions.
    """

    fact: Fact
    status: FactStatus
    version: int


_OBSERVE = """
INSERT INTO observation AS known (chain_id, tx_hash, version, status, sender, nonce, succeeded, block_number,
                                  block_hash)
SELECT chain_id, tx_hash, version, status, sender, nonce, succeeded, block_number, block_hash
FROM unnest($1::bigint[], $2::text[], $3::bigint[], $4::text[], $5::text[], $6::bigint[], $7::boolean[],
            $8::bigint[], $9::text[])
     AS new (chain_id, tx_hash, version, status, sender, nonce, succeeded, block_number, block_hash)
ORDER BY chain_id, tx_hash
ON CONFLICT (chain_id, tx_hash) DO UPDATE
SET version = EXCLUDED.version, status = EXCLUDED.status, block_number = EXCLUDED.block_number,
    block_hash = EXCLUDED.block_hash, succeeded = EXCLUDED.succeeded
WHERE known.version <= EXCLUDED.version
RETURNING chain_id, tx_hash
"""


async def observe(tx: Transaction, facts: Sequence[Observed]) -> list[Observed]:
    """Store facts that are newer than what is known, and return those. One fact per transaction."""
    rows = await tx.fetch(
        _OBSERVE,
        [item.fact.chain_id for item in facts],
        [item.fact.tx_hash for item in facts],
        [item.version for item in facts],
        [item.status for item in facts],
        [item.fact.sender for item in facts],
        [item.fact.nonce for item in facts],
        [item.fact.succeeded for item in facts],
        [item.fact.block_number for item in facts],
        [item.fact.block_hash for item in facts],
    )
    newer = {(row["chain_id"], row["tx_hash"]) for row in rows}
    return [item for item in facts if (item.fact.chain_id, item.fact.tx_hash) in newer]


async def insert_logs(tx: Transaction, facts: Sequence[Fact]) -> None:
    """Remember what the escrow said about executions in the blocks of these facts."""
    logs = [(fact, log) for fact in facts for log in fact.logs if log.name in (EXECUTED, EXECUTION_FAILED)]
    await tx.execute(
        "INSERT INTO execution_log (chain_id, tx_hash, block_hash, log_index, order_hash, occurrence,"
        " executed, amount, fee, reason)"
        " SELECT * FROM unnest($1::bigint[], $2::text[], $3::text[], $4::bigint[], $5::text[], $6::bigint[],"
        " $7::boolean[], $8::numeric[], $9::numeric[], $10::bytea[]) ON CONFLICT DO NOTHING",
        [fact.chain_id for fact, _ in logs],
        [fact.tx_hash for fact, _ in logs],
        [fact.block_hash for fact, _ in logs],
        [log.log_index for _, log in logs],
        [log.order_hash for _, log in logs],
        [log.occurrence or 0 for _, log in logs],
        [log.name == EXECUTED for _, log in logs],
        [log.amount or 0 for _, log in logs],
        [log.fee or 0 for _, log in logs],
        [bytes.fromhex(log.reason[2:]) if log.reason else b"" for _, log in logs],
    )


_EVIDENCE = """
SELECT item.item_id,
       item.accepted AND NOT EXISTS (
           SELECT 1 FROM item AS later
           WHERE later.chain_id = item.chain_id AND later.order_hash = item.order_hash
             AND later.occurrence = item.occurrence AND later.accepted AND later.sequence > item.sequence
       ) AS holds_occurrence,
       execution.tx_hash AS execution_tx_hash, execution.block_hash AS execution_block_hash,
       execution.block_number AS execution_block_number, execution.log_index AS execution_log_index,
       execution.status AS execution_status, execution.amount, execution.fee,
       own.tx_hash AS own_tx_hash, own.block_hash AS own_block_hash, own.succeeded AS own_succeeded,
       own.is_ours, failure.reason AS failure
FROM item
LEFT JOIN LATERAL (
    SELECT log.tx_hash, log.block_hash, log.log_index, log.amount, log.fee, seen.block_number, seen.status
    FROM execution_log AS log
    JOIN observation AS seen USING (chain_id, tx_hash, block_hash)
    WHERE log.chain_id = item.chain_id AND log.order_hash = item.order_hash
      AND log.occurrence = item.occurrence AND log.executed AND seen.status <> 'orphaned'
    ORDER BY seen.status = 'final' DESC, seen.version DESC LIMIT 1
) AS execution ON true
LEFT JOIN LATERAL (
    SELECT seen.tx_hash, seen.block_hash, seen.succeeded,
           EXISTS (SELECT 1 FROM lane_transaction AS signed
                   WHERE signed.chain_id = seen.chain_id AND signed.tx_hash = seen.tx_hash
                   AND NOT signed.cancels) AS is_ours
    FROM observation AS seen
    WHERE seen.chain_id = item.chain_id AND seen.sender = item.signer AND seen.nonce = item.nonce
      AND seen.status = 'final'
    ORDER BY seen.version DESC LIMIT 1
) AS own ON true
LEFT JOIN LATERAL (
    SELECT log.reason FROM execution_log AS log
    WHERE log.chain_id = item.chain_id AND log.tx_hash = own.tx_hash AND log.block_hash = own.block_hash
      AND log.order_hash = item.order_hash AND log.occurrence = item.occurrence AND NOT log.executed
    LIMIT 1
) AS failure ON true
WHERE item.item_id = ANY($1::uuid[])
"""


@dataclass(frozen=True, slots=True)
class ItemEvidence:
    """What is known about an item.

    Attributes:
        holds_occurrence: Whether what the chain says of the occurrence is said of this item: it was taken,
            and no later one was. One that was refused as it came is never credited with another's execution.
    """

    evidence: Evidence
    holds_occurrence: bool


async def evidence_about(tx: Transaction, item_ids: Sequence[UUID]) -> dict[UUID, ItemEvidence]:
    """Return what the chain as it stands says about items. Lock them before."""
    rows = await tx.fetch(_EVIDENCE, list(item_ids))
    return {row["item_id"]: _evidence(row) for row in rows}


def _evidence(row: Row) -> ItemEvidence:
    execution = None
    if row["execution_tx_hash"] is not None:
        execution = Execution(
            basis=Basis(row["execution_tx_hash"], row["execution_block_hash"]),
            block_number=row["execution_block_number"],
            log_index=row["execution_log_index"],
            is_final=row["execution_status"] == "final",
            amount=row["amount"],
            fee=row["fee"],
        )
    own = None
    if row["own_tx_hash"] is not None:
        own = OwnTransaction(
            basis=Basis(row["own_tx_hash"], row["own_block_hash"]),
            is_ours=row["is_ours"],
            succeeded=row["own_succeeded"],
            failure=row["failure"],
        )
    return ItemEvidence(Evidence(execution, own), row["holds_occurrence"])


async def final_at(database: Database, chain_id: int, sender: str, nonce: int) -> str | None:
    """Return the hash of the final transaction at a nonce."""
    row = await database.fetch_row(
        "SELECT tx_hash FROM observation"
        " WHERE chain_id = $1 AND sender = $2 AND nonce = $3 AND status = 'final'",
        chain_id,
        sender,
        nonce,
    )
    return row["tx_hash"] if row else None


async def is_nonce_used(tx: Transaction, chain_id: int, sender: str, nonce: int) -> bool:
    """Return whether a fact stands of a transaction at this nonce."""
    row = await tx.fetch_row(
        "SELECT 1 FROM observation"
        " WHERE chain_id = $1 AND sender = $2 AND nonce = $3 AND status <> 'orphaned' LIMIT 1",
        chain_id,
        sender,
        nonce,
    )
    return row is not None


async def observed_height(database: Database, chain_id: int) -> int:
    """Return the highest block of a chain that any fact stands for; -1 before the first."""
    row = await database.fetch_row(
        "SELECT max(block_number) AS height FROM observation WHERE chain_id = $1 AND status <> 'orphaned'",
        chain_id,
    )
    assert row is not None, "an aggregate always returns a row"
    return -1 if row["height"] is None else row["height"]


async def final_foreign_nonces(tx: Transaction, chain_id: int, signer: str) -> set[int]:
    """Return nonces whose final transaction is none of ours and was acknowledged by an operator."""
    rows = await tx.fetch(
        "SELECT DISTINCT known.nonce FROM foreign_transaction AS known"
        " JOIN observation AS seen USING (chain_id, tx_hash)"
        " WHERE known.chain_id = $1 AND known.signer = $2 AND known.acknowledged_at IS NOT NULL"
        " AND seen.status = 'final'",
        chain_id,
        signer,
    )
    return {row["nonce"] for row in rows}
