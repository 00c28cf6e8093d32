"""Users, their handles and their limits."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from snowrail_accounts.domain.people import Account, Limits
from snowrail_kit.database import Connection, Database, Row
from snowrail_kit.pagination import PageRequest

_COLUMNS = (
    "user_id, address, handle, roles, kyc_level, time_zone, version, account.created_at, account.changed_at"
)
_LIMITS = "per_transaction, per_day, per_month"


def account_of(row: Row) -> Account:
    """Return a row of `account` as a user."""
    return Account(
        user_id=row["user_id"],
        address=row["address"],
        handle=row["handle"],
        roles=tuple(row["roles"]),
        kyc_level=row["kyc_level"],
        time_zone=row["time_zone"],
        version=row["version"],
        created_at=row["created_at"],
        changed_at=row["changed_at"],
    )


async def lock_address(connection: Connection, address: str) -> None:
    """Have other sign-ins of this address wait until the transaction ends."""
    await connection.execute("SELECT pg_advisory_xact_lock(hashtextextended($1, 0))", address)


async def find_by_address(connection: Connection, address: str) -> Account | None:
    """Return the user of an address, locked."""
    row = await connection.fetchrow(f"SELECT {_COLUMNS} FROM account WHERE address = $1 FOR UPDATE", address)
    return account_of(row) if row else None


async def find_locked(connection: Connection, user_id: UUID) -> Account | None:
    """Return a user, locked."""
    row = await connection.fetchrow(f"SELECT {_COLUMNS} FROM account WHERE user_id = $1 FOR UPDATE", user_id)
    return account_of(row) if row else None


async def lock(connection: Connection, user_ids: Sequence[UUID]) -> None:
    """Lock users, in the order of their ids, against whatever changes them or their devices."""
    await connection.execute(
        "SELECT 1 FROM account WHERE user_id = ANY($1::uuid[]) ORDER BY user_id FOR UPDATE", user_ids
    )


async def find(database: Database, user_id: UUID) -> Account | None:
    """Return a user."""
    row = await database.fetch_row(f"SELECT {_COLUMNS} FROM account WHERE user_id = $1", user_id)
    return account_of(row) if row else None


async def find_by_handle(database: Database, handle: str) -> Account | None:
    """Return the user who goes by a handle now."""
    row = await database.fetch_row(f"SELECT {_COLUMNS} FROM account WHERE handle = $1", handle)
    return account_of(row) if row else None


async def page(database: Database, request: PageRequest) -> list[Account]:
    """Return users, newest first, one more than asked for when there are more."""
    rows = await database.fetch(
        f"SELECT {_COLUMNS} FROM account"
        " WHERE $1::timestamptz IS NULL OR (created_at, user_id) < ($1, $2::uuid)"
        " ORDER BY created_at DESC, user_id DESC LIMIT $3",
        request.after.at if request.after else None,
        request.after.row_id if request.after else None,
        request.limit + 1,
    )
    return [account_of(row) for row in rows]


async def claim_handle(connection: Connection, handle: str, user_id: UUID, now: datetime) -> bool:
    """Claim a handle for good. False when somebody else has or had it."""
    await connection.execute(
        "INSERT INTO handle_claim (handle, user_id, claimed_at) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING",
        handle,
        user_id,
        now,
    )
    owner = await connection.fetchval("SELECT user_id FROM handle_claim WHERE handle = $1", handle)
    return owner == user_id


async def count_handles(connection: Connection, user_id: UUID, besides: str) -> int:
    """Return how many handles a user holds on to, not counting one of them."""
    count = await connection.fetchval(
        "SELECT count(*) FROM handle_claim WHERE user_id = $1 AND handle <> $2", user_id, besides
    )
    return int(count or 0)


async def insert(connection: Connection, account: Account) -> None:
    """Add a user whose handle is claimed."""
    await connection.execute(
        "INSERT INTO account (user_id, address, handle, roles, kyc_level, time_zone, version,"
        " created_at, changed_at, last_sign_in_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $8)",
        account.user_id,
        account.address,
        account.handle,
        list(account.roles),
        account.kyc_level,
        account.time_zone,
        account.version,
        account.created_at,
        account.changed_at,
    )


async def update(connection: Connection, account: Account) -> None:
    """Write a changed user."""
    await connection.execute(
        "UPDATE account SET handle = $2, roles = $3, kyc_level = $4, time_zone = $5, version = $6,"
        " changed_at = $7 WHERE user_id = $1",
        account.user_id,
        account.handle,
        list(account.roles),
        account.kyc_level,
        account.time_zone,
        account.version,
        account.changed_at,
    )


async def mark_sign_in(connection: Connection, user_id: UUID, now: datetime) -> None:
    """Remember when a user signed in last."""
    await connection.execute("UPDATE account SET last_sign_in_at = $2 WHERE user_id = $1", user_id, now)


async def level_limits(connection: Connection, kyc_level: int) -> Limits:
    """Return the limits of a KYC level, locked."""
    row = await connection.fetchrow(
        f"SELECT {_LIMITS} FROM kyc_limit WHERE kyc_level = $1 FOR UPDATE", kyc_level
    )
    assert row is not None, "the migration wrote a row for every level"
    return Limits(**dict(row))


async def all_level_limits(database: Database) -> dict[int, Limits]:
    """Return the limits of every KYC level."""
    rows = await database.fetch(f"SELECT kyc_level, {_LIMITS} FROM kyc_limit ORDER BY kyc_level")
    return {row["kyc_level"]: _limits_of(row) for row in rows}


async def write_level_limits(connection: Connection, kyc_level: int, limits: Limits, now: datetime) -> None:
    """Set the limits of a KYC level."""
    await connection.execute(
        "UPDATE kyc_limit SET per_transaction = $2, per_day = $3, per_month = $4, changed_at = $5"
        " WHERE kyc_level = $1",
        kyc_level,
        limits.per_transaction,
        limits.per_day,
        limits.per_month,
        now,
    )


async def own_limits(connection: Connection, user_id: UUID) -> Limits | None:
    """Return the limits set for this user alone."""
    row = await connection.fetchrow(f"SELECT {_LIMITS} FROM account_limit WHERE user_id = $1", user_id)
    return Limits(**dict(row)) if row else None


async def write_own_limits(
    connection: Connection, user_id: UUID, limits: Limits | None, now: datetime
) -> None:
    """Set the limits of this user alone; None lets those of the KYC level apply again."""
    if limits is None:
        await connection.execute("DELETE FROM account_limit WHERE user_id = $1", user_id)
        return
    await connection.execute(
        "INSERT INTO account_limit (user_id, per_transaction, per_day, per_month, changed_at)"
        " VALUES ($1, $2, $3, $4, $5) ON CONFLICT (user_id) DO UPDATE SET"
        " per_transaction = EXCLUDED.per_transaction, per_day = EXCLUDED.per_day,"
        " per_month = EXCLUDED.per_month, changed_at = EXCLUDED.changed_at",
        user_id,
        limits.per_transaction,
        limits.per_day,
        limits.per_month,
        now,
    )


async def effective_limits(database: Database, user_id: UUID) -> tuple[int, Limits, bool] | None:
    """Return a user's KYC level, the limits that hold, and whether they are the user's own."""
    row = await database.fetch_row(
        "SELECT account.kyc_level, own.user_id IS NOT NULL AS is_own,"
        " coalesce(own.per_transaction, level.per_transaction) AS per_transaction,"
        " coalesce(own.per_day, level.per_day) AS per_day,"
        " coalesce(own.per_month, level.per_month) AS per_month"
        " FROM account JOIN kyc_limit AS level USING (kyc_level)"
        " LEFT JOIN account_limit AS own ON own.user_id = account.user_id WHERE account.user_id = $1",
        user_id,
    )
    return (row["kyc_level"], _limits_of(row), row["is_own"]) if row else None


def _limits_of(row: Row) -> Limits:
    return Limits(row["per_transaction"], row["per_day"], row["per_month"])
