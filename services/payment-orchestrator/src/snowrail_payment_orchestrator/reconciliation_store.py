"""SQL of reconciliation: the ledger at a block, what was compared, halted assets."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

import orjson

from snowrail_kit.database import Database, Row
from snowrail_kit.unit_of_work import Transaction
from snowrail_payment_orchestrator.clients import ChainHoldings
from snowrail_payment_orchestrator.reconciliation import (
    ChainFigures,
    Comparison,
    Difference,
    LedgerFigures,
)

FOLDED_BLOCKS = 100_000
"""Totals of blocks so far below the newest become one: no comparison is made at a block that deep."""

_LEDGER = """
SELECT token, sum(owed) AS owed, sum(executed) AS executed
FROM (SELECT * FROM ledger_total UNION ALL SELECT * FROM ledger_change) AS change
WHERE token LIKE $1 || ':%' AND block_number <= $2 GROUP BY token
"""

_FOLD = """
WITH moved AS (
    DELETE FROM ledger_change WHERE ctid = ANY(ARRAY(SELECT ctid FROM ledger_change LIMIT $1))
    RETURNING token, block_number, owed, executed
)
INSERT INTO ledger_total AS total (token, block_number, owed, executed)
SELECT token, block_number, sum(owed), sum(executed) FROM moved GROUP BY token, block_number
ON CONFLICT (token, block_number) DO UPDATE
SET owed = total.owed + EXCLUDED.owed, executed = total.executed + EXCLUDED.executed
"""

_COMPACT = """
WITH newest AS (
    SELECT token, max(block_number) AS block_number FROM ledger_total GROUP BY token
), old AS (
    SELECT total.token, total.block_number FROM ledger_total AS total JOIN newest USING (token)
    WHERE total.block_number > 0 AND total.block_number <= newest.block_number - $1::bigint LIMIT $2
), moved AS (
    DELETE FROM ledger_total AS total USING old
    WHERE total.token = old.token AND total.block_number = old.block_number
    RETURNING total.token, total.owed, total.executed
)
INSERT INTO ledger_total AS total (token, block_number, owed, executed)
SELECT token, 0, sum(owed), sum(executed) FROM moved GROUP BY token
ON CONFLICT (token, block_number) DO UPDATE
SET owed = total.owed + EXCLUDED.owed, executed = total.executed + EXCLUDED.executed
"""

_REMEMBER = """
INSERT INTO reconciliation AS known (token, chain_id, block_number, block_hash, version, held, fees, owed,
    executed, ledger_owed, ledger_executed, differences, differs_since, compared_at)
SELECT token, $2, $3, $4, $5, held, fees, owed, executed, ledger_owed, ledger_executed, differences::jsonb,
       CASE WHEN differences <> '{}' THEN $6::timestamptz END, $6
FROM unnest($1::text[], $7::numeric[], $8::numeric[], $9::numeric[], $10::numeric[], $11::numeric[],
            $12::numeric[], $13::text[])
     AS new (token, held, fees, owed, executed, ledger_owed, ledger_executed, differences)
ON CONFLICT (token) DO UPDATE SET chain_id = EXCLUDED.chain_id, block_number = EXCLUDED.block_number,
    block_hash = EXCLUDED.block_hash, version = EXCLUDED.version, held = EXCLUDED.held, fees = EXCLUDED.fees,
    owed = EXCLUDED.owed, executed = EXCLUDED.executed, ledger_owed = EXCLUDED.ledger_owed,
    ledger_executed = EXCLUDED.ledger_executed, differences = EXCLUDED.differences,
    compared_at = EXCLUDED.compared_at,
    differs_since = CASE WHEN EXCLUDED.differs_since IS NULL THEN NULL
                         WHEN known.block_number = EXCLUDED.block_number AND known.version = EXCLUDED.version
                         THEN coalesce(known.differs_since, EXCLUDED.differs_since)
                         ELSE EXCLUDED.differs_since END
RETURNING *
"""


@dataclass(frozen=True, slots=True)
class Record:
    """A row of `reconciliation`: the last comparison of a token."""

    token: str
    chain_id: int
    block_number: int
    block_hash: str
    version: int
    comparison: Comparison
    differs_since: datetime | None
    compared_at: datetime


def _record(row: Row) -> Record:
    return Record(
        token=row["token"],
        chain_id=row["chain_id"],
        block_number=row["block_number"],
        block_hash=row["block_hash"],
        version=row["version"],
        comparison=Comparison(
            ChainFigures(row["held"], row["fees"], row["owed"], row["executed"]),
            LedgerFigures(row["ledger_owed"], row["ledger_executed"]),
            {Difference(name): int(atoms) for name, atoms in row["differences"].items()},
        ),
        differs_since=row["differs_since"],
        compared_at=row["compared_at"],
    )


async def records(reads: Database | Transaction) -> list[Record]:
    """Return the last comparison of every token."""
    return [_record(row) for row in await reads.fetch("SELECT * FROM reconciliation ORDER BY token")]


async def ledger_at(
    reads: Database | Transaction, chain_id: int, block_number: int
) -> dict[str, LedgerFigures]:
    """Return the ledger's figures by token, of journals whose block is at most this one."""
    rows = await reads.fetch(_LEDGER, str(chain_id), block_number)
    return {row["token"]: LedgerFigures(row["owed"], row["executed"]) for row in rows}


async def fold_totals(tx: Transaction, limit: int) -> None:
    """Add up what journals have changed since, at most so many rows; done by one replica at a time."""
    await tx.execute(_FOLD, limit)
    await tx.execute(_COMPACT, FOLDED_BLOCKS, limit)


async def remember(
    tx: Transaction, holdings: ChainHoldings, comparisons: dict[str, Comparison]
) -> list[Record]:
    """Store comparisons. A difference lasts as long as the same figures of the chain go on differing."""
    tokens = list(comparisons)
    found = list(comparisons.values())
    rows = await tx.fetch(
        _REMEMBER,
        tokens,
        holdings.chain_id,
        holdings.block_number,
        holdings.block_hash,
        holdings.version,
        tx.now,
        [item.chain.held for item in found],
        [item.chain.fees for item in found],
        [item.chain.owed for item in found],
        [item.chain.executed for item in found],
        [item.ledger.owed for item in found],
        [item.ledger.executed for item in found],
        [
            orjson.dumps({str(name): str(atoms) for name, atoms in item.differences.items()}).decode()
            for item in found
        ],
    )
    return [_record(row) for row in rows]


async def halt(tx: Transaction, reasons: dict[str, str]) -> set[str]:
    """Halt assets, given why, and return those that were not halted before."""
    rows = await tx.fetch(
        "INSERT INTO halted_asset (token, reason, halted_at)"
        " SELECT token, reason, $3 FROM unnest($1::text[], $2::text[]) AS new (token, reason)"
        " ON CONFLICT DO NOTHING RETURNING token",
        list(reasons),
        list(reasons.values()),
        tx.now,
    )
    return {row["token"] for row in rows}


async def resume(tx: Transaction, token: str) -> str | None:
    """Let payments of an asset start again; return why it was halted, nothing when it was not.

    Its chain is compared afresh: figures that differed before must not halt it again.
    """
    row = await tx.fetch_row("DELETE FROM halted_asset WHERE token = $1 RETURNING reason", token)
    if row is None:
        return None
    await tx.execute(
        "DELETE FROM reconciliation WHERE chain_id = (SELECT chain_id FROM reconciliation WHERE token = $1)",
        token,
    )
    return row["reason"]


async def halted(reads: Database | Transaction) -> dict[str, tuple[str, datetime]]:
    """Return halted assets with reason and time."""
    rows: Sequence[Row] = await reads.fetch("SELECT token, reason, halted_at FROM halted_asset")
    return {row["token"]: (row["reason"], row["halted_at"]) for row in rows}


async def halted_among(tx: Transaction, tokens: Iterable[str]) -> set[str]:
    """Return those of some tokens that are halted."""
    wanted = sorted(set(tokens))
    if not wanted:
        return set()
    rows = await tx.fetch("SELECT token FROM halted_asset WHERE token = ANY($1::text[])", wanted)
    return {row["token"] for row in rows}
