"""Nonces and rate limits."""

from datetime import datetime

from snowrail_accounts.domain.rates import RateLimit
from snowrail_accounts.domain.sign_in import IssuedNonce
from snowrail_kit.database import Connection

_TAKE = """
INSERT INTO rate_limit AS bucket (key, full_at) VALUES ($1, $2::timestamptz + $3::interval)
ON CONFLICT (key) DO UPDATE SET full_at = greatest(bucket.full_at, $2) + $3
WHERE greatest(bucket.full_at, $2) + $3 <= $2 + $4::interval
RETURNING full_at
"""


async def insert_nonce(connection: Connection, issued: IssuedNonce) -> None:
    """Keep a nonce that was given out."""
    await connection.execute(
        "INSERT INTO sign_in_nonce (nonce, address, chain_id, issued_at, expires_at)"
        " VALUES ($1, $2, $3, $4, $5)",
        issued.nonce,
        issued.address,
        issued.chain_id,
        issued.issued_at,
        issued.expires_at,
    )


async def consume_nonce(connection: Connection, nonce: str, now: datetime) -> IssuedNonce | None:
    """Take a nonce out, once for ever. None when it is unknown, used or expired."""
    row = await connection.fetchrow(
        "DELETE FROM sign_in_nonce WHERE nonce = $1"
        " RETURNING nonce, address, chain_id, issued_at, expires_at",
        nonce,
    )
    if row is None or row["expires_at"] <= now:
        return None
    return IssuedNonce(**dict(row))


async def take(connection: Connection, limit: RateLimit, subject: str, now: datetime) -> int | None:
    """Count one more of something. Returns None, or in how many seconds it is allowed again."""
    key = limit.key(subject)
    taken = await connection.fetchval(_TAKE, key, now, limit.interval, limit.period)
    if taken is not None:
        return None
    row = await connection.fetchrow(
        "SELECT coalesce(max(full_at), $2::timestamptz) AS full_at FROM rate_limit WHERE key = $1", key, now
    )
    assert row is not None, "an aggregate always returns a row"
    return limit.retry_after_seconds(row["full_at"], now)


async def prune(connection: Connection, now: datetime, rows: int) -> int:
    """Delete expired nonces and full buckets, at most `rows` of each. Returns how many went."""
    deleted = 0
    for statement in (
        "DELETE FROM sign_in_nonce WHERE nonce IN"
        " (SELECT nonce FROM sign_in_nonce WHERE expires_at <= $1 LIMIT $2)",
        "DELETE FROM rate_limit WHERE key IN"
        " (SELECT key FROM rate_limit WHERE full_at <= $1 LIMIT $2 FOR UPDATE SKIP LOCKED)",
    ):
        status = await connection.execute(statement, now, rows)
        deleted += int(status.rpartition(" ")[2])
    return deleted
