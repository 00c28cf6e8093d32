"""The review queue, and what reviewers taught us."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from snowrail_fraud.domain.review import ReviewState
from snowrail_kit.database import Connection, Database, Row
from snowrail_kit.pagination import PageRequest


@dataclass(frozen=True, slots=True)
class Review:
    """A review, locked for its decision."""

    payment_id: UUID
    user_id: UUID
    state: ReviewState
    traceparent: str | None


async def open_reviews(connection: Connection, payment_ids: Sequence[UUID], now: datetime) -> None:
    """Put payments into the queue."""
    await connection.execute(
        "INSERT INTO review (payment_id, opened_at) SELECT unnest($1::uuid[]), $2 ON CONFLICT DO NOTHING",
        list(payment_ids),
        now,
    )


async def lock(connection: Connection, payment_ids: Sequence[UUID]) -> list[Review]:
    """Return the reviews of payments, locked in the order of their ids."""
    rows = await connection.fetch(
        "SELECT review.payment_id, user_id, state, traceparent FROM review JOIN assessment USING (payment_id)"
        " WHERE review.payment_id = ANY($1::uuid[]) ORDER BY review.payment_id FOR UPDATE OF review",
        list(payment_ids),
    )
    return [
        Review(row["payment_id"], row["user_id"], ReviewState(row["state"]), row["traceparent"])
        for row in rows
    ]


async def close(
    connection: Connection,
    payment_ids: Sequence[UUID],
    state: ReviewState,
    reviewer_id: UUID | None,
    note: str,
    now: datetime,
) -> None:
    """Set reviews to their end."""
    await connection.execute(
        "UPDATE review SET state = $2, reviewer_id = $3, note = $4, closed_at = $5"
        " WHERE payment_id = ANY($1::uuid[])",
        list(payment_ids),
        state.value,
        reviewer_id,
        note,
        now,
    )


async def give_feedback(
    connection: Connection, payment_id: UUID, source: str, is_fraud: bool, given_by: UUID, now: datetime
) -> None:
    """Keep what somebody found out about a payment; the newest word of a source counts."""
    await connection.execute(
        "INSERT INTO feedback (payment_id, source, is_fraud, given_by, given_at) VALUES ($1, $2, $3, $4, $5)"
        " ON CONFLICT (payment_id, source) DO UPDATE SET is_fraud = EXCLUDED.is_fraud,"
        " given_by = EXCLUDED.given_by, given_at = EXCLUDED.given_at",
        payment_id,
        source,
        is_fraud,
        given_by,
        now,
    )


async def page(database: Database, state: ReviewState, request: PageRequest) -> list[Row]:
    """Return reviews in a state, newest first, one row more than asked for when there are more."""
    return await database.fetch(
        "SELECT assessment.*, state, opened_at, closed_at, reviewer_id, note"
        " FROM review JOIN assessment USING (payment_id) WHERE state = $1"
        " AND ($2::timestamptz IS NULL OR (opened_at, review.payment_id) < ($2, $3::uuid))"
        " ORDER BY opened_at DESC, review.payment_id DESC LIMIT $4",
        state.value,
        request.after.at if request.after else None,
        request.after.row_id if request.after else None,
        request.limit + 1,
    )


async def page_of_feedback(database: Database, request: PageRequest) -> list[Row]:
    """Return feedback with the contexts it is about, newest first, one row more when there are more."""
    return await database.fetch(
        "SELECT feedback.payment_id, source, is_fraud, given_at, context, score, model_version"
        " FROM feedback JOIN assessment USING (payment_id)"
        " WHERE $1::timestamptz IS NULL OR (given_at, feedback.payment_id) < ($1, $2::uuid)"
        " ORDER BY given_at DESC, feedback.payment_id DESC LIMIT $3",
        request.after.at if request.after else None,
        request.after.row_id if request.after else None,
        request.limit + 1,
    )
