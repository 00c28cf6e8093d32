"""Occurrences and the record of evaluations."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from snowrail_intent.domain.evaluation import Evaluation
from snowrail_intent.domain.payments import Occurrence, OccurrenceStatus
from snowrail_kit.database import Connection, Row

_INSERT = """
INSERT INTO occurrence (intent_id, slot, occurrence, payment_id, status, step, version, tx_hash, scheduled_at,
    due_at, changed_at)
SELECT * FROM unnest($1::uuid[], $2::integer[], $3::integer[], $4::uuid[], $5::text[], $6::text[],
    $7::bigint[], $8::text[], $9::timestamptz[], $10::timestamptz[], $11::timestamptz[])
"""
_UPDATE = """
UPDATE occurrence SET status = new.status, step = new.step, version = new.version, tx_hash = new.tx_hash,
    changed_at = new.changed_at
FROM unnest($1::uuid[], $2::text[], $3::text[], $4::bigint[], $5::text[], $6::timestamptz[])
    AS new (payment_id, status, step, version, tx_hash, changed_at)
WHERE occurrence.payment_id = new.payment_id
"""
_COLUMNS = """
intent_id, slot, occurrence, payment_id, status, step, version, tx_hash, scheduled_at, due_at, changed_at
"""


def _to_occurrence(row: Row) -> Occurrence:
    return Occurrence(
        intent_id=row["intent_id"],
        slot=row["slot"],
        occurrence=row["occurrence"],
        payment_id=row["payment_id"],
        status=OccurrenceStatus(row["status"]),
        step=row["step"],
        version=row["version"],
        tx_hash=row["tx_hash"],
        scheduled_at=row["scheduled_at"],
        due_at=row["due_at"],
        changed_at=row["changed_at"],
    )


async def find_by_payment(connection: Connection, payment_ids: Iterable[UUID]) -> dict[UUID, Occurrence]:
    """Return occurrences by the id of their payment."""
    rows = await connection.fetch(
        f"SELECT {_COLUMNS} FROM occurrence WHERE payment_id = ANY($1::uuid[])", list(payment_ids)
    )
    return {row["payment_id"]: _to_occurrence(row) for row in rows}


async def find_by_intent(connection: Connection, intent_id: UUID, limit: int) -> list[Occurrence]:
    """Return the latest occurrences of an intent, in order."""
    rows = await connection.fetch(
        f"SELECT {_COLUMNS} FROM occurrence WHERE intent_id = $1 ORDER BY slot DESC LIMIT $2",
        intent_id,
        limit,
    )
    return [_to_occurrence(row) for row in reversed(rows)]


async def find_standing(connection: Connection, intent_ids: Iterable[UUID]) -> list[Occurrence]:
    """Return the occurrences of intents that are paid, or whose payments are under way."""
    rows = await connection.fetch(
        f"SELECT {_COLUMNS} FROM occurrence"
        " WHERE intent_id = ANY($1::uuid[]) AND status IN ('paying', 'succeeded')",
        list(intent_ids),
    )
    return [_to_occurrence(row) for row in rows]


async def insert(connection: Connection, occurrences: Sequence[Occurrence]) -> None:
    """Insert occurrences that became due. One that is there already fails the whole transaction."""
    await connection.execute(
        _INSERT,
        [item.intent_id for item in occurrences],
        [item.slot for item in occurrences],
        [item.occurrence for item in occurrences],
        [item.payment_id for item in occurrences],
        [item.status for item in occurrences],
        [item.step for item in occurrences],
        [item.version for item in occurrences],
        [item.tx_hash for item in occurrences],
        [item.scheduled_at for item in occurrences],
        [item.due_at for item in occurrences],
        [item.changed_at for item in occurrences],
    )


async def update(connection: Connection, occurrences: Sequence[Occurrence]) -> None:
    """Store what has become of occurrences."""
    await connection.execute(
        _UPDATE,
        [item.payment_id for item in occurrences],
        [item.status for item in occurrences],
        [item.step for item in occurrences],
        [item.version for item in occurrences],
        [item.tx_hash for item in occurrences],
        [item.changed_at for item in occurrences],
    )


async def record_evaluations(connection: Connection, evaluations: Sequence[Evaluation]) -> None:
    """Add evaluations to the record."""
    await connection.execute(
        "INSERT INTO evaluation (intent_id, evaluated_at, status, reason, inputs)"
        " SELECT * FROM unnest($1::uuid[], $2::timestamptz[], $3::text[], $4::text[], $5::jsonb[])",
        [item.intent_id for item in evaluations],
        [item.evaluated_at for item in evaluations],
        [item.status for item in evaluations],
        [item.reason for item in evaluations],
        [item.inputs for item in evaluations],
    )


async def find_evaluations(connection: Connection, intent_id: UUID, limit: int) -> list[dict[str, Any]]:
    """Return the latest evaluations of an intent, newest first."""
    rows = await connection.fetch(
        "SELECT evaluated_at, status, reason, inputs FROM evaluation WHERE intent_id = $1"
        " ORDER BY evaluation_id DESC LIMIT $2",
        intent_id,
        limit,
    )
    return [dict(row) for row in rows]


async def prune_evaluations(connection: Connection, before: datetime, limit: int) -> int:
    """Delete the oldest evaluations made before a moment. Returns how many."""
    status = await connection.execute(
        "DELETE FROM evaluation WHERE evaluation_id IN (SELECT evaluation_id FROM ("
        " SELECT evaluation_id, evaluated_at FROM evaluation ORDER BY evaluation_id LIMIT $2) AS oldest"
        " WHERE evaluated_at < $1)",
        before,
        limit,
    )
    return int(status.rsplit(" ", 1)[-1])
