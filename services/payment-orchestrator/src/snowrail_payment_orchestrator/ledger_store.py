"""Tables and SQL of the ledger: journals, and what counts of the chain's logs."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from uuid import UUID

from snowrail_kit.unit_of_work import Transaction
from snowrail_payment_orchestrator.domain import Posting


@dataclass(frozen=True, slots=True)
class Journal:
    """A journal to write, unless one with this reference exists; and the height of the block it follows."""

    journal_id: UUID
    kind: str
    reference: str
    block_number: int
    postings: tuple[Posting, ...]


_WRITE_JOURNALS = """
WITH added AS (
    INSERT INTO journal (journal_id, kind, reference, recorded_at, block_number)
    SELECT journal_id, kind, reference, $4, block_number
    FROM unnest($1::uuid[], $2::text[], $3::text[], $10::bigint[])
         AS new (journal_id, kind, reference, block_number)
    WHERE NOT EXISTS (SELECT 1 FROM journal WHERE journal.reference = 'reversal:' || new.reference)
    ON CONFLICT (reference) DO NOTHING
    RETURNING journal_id, reference, block_number
), lines AS (
    INSERT INTO posting (journal_id, line, account, token, atoms)
    SELECT journal_id, line, account, token, atoms
    FROM unnest($5::uuid[], $6::smallint[], $7::text[], $8::text[], $9::numeric[])
         AS new (journal_id, line, account, token, atoms)
    WHERE journal_id IN (SELECT journal_id FROM added)
    RETURNING journal_id, account, token, atoms
), changes AS (
    INSERT INTO ledger_change (token, block_number, owed, executed)
    SELECT token, block_number, coalesce(sum(atoms) FILTER (WHERE account LIKE 'escrow:%'), 0),
           sum(CASE WHEN reference LIKE 'payment:%' AND atoms > 0 THEN atoms
                    WHEN reference LIKE 'reversal:payment:%' AND atoms < 0 THEN atoms ELSE 0 END)
    FROM lines JOIN added USING (journal_id) GROUP BY token, block_number
)
SELECT journal_id FROM added
"""


async def write_journals(tx: Transaction, journals: Sequence[Journal]) -> set[UUID]:
    """Append journals with their postings and return the ids of those that did not exist or were not voided.

    The database refuses a journal whose postings do not sum to zero per token.
    """
    if not journals:
        return set()
    lines = [
        (journal.journal_id, number, posting)
        for journal in journals
        for number, posting in enumerate(journal.postings, start=1)
    ]
    rows = await tx.fetch(
        _WRITE_JOURNALS,
        [journal.journal_id for journal in journals],
        [journal.kind for journal in journals],
        [journal.reference for journal in journals],
        tx.now,
        [journal_id for journal_id, _, _ in lines],
        [number for _, number, _ in lines],
        [posting.account for _, _, posting in lines],
        [posting.token for _, _, posting in lines],
        [posting.atoms for _, _, posting in lines],
        [journal.block_number for journal in journals],
    )
    return {row["journal_id"] for row in rows}


@dataclass(frozen=True, slots=True)
class Credit:
    """The journal in which a log of the escrow counts, if it does, by the newest fact about its block."""

    reference: str
    version: int
    journal_id: UUID | None


async def lock_credits(tx: Transaction, references: Iterable[str]) -> dict[str, Credit]:
    """Return what counts by reference, locked in order; what was never heard of has version -1."""
    wanted = sorted(references)
    if not wanted:
        return {}
    await tx.execute(
        "INSERT INTO chain_credit (reference, version)"
        " SELECT reference, -1 FROM unnest($1::text[]) AS reference ON CONFLICT DO NOTHING",
        wanted,
    )
    rows = await tx.fetch(
        "SELECT reference, version, journal_id FROM chain_credit WHERE reference = ANY($1::text[])"
        " ORDER BY reference FOR UPDATE",
        wanted,
    )
    return {row["reference"]: Credit(**row) for row in rows}


async def save_credits(tx: Transaction, rows: Sequence[Credit]) -> None:
    """Write back locked credits."""
    if not rows:
        return
    await tx.execute(
        "UPDATE chain_credit SET version = new.version, journal_id = new.journal_id"
        " FROM unnest($1::text[], $2::bigint[], $3::uuid[]) AS new (reference, version, journal_id)"
        " WHERE chain_credit.reference = new.reference",
        [credit.reference for credit in rows],
        [credit.version for credit in rows],
        [credit.journal_id for credit in rows],
    )


async def postings_by_journal(
    tx: Transaction, journal_ids: Sequence[UUID]
) -> dict[UUID, tuple[Posting, ...]]:
    """Return the postings of journals by their id."""
    if not journal_ids:
        return {}
    rows = await tx.fetch(
        "SELECT journal_id, account, token, atoms FROM posting WHERE journal_id = ANY($1::uuid[])"
        " ORDER BY journal_id, line",
        list(journal_ids),
    )
    found: dict[UUID, list[Posting]] = {}
    for row in rows:
        line = Posting(row["account"], row["token"], row["atoms"])
        found.setdefault(row["journal_id"], []).append(line)
    return {journal_id: tuple(lines) for journal_id, lines in found.items()}


async def postings_of(tx: Transaction, references: Sequence[str]) -> dict[str, tuple[Posting, ...]]:
    """Return the postings of journals by their reference; journals that do not exist are left out."""
    rows = await tx.fetch(
        "SELECT reference, account, token, atoms FROM journal JOIN posting USING (journal_id)"
        " WHERE reference = ANY($1::text[]) ORDER BY reference, line",
        list(references),
    )
    found: dict[str, list[Posting]] = {}
    for row in rows:
        found.setdefault(row["reference"], []).append(Posting(row["account"], row["token"], row["atoms"]))
    return {reference: tuple(lines) for reference, lines in found.items()}
