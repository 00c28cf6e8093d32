"""Tables and SQL of payments, attempts and holds. A batch is a fixed number of statements."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import orjson

from snowrail_kit.database import Database, Row
from snowrail_kit.unit_of_work import Transaction
from snowrail_payment_orchestrator.domain import Status


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
    """What was decided about an attempt when it began, and the version of what settlement said last of it."""

    attempt: int
    rail: str
    decision_id: UUID
    settlement_version: int


@dataclass(frozen=True, slots=True)
class AttemptChange:
    """What becomes of an attempt and its hold."""

    payment_id: UUID
    attempt: int
    attempt_status: str
    hold_status: str
    tx_hash: str | None
    settlement_version: int


OPEN_STATUSES = ("LIVE", "UNKNOWN")

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
    SELECT * FROM unnest($1::uuid[], $2::integer[], $3::text[], $4::text[], $5::text[], $7::bigint[])
        AS new (payment_id, attempt, attempt_status, hold_status, tx_hash, settlement_version)
), attempts AS (
    UPDATE attempt SET status = new.attempt_status, tx_hash = coalesce(new.tx_hash, attempt.tx_hash),
        settlement_version = greatest(new.settlement_version, attempt.settlement_version),
        closed_at = CASE WHEN new.attempt_status IN ('LIVE', 'UNKNOWN') THEN NULL ELSE $6::timestamptz END
    FROM new WHERE attempt.payment_id = new.payment_id AND attempt.attempt = new.attempt
)
UPDATE hold SET status = new.hold_status,
    closed_at = CASE WHEN new.hold_status = 'HELD' THEN NULL ELSE $6::timestamptz END
FROM new WHERE hold.payment_id = new.payment_id AND hold.attempt = new.attempt
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
        "SELECT payment_id, attempt, rail, decision_id, settlement_version FROM attempt"
        " WHERE (payment_id, attempt) IN (SELECT * FROM unnest($1::uuid[], $2::integer[]))",
        [payment_id for payment_id, _ in wanted],
        [attempt for _, attempt in wanted],
    )
    return {
        (row["payment_id"], row["attempt"]): Attempt(
            row["attempt"], row["rail"], row["decision_id"], row["settlement_version"]
        )
        for row in rows
    }


async def open_attempts_since(reads: Database) -> dict[str, tuple[int, datetime]]:
    """Return by status how many attempts are open, and when the oldest of them was opened."""
    rows = await reads.fetch(
        "SELECT status, count(*) AS attempts, min(opened_at) AS since FROM attempt"
        " WHERE status IN ('LIVE', 'UNKNOWN') GROUP BY status"
    )
    return {row["status"]: (row["attempts"], row["since"]) for row in rows}


async def find_replaced(tx: Transaction, payment_ids: Sequence[UUID]) -> set[UUID]:
    """Return those payments whose occurrence another payment is to make, or has made."""
    if not payment_ids:
        return set()
    rows = await tx.fetch(
        "SELECT ended.payment_id FROM payment AS ended JOIN payment AS other USING (intent_id, occurrence)"
        " WHERE ended.payment_id = ANY($1::uuid[]) AND other.payment_id <> ended.payment_id"
        " AND other.stands",
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
        [item.settlement_version for item in changes],
    )
