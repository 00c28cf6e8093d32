"""Assessments with their inputs, and cached scores."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from snowrail_fraud.domain.features import Context
from snowrail_fraud.domain.scoring import Decision, Score
from snowrail_kit.database import Connection, Database, Row

_INSERT = """
INSERT INTO assessment (payment_id, intent_id, user_id, occurrence, payer, recipient, token, amount, context,
                        score, rules_score, rules_version, model_score, model_version, decision, reasons,
                        was_cached, requested_at, traceparent, assessed_at)
SELECT payment_id, intent_id, user_id, occurrence, lower(payer), lower(recipient), token, amount, context,
       score, rules_score, rules_version, model_score, model_version, decision, string_to_array(reasons, ' '),
       was_cached, requested_at, traceparent, $20
FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::bigint[], $5::text[], $6::text[], $7::text[],
            $8::numeric[], $9::jsonb[], $10::smallint[], $11::smallint[], $12::text[], $13::smallint[],
            $14::text[], $15::text[], $16::text[], $17::boolean[], $18::timestamptz[], $19::text[])
     AS scored (payment_id, intent_id, user_id, occurrence, payer, recipient, token, amount, context, score,
                rules_score, rules_version, model_score, model_version, decision, reasons, was_cached,
                requested_at, traceparent)
ON CONFLICT (payment_id) DO NOTHING
RETURNING payment_id
"""

_CACHE = """
INSERT INTO score_cache (context_key, score, rules_score, rules_version, model_score, model_version, reasons,
                         expires_at)
SELECT context_key, score, rules_score, rules_version, model_score, model_version,
       string_to_array(reasons, ' '), $8
FROM unnest($1::bytea[], $2::smallint[], $3::smallint[], $4::text[], $5::smallint[], $6::text[], $7::text[])
     AS scored (context_key, score, rules_score, rules_version, model_score, model_version, reasons)
ORDER BY context_key
ON CONFLICT (context_key) DO UPDATE SET expires_at = EXCLUDED.expires_at
"""

_FORGET = """
DELETE FROM assessment WHERE payment_id IN (
    SELECT payment_id FROM assessment AS old
    WHERE assessed_at < $1 AND NOT EXISTS (SELECT 1 FROM feedback WHERE feedback.payment_id = old.payment_id)
      AND NOT EXISTS (SELECT 1 FROM review WHERE review.payment_id = old.payment_id)
    ORDER BY assessed_at LIMIT $2)
"""


@dataclass(frozen=True, slots=True)
class Assessment:
    """The answer to a question about a payment."""

    payment_id: UUID
    score: int
    decision: Decision
    reasons: tuple[str, ...]
    assessed_at: datetime
    traceparent: str | None


@dataclass(frozen=True, slots=True)
class NewAssessment:
    """A scored payment, to be stored with everything that it was scored from; the amount in atoms."""

    payment_id: UUID
    intent_id: UUID
    user_id: UUID
    occurrence: int
    payer: str
    recipient: str
    token: str
    amount: int
    context: Context
    score: Score
    decision: Decision
    was_cached: bool
    requested_at: datetime
    traceparent: str | None


async def insert(connection: Connection, scored: Sequence[NewAssessment], now: datetime) -> set[UUID]:
    """Store assessments, and return the payments that had none."""
    rows = await connection.fetch(
        _INSERT,
        [one.payment_id for one in scored],
        [one.intent_id for one in scored],
        [one.user_id for one in scored],
        [one.occurrence for one in scored],
        [one.payer for one in scored],
        [one.recipient for one in scored],
        [one.token for one in scored],
        [one.amount for one in scored],
        [one.context.to_json() for one in scored],
        [one.score.total for one in scored],
        [one.score.rules for one in scored],
        [one.score.rules_version for one in scored],
        [one.score.model for one in scored],
        [one.score.model_version for one in scored],
        [one.decision.value for one in scored],
        [" ".join(one.score.reasons) for one in scored],
        [one.was_cached for one in scored],
        [one.requested_at for one in scored],
        [one.traceparent for one in scored],
        now,
    )
    return {row["payment_id"] for row in rows}


async def find_many(connection: Connection, payment_ids: Sequence[UUID]) -> dict[UUID, Assessment]:
    """Return the assessments that payments have, by payment."""
    rows = await connection.fetch(
        "SELECT payment_id, score, decision, reasons, assessed_at, traceparent FROM assessment"
        " WHERE payment_id = ANY($1::uuid[])",
        list(payment_ids),
    )
    return {
        row["payment_id"]: Assessment(
            payment_id=row["payment_id"],
            score=row["score"],
            decision=Decision(row["decision"]),
            reasons=tuple(row["reasons"]),
            assessed_at=row["assessed_at"],
            traceparent=row["traceparent"],
        )
        for row in rows
    }


async def find(database: Database, payment_id: UUID) -> Row | None:
    """Return the whole assessment of a payment, with its review where it has one."""
    return await database.fetch_row(
        "SELECT assessment.*, review.state, review.opened_at, review.closed_at, review.reviewer_id,"
        " review.note FROM assessment LEFT JOIN review USING (payment_id) WHERE payment_id = $1",
        payment_id,
    )


async def cached_scores(connection: Connection, keys: Sequence[bytes], now: datetime) -> dict[bytes, Score]:
    """Return the scores of contexts that were scored lately, by their keys."""
    rows = await connection.fetch(
        "SELECT * FROM score_cache WHERE context_key = ANY($1::bytea[]) AND expires_at > $2",
        list(set(keys)),
        now,
    )
    return {
        row["context_key"]: Score(
            total=row["score"],
            rules=row["rules_score"],
            model=row["model_score"],
            model_version=row["model_version"],
            rules_version=row["rules_version"],
            reasons=tuple(row["reasons"]),
        )
        for row in rows
    }


async def cache_scores(connection: Connection, scores: dict[bytes, Score], expires_at: datetime) -> None:
    """Keep scores for contexts that are the same."""
    columns: list[list[Any]] = [
        list(scores),
        [score.total for score in scores.values()],
        [score.rules for score in scores.values()],
        [score.rules_version for score in scores.values()],
        [score.model for score in scores.values()],
        [score.model_version for score in scores.values()],
        [" ".join(score.reasons) for score in scores.values()],
    ]
    await connection.execute(_CACHE, *columns, expires_at)


async def forget(connection: Connection, before: datetime, rows: int) -> int:
    """Delete assessments that nobody reviewed or gave feedback on, at most `rows`. Returns how many went."""
    status = await connection.execute(_FORGET, before, rows)
    return int(status.rpartition(" ")[2])
