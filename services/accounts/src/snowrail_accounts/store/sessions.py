"""Devices, sessions and refresh tokens."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from snowrail_accounts.domain.people import Account
from snowrail_accounts.domain.sessions import RefreshState
from snowrail_accounts.store.people import account_of
from snowrail_kit.database import Connection, Database


@dataclass(frozen=True, slots=True)
class Device:
    """Something a user signs in with; it is approved, or waits to be."""

    device_id: UUID
    label: str
    network_address: str
    first_seen_at: datetime
    last_seen_at: datetime
    approved_at: datetime | None


@dataclass(frozen=True, slots=True)
class Session:
    """A session that has not ended."""

    session_id: UUID
    device_id: UUID
    created_at: datetime
    last_used_at: datetime
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class PresentedToken:
    """A refresh token that was presented, with its session and user."""

    session_id: UUID
    device_id: UUID
    account: Account
    state: RefreshState


_DEVICE = "device_id, label, network_address, first_seen_at, last_seen_at, approved_at"
_SESSION = "session_id, device_id, created_at, last_used_at, expires_at"

_UPSERT_DEVICE = """
WITH before AS (
    SELECT removed_at FROM device WHERE user_id = $1 AND device_id = $2
)
INSERT INTO device (user_id, device_id, label, network_address, first_seen_at, last_seen_at, approved_at)
VALUES ($1, $2, $3, $4, $5::timestamptz, $5, CASE WHEN $6::boolean THEN $5 END)
ON CONFLICT (user_id, device_id) DO UPDATE
SET label = EXCLUDED.label, network_address = EXCLUDED.network_address, last_seen_at = EXCLUDED.last_seen_at,
    first_seen_at = CASE WHEN device.removed_at IS NULL THEN device.first_seen_at ELSE $5 END,
    approved_at = CASE WHEN device.removed_at IS NULL
                       THEN coalesce(device.approved_at, EXCLUDED.approved_at)
                       ELSE EXCLUDED.approved_at END,
    removed_at = NULL
RETURNING NOT EXISTS (SELECT 1 FROM before WHERE removed_at IS NULL) AS is_new, device_id, label,
          network_address, first_seen_at, last_seen_at, approved_at
"""

_FORGET_DEVICES = """
DELETE FROM device WHERE user_id = $1 AND device_id IN (
    SELECT device_id FROM device WHERE user_id = $1 ORDER BY last_seen_at DESC, device_id OFFSET $2)
"""

_END_OLDEST = """
UPDATE session SET ended_at = $2, end_reason = 'too_many' WHERE session_id IN (
    SELECT session_id FROM session WHERE user_id = $1 AND ended_at IS NULL
    ORDER BY last_used_at DESC, session_id DESC OFFSET $3)
"""

_PRESENT = """
SELECT session.session_id, session.device_id, token.used_at, token.expires_at AS token_expires_at,
       session.ended_at, session.expires_at AS session_expires_at, account.user_id, account.address,
       account.handle, account.roles, account.kyc_level, account.time_zone, account.version,
       account.created_at, account.changed_at
FROM refresh_token AS token JOIN session USING (session_id) JOIN account USING (user_id)
WHERE token_hash = $1 FOR UPDATE OF token, session
"""

_PRUNE = """
DELETE FROM session WHERE session_id IN (
    SELECT session_id FROM session WHERE expires_at <= $1 ORDER BY expires_at LIMIT $2)
"""


async def has_approved_device(connection: Connection, user_id: UUID, besides: UUID) -> bool:
    """Return whether a user has an approved device other than this one."""
    return bool(
        await connection.fetchval(
            "SELECT EXISTS (SELECT 1 FROM device WHERE user_id = $1 AND device_id <> $2"
            " AND removed_at IS NULL AND approved_at IS NOT NULL)",
            user_id,
            besides,
        )
    )


async def upsert_device(
    connection: Connection,
    user_id: UUID,
    device_id: UUID,
    label: str,
    network_address: str,
    now: datetime,
    approve: bool,
) -> tuple[Device, bool]:
    """Record that a user was seen on a device.

    Returns:
        the device, and whether it is new: never seen, or removed since.
    """
    row = await connection.fetchrow(_UPSERT_DEVICE, user_id, device_id, label, network_address, now, approve)
    assert row is not None, "the statement always returns its row"
    fields = dict(row)
    is_new = fields.pop("is_new")
    return Device(**fields), is_new


async def forget_devices(connection: Connection, user_id: UUID, keep: int) -> None:
    """Delete the devices, and their sessions, that were not seen for longest."""
    await connection.execute(_FORGET_DEVICES, user_id, keep)


async def devices(database: Database, user_id: UUID) -> list[Device]:
    """Return a user's devices, last seen first."""
    rows = await database.fetch(
        f"SELECT {_DEVICE} FROM device WHERE user_id = $1 AND removed_at IS NULL"
        " ORDER BY last_seen_at DESC, device_id",
        user_id,
    )
    return [Device(**dict(row)) for row in rows]


async def approve_device(connection: Connection, user_id: UUID, device_id: UUID, now: datetime) -> bool:
    """Approve a device. False when there is no such device."""
    found = await connection.fetchval(
        "UPDATE device SET approved_at = coalesce(approved_at, $3)"
        " WHERE user_id = $1 AND device_id = $2 AND removed_at IS NULL RETURNING device_id",
        user_id,
        device_id,
        now,
    )
    return found is not None


async def is_approved(connection: Connection, user_id: UUID, device_id: UUID) -> bool:
    """Return whether a user's device is there and approved."""
    return bool(
        await connection.fetchval(
            "SELECT EXISTS (SELECT 1 FROM device WHERE user_id = $1 AND device_id = $2"
            " AND removed_at IS NULL AND approved_at IS NOT NULL)",
            user_id,
            device_id,
        )
    )


async def label_of(connection: Connection, user_id: UUID, device_id: UUID) -> str:
    """Return what a device calls itself; empty when there is no such device."""
    label = await connection.fetchval(
        "SELECT label FROM device WHERE user_id = $1 AND device_id = $2", user_id, device_id
    )
    return label or ""


async def remove_device(
    connection: Connection, user_id: UUID, device_id: UUID, now: datetime
) -> list[UUID] | None:
    """Remove a device and end its sessions. Returns those; None when there is no such device."""
    found = await connection.fetchval(
        "UPDATE device SET removed_at = $3 WHERE user_id = $1 AND device_id = $2 AND removed_at IS NULL"
        " RETURNING device_id",
        user_id,
        device_id,
        now,
    )
    if found is None:
        return None
    rows = await connection.fetch(
        "UPDATE session SET ended_at = $3, end_reason = 'device_removed'"
        " WHERE user_id = $1 AND device_id = $2 AND ended_at IS NULL RETURNING session_id",
        user_id,
        device_id,
        now,
    )
    return [row["session_id"] for row in rows]


async def insert_session(connection: Connection, user_id: UUID, session: Session) -> None:
    """Begin a session."""
    await connection.execute(
        "INSERT INTO session (session_id, user_id, device_id, created_at, last_used_at, expires_at)"
        " VALUES ($1, $2, $3, $4, $5, $6)",
        session.session_id,
        user_id,
        session.device_id,
        session.created_at,
        session.last_used_at,
        session.expires_at,
    )


async def end_oldest_sessions(connection: Connection, user_id: UUID, now: datetime, keep: int) -> None:
    """End a user's sessions beyond a number, those unused for longest."""
    await connection.execute(_END_OLDEST, user_id, now, keep)


async def sessions(database: Database, user_id: UUID, now: datetime) -> list[Session]:
    """Return a user's live sessions, last used first."""
    rows = await database.fetch(
        f"SELECT {_SESSION} FROM session WHERE user_id = $1 AND ended_at IS NULL AND expires_at > $2"
        " ORDER BY last_used_at DESC, session_id",
        user_id,
        now,
    )
    return [Session(**dict(row)) for row in rows]


async def end_session(
    connection: Connection, user_id: UUID, session_id: UUID, reason: str, now: datetime
) -> bool:
    """End a session. False when this user has no such live session."""
    found = await connection.fetchval(
        "UPDATE session SET ended_at = $4, end_reason = $3"
        " WHERE user_id = $1 AND session_id = $2 AND ended_at IS NULL RETURNING session_id",
        user_id,
        session_id,
        reason,
        now,
    )
    return found is not None


async def insert_token(
    connection: Connection, token_hash: bytes, session_id: UUID, now: datetime, expires_at: datetime
) -> None:
    """Keep the hash of a new refresh token."""
    await connection.execute(
        "INSERT INTO refresh_token (token_hash, session_id, issued_at, expires_at) VALUES ($1, $2, $3, $4)",
        token_hash,
        session_id,
        now,
        expires_at,
    )


async def present_token(connection: Connection, token_hash: bytes) -> PresentedToken | None:
    """Return a refresh token with its session and user, locked against a second use at the same time."""
    row = await connection.fetchrow(_PRESENT, token_hash)
    if row is None:
        return None
    return PresentedToken(
        session_id=row["session_id"],
        device_id=row["device_id"],
        account=account_of(row),
        state=RefreshState(
            used_at=row["used_at"],
            expires_at=row["token_expires_at"],
            session_ended_at=row["ended_at"],
            session_expires_at=row["session_expires_at"],
        ),
    )


async def use_token(connection: Connection, token_hash: bytes, session_id: UUID, now: datetime) -> None:
    """Mark a refresh token as used, and its session as alive."""
    await connection.execute("UPDATE refresh_token SET used_at = $2 WHERE token_hash = $1", token_hash, now)
    await connection.execute("UPDATE session SET last_used_at = $2 WHERE session_id = $1", session_id, now)


async def prune(connection: Connection, now: datetime, rows: int) -> int:
    """Delete sessions past their end, with their tokens, at most `rows`. Returns how many went."""
    status = await connection.execute(_PRUNE, now, rows)
    return int(status.rpartition(" ")[2])
