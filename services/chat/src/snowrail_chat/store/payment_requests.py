"""Payments that users ask others for."""

from collections.abc import Collection, Sequence
from datetime import datetime
from uuid import UUID

from snowrail_chat.domain.payment_requests import PaymentRequest
from snowrail_kit.database import Database, Row
from snowrail_kit.unit_of_work import Transaction

_COLUMNS = "code, message_id, user_id, handle, address, token, amount, memo, made_at, expires_at"

_SAVE = f"""
INSERT INTO payment_request ({_COLUMNS})
SELECT * FROM unnest($1::text[], $2::uuid[], $3::uuid[], $4::text[], $5::text[], $6::text[], $7::numeric[],
                     $8::text[], $9::timestamptz[], $10::timestamptz[])
"""


async def save(tx: Transaction, requests: Sequence[PaymentRequest]) -> None:
    """Store requests, each new."""
    if not requests:
        return
    await tx.execute(
        _SAVE,
        [request.code for request in requests],
        [request.message_id for request in requests],
        [request.user_id for request in requests],
        [request.handle for request in requests],
        [request.address for request in requests],
        [request.token for request in requests],
        [request.amount for request in requests],
        [request.memo for request in requests],
        [request.made_at for request in requests],
        [request.expires_at for request in requests],
    )


async def by_code(reader: Transaction | Database, codes: Collection[str]) -> dict[str, PaymentRequest]:
    """Return requests by their codes, expired ones too."""
    rows = await reader.fetch(
        f"SELECT {_COLUMNS} FROM payment_request WHERE code = ANY($1::text[])", list(codes)
    )
    return {row["code"]: _request(row) for row in rows}


async def open_of(
    tx: Transaction, user_ids: Collection[UUID], limit: int
) -> dict[UUID, list[PaymentRequest]]:
    """Return the latest requests of users that have not expired, at most `limit` each."""
    rows = await tx.fetch(
        f"""
        SELECT {", ".join(f"asked.{column.strip()}" for column in _COLUMNS.split(","))}
        FROM unnest($1::uuid[]) AS wanted (user_id)
        CROSS JOIN LATERAL (SELECT {_COLUMNS} FROM payment_request
                            WHERE payment_request.user_id = wanted.user_id AND expires_at > $2
                            ORDER BY expires_at DESC, code LIMIT $3) AS asked
        """,
        list(set(user_ids)),
        tx.now,
        limit,
    )
    found: dict[UUID, list[PaymentRequest]] = {}
    for row in rows:
        found.setdefault(row["user_id"], []).append(_request(row))
    return found


async def prune(tx: Transaction, before: datetime, limit: int) -> bool:
    """Forget requests that expired before a time. Returns whether there may be more."""
    status = await tx.connection.execute(
        "DELETE FROM payment_request WHERE code IN"
        " (SELECT code FROM payment_request WHERE expires_at < $1 ORDER BY expires_at LIMIT $2)",
        before,
        limit,
    )
    return status == f"DELETE {limit}"


def _request(row: Row) -> PaymentRequest:
    return PaymentRequest(**row)
