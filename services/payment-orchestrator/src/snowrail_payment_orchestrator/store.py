"""Tables and SQL of payments, attempts, holds and the ledger. A batch is a fixed number of statements."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import orjson

from snowrail_kit.database import Row
from snowrail_kit.unit_of_work import Transaction
from snowrail_payment_orchestrator.domain import Posting, Status


@dataclass(slots=True)
class Payment:
    """A row of `payment`. `terms` is the signed order as it travels in events."""

    payment_id: UUID
    intent_id: UUID
    occurrence: int
    user_id: UUID
    chain_id: int
    escrow: str
    terms: dict[str, Any]
    order_hash: str
    signature: str
    token: str
    amount: int
    payer: str
    recipient: str
    status: Status
    step: str
    version: int
    attempt: int
    rail: str | None
    decision_id: UUID | None
    tx_hash: str | None
    block_number: int | None
    block_hash: str | None
    fee: int
    code: str | None
    score_thousandths: int | None
    reasons: list[str]
    next_route_at: datetime | None
    requested_at: datetime
    changed_at: datetime
    traceparent: str | None
    settlement_version: int


@dataclass(frozen=True, slots=True)
class Attempt:
    """What was decided about an attempt when it began."""

    attempt: int
    rail: str
    decision_id: UUID


@dataclass(frozen=True, slots=True)
class AttemptChange:
    """What becomes of an attempt and its hold."""

    payment_id: UUID
    attempt: int
    attempt_status: str
    hold_status: str
    tx_hash: str | None


@dataclass(frozen=True, slots=True)
class Journal:
    """A journal to write, unless one with this reference exists; and the height of the block it follows."""

    journal_id: UUID
    kind: str
    reference: str
    block_number: int
    postings: tuple[Posting, ...]


_COLUMNS = ", ".join(Payment.__dataclass_fields__)

_INSERT = f"""
INSERT INTO payment ({_COLUMNS})
SELECT payment_id, intent_id, occurrence, user_id, chain_id, escrow, terms, order_hash, signature, token,
       amount, payer, recipient, 'requested', 'requested', 1, 0, NULL, NULL, NULL, NULL, NULL, 0, NULL, NULL,
       '[]', NULL, $14, $14, traceparent, 0
FROM unnest($1::uuid[], $2::uuid[], $3::bigint[], $4::uuid[], $5::bigint[], $6::text[], $7::jsonb[],
            $8::text[], $9::text[], $10::text[], $11::numeric[], $12::text[], $13::text[], $15::text[])
     AS due (payment_id, intent_id, occurrence, user_id, chain_id, escrow, terms, order_hash, signature,
             token, amount, payer, recipient, traceparent)
ON CONFLICT DO NOTHING
RETURNING payment_id
"""

_SAVE = """
UPDATE payment SET status = new.status, step = new.step, version = new.version, attempt = new.attempt,
    rail = new.rail, decision_id = new.decision_id, tx_hash = new.tx_hash, block_number = new.block_number,
    block_hash = new.block_hash, fee = new.fee, code = new.code, score_thousandths = new.score_thousandths,
    reasons = new.reasons::jsonb, next_route_at = new.next_route_at, changed_at = new.changed_at,
    settlement_version = new.settlement_version
FROM unnest($1::uuid[], $2::text[], $3::text[], $4::bigint[], $5::integer[], $6::text[], $7::uuid[],
            $8::text[], $9::bigint[], $10::text[], $11::numeric[], $12::text[], $13::integer[], $14::text[],
            $15::timestamptz[], $16::timestamptz[], $17::bigint[])
     AS new (payment_id, status, step, version, attempt, rail, decision_id, tx_hash, block_number, block_hash,
             fee, code, score_thousandths, reasons, next_route_at, changed_at, settlement_version)
WHERE payment.payment_id = new.payment_id
"""

_OPEN_ATTEMPTS = """
WITH opened AS (
    INSERT INTO attempt (payment_id, attempt, rail, decision_id, status, opened_at)
    SELECT payment_id, attempt, rail, decision_id, 'LIVE', $7
    FROM unnest($1::uuid[], $2::integer[], $3::text[], $4::uuid[], $5::text[], $6::numeric[])
         AS new (payment_id, attempt, rail, decision_id, token, amount)
    ON CONFLICT (payment_id, attempt) DO UPDATE
    SET rail = EXCLUDED.rail, decision_id = EXCLUDED.decision_id, status = 'LIVE', closed_at = NULL
)
INSERT INTO hold (payment_id, attempt, token, amount, status, opened_at)
SELECT payment_id, attempt, token, amount, 'HELD', $7
FROM unnest($1::uuid[], $2::integer[], $3::text[], $4::uuid[], $5::text[], $6::numeric[])
     AS new (payment_id, attempt, rail, decision_id, token, amount)
ON CONFLICT (payment_id, attempt) DO UPDATE SET status = 'HELD', closed_at = NULL
"""

_CHANGE_ATTEMPTS = """
WITH new AS (
    SELECT * FROM unnest($1::uuid[], $2::integer[], $3::text[], $4::text[], $5::text[])
        AS new (payment_id, attempt, attempt_status, hold_status, tx_hash)
), attempts AS (
    UPDATE attempt SET status = new.attempt_status, tx_hash = coalesce(new.tx_hash, attempt.tx_hash),
        closed_at = CASE WHEN new.attempt_status IN ('LIVE', 'UNKNOWN') THEN NULL ELSE $6::timestamptz END
    FROM new WHERE attempt.payment_id = new.payment_id AND attempt.attempt = new.attempt
)
UPDATE hold SET status = new.hold_status,
    closed_at = CASE WHEN new.hold_status = 'HELD' THEN NULL ELSE $6::timestamptz END
FROM new WHERE hold.payment_id = new.payment_id AND hold.attempt = new.attempt
"""

_WRITE_JOURNALS = """
WITH added AS (
    INSERT INTO journal (journal_id, kind, reference, recorded_at, block_number)
    SELECT journal_id, kind, reference, $4, block_number
    FROM unnest($1::uuid[], $2::text[], $3::text[], $10::bigint[])
         AS new (journal_id, kind, reference, block_number)
    WHERE NOT EXISTS (SELECT 1 FROM journal WHERE journal.reference = 'reversal:' || new.reference)
    ON CONFLICT (reference) DO NOTHING
    RETURNING journal_id
), lines AS (
    INSERT INTO posting (journal_id, line, account, token, atoms)
    SELECT journal_id, line, account, token, atoms
    FROM unnest($5::uuid[], $6::smallint[], $7::text[], $8::text[], $9::numeric[])
         AS new (journal_id, line, account, token, atoms)
    WHERE journal_id IN (SELECT journal_id FROM added)
)
SELECT journal_id FROM added
"""

_ADD_DEPOSITS = """
INSERT INTO order_deposit AS deposit (order_hash, token, atoms)
SELECT order_hash, token, sum(atoms) FROM unnest($1::text[], $2::text[], $3::numeric[])
    AS change (order_hash, token, atoms)
GROUP BY order_hash, token ORDER BY order_hash
ON CONFLICT (order_hash) DO UPDATE SET atoms = deposit.atoms + EXCLUDED.atoms
"""


def payment_of(row: Row) -> Payment:
    """Return a row as a payment."""
    values = dict(row)
    values["status"] = Status(values["status"])
    return Payment(**values)


async def insert_payments(tx: Transaction, rows: Sequence[tuple[Any, ...]]) -> set[UUID]:
    """Insert requested payments and return the ids of those that did not exist.

    Args:
        rows: (payment, intent, occurrence, user, chain id, escrow, terms, order hash, signature, token,
            amount, payer, recipient, traceparent), amounts in atoms.
    """
    columns = [list(column) for column in zip(*rows, strict=True)]
    inserted = await tx.fetch(_INSERT, *columns[:13], tx.now, columns[13])
    return {row["payment_id"] for row in inserted}


async def known_payments(tx: Transaction, payment_ids: Iterable[UUID]) -> set[UUID]:
    """Return those of the ids that are payments already."""
    wanted = list(payment_ids)
    if not wanted:
        return set()
    rows = await tx.fetch("SELECT payment_id FROM payment WHERE payment_id = ANY($1::uuid[])", wanted)
    return {row["payment_id"] for row in rows}


async def lock_payments(tx: Transaction, payment_ids: Iterable[UUID]) -> dict[UUID, Payment]:
    """Return payments by id, locked in id order; absent ones are left out."""
    rows = await tx.fetch(
        f"SELECT {_COLUMNS} FROM payment WHERE payment_id = ANY($1::uuid[]) ORDER BY payment_id FOR UPDATE",
        list(set(payment_ids)),
    )
    return {row["payment_id"]: payment_of(row) for row in rows}


async def lock_open_payments_of_intents(tx: Transaction, intent_ids: Iterable[UUID]) -> list[Payment]:
    """Return the payments of intents that have not ended, locked in id order."""
    rows = await tx.fetch(
        f"SELECT {_COLUMNS} FROM payment WHERE intent_id = ANY($1::uuid[])"
        " AND status NOT IN ('blocked', 'succeeded', 'failed', 'cancelled') ORDER BY payment_id FOR UPDATE",
        list(set(intent_ids)),
    )
    return [payment_of(row) for row in rows]


async def lock_payments_to_route(tx: Transaction, limit: int) -> list[Payment]:
    """Return approved payments whose next attempt is due, locked, those first that wait longest."""
    rows = await tx.fetch(
        f"SELECT {_COLUMNS} FROM payment WHERE next_route_at <= $1 ORDER BY next_route_at LIMIT $2"
        " FOR UPDATE SKIP LOCKED",
        tx.now,
        limit,
    )
    return [payment_of(row) for row in rows]


async def save_payments(tx: Transaction, payments: Sequence[Payment]) -> None:
    """Write back what changed in locked payments."""
    if not payments:
        return
    await tx.execute(
        _SAVE,
        [item.payment_id for item in payments],
        [item.status.value for item in payments],
        [item.step for item in payments],
        [item.version for item in payments],
        [item.attempt for item in payments],
        [item.rail for item in payments],
        [item.decision_id for item in payments],
        [item.tx_hash for item in payments],
        [item.block_number for item in payments],
        [item.block_hash for item in payments],
        [item.fee for item in payments],
        [item.code for item in payments],
        [item.score_thousandths for item in payments],
        [orjson.dumps(item.reasons).decode() for item in payments],
        [item.next_route_at for item in payments],
        [item.changed_at for item in payments],
        [item.settlement_version for item in payments],
    )


async def open_attempts(tx: Transaction, payments: Sequence[Payment]) -> None:
    """Record the current attempt of each payment as live, with its hold.

    One that was given up when an earlier attempt turned out to be executed may come a second time.
    """
    if not payments:
        return
    await tx.execute(
        _OPEN_ATTEMPTS,
        [item.payment_id for item in payments],
        [item.attempt for item in payments],
        [item.rail for item in payments],
        [item.decision_id for item in payments],
        [item.token for item in payments],
        [item.amount for item in payments],
        tx.now,
    )


async def attempts_of(tx: Transaction, wanted: Sequence[tuple[UUID, int]]) -> dict[tuple[UUID, int], Attempt]:
    """Return attempts by (payment, number)."""
    if not wanted:
        return {}
    rows = await tx.fetch(
        "SELECT payment_id, attempt, rail, decision_id FROM attempt"
        " WHERE (payment_id, attempt) IN (SELECT * FROM unnest($1::uuid[], $2::integer[]))",
        [payment_id for payment_id, _ in wanted],
        [attempt for _, attempt in wanted],
    )
    return {
        (row["payment_id"], row["attempt"]): Attempt(row["attempt"], row["rail"], row["decision_id"])
        for row in rows
    }


async def find_replaced(tx: Transaction, payment_ids: Sequence[UUID]) -> set[UUID]:
    """Return those payments whose occurrence another payment is to make, or has made."""
    if not payment_ids:
        return set()
    rows = await tx.fetch(
        "SELECT ended.payment_id FROM payment AS ended JOIN payment AS other USING (intent_id, occurrence)"
        " WHERE ended.payment_id = ANY($1::uuid[]) AND other.payment_id <> ended.payment_id"
        " AND other.status NOT IN ('blocked', 'failed', 'cancelled')",
        list(payment_ids),
    )
    return {row["payment_id"] for row in rows}


async def change_attempts(tx: Transaction, changes: Sequence[AttemptChange]) -> None:
    """Move attempts and their holds together."""
    if not changes:
        return
    await tx.execute(
        _CHANGE_ATTEMPTS,
        [item.payment_id for item in changes],
        [item.attempt for item in changes],
        [item.attempt_status for item in changes],
        [item.hold_status for item in changes],
        [item.tx_hash for item in changes],
        tx.now,
    )


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


async def lock_deposits(tx: Transaction, order_hashes: Iterable[str]) -> dict[str, int]:
    """Return the atoms each order still has in the escrow, by order hash, locked in its order.

    Two executions of one order must not both draw on what covers one of them.
    """
    rows = await tx.fetch(
        "SELECT order_hash, atoms FROM order_deposit WHERE order_hash = ANY($1::text[])"
        " ORDER BY order_hash FOR UPDATE",
        list(set(order_hashes)),
    )
    return {row["order_hash"]: row["atoms"] for row in rows}


async def add_deposits(tx: Transaction, changes: Sequence[tuple[str, str, int]]) -> None:
    """Add (order hash, token, atoms) to what orders have in the escrow; negative when it was spent."""
    if not changes:
        return
    columns = [list(column) for column in zip(*changes, strict=True)]
    await tx.execute(_ADD_DEPOSITS, *columns)
