"""The audit log: append-only, hash-chained, so that an altered, removed or inserted row shows (rule 15).

Each entry's hash covers the entry before it. The database refuses to change or delete rows; `verify` finds
the first one that somebody with more rights changed all the same. Cutting off the end of the chain leaves a
whole chain behind, so the newest position and hash are also written to the process's log.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import orjson
import structlog

from snowrail_kit.database import Connection, Database, Row

log = structlog.get_logger("audit")

AUDIT_LOCK = 0x0_5E0_0003
_GENESIS = bytes(32)
_VERIFY_BATCH_ROWS = 1_000

_STATEMENTS = (
    """
    CREATE TABLE audit_entry (
        position bigint PRIMARY KEY,
        recorded_at timestamptz NOT NULL,
        actor text NOT NULL,
        action text NOT NULL,
        subject text NOT NULL,
        details text NOT NULL,
        previous_hash bytea NOT NULL,
        hash bytea NOT NULL
    )
    """,
    "CREATE INDEX audit_entry_subject ON audit_entry (subject, position)",
    """
    CREATE FUNCTION audit_entry_is_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        RAISE EXCEPTION 'the audit log is append-only';
    END $$
    """,
    """
    CREATE TRIGGER audit_entry_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_entry
    FOR EACH STATEMENT EXECUTE FUNCTION audit_entry_is_append_only()
    """,
)

_APPEND = """
INSERT INTO audit_entry (position, recorded_at, actor, action, subject, details, previous_hash, hash)
SELECT position, $2, actor, action, subject, details, previous_hash, hash
FROM unnest($1::bigint[], $3::text[], $4::text[], $5::text[], $6::text[], $7::bytea[], $8::bytea[])
     AS entry (position, actor, action, subject, details, previous_hash, hash)
"""


@dataclass(frozen=True, slots=True)
class Act:
    """Something that was commanded, decided or administered.

    Attributes:
        actor: user id of who did it, or the name of the service that acted by itself.
        action: stable name such as `role.granted`.
        subject: what it was done to, such as a user id.
        details: the rest; JSON values.
    """

    actor: str
    action: str
    subject: str
    details: Mapping[str, Any] = field(default_factory=dict[str, Any])


@dataclass(frozen=True, slots=True)
class Verification:
    """What reading the whole chain found.

    Attributes:
        entries: how many entries fit their predecessor.
        broken_at: position of the first that does not, or None.
        head: hash of the last entry that fits.
    """

    entries: int
    broken_at: int | None
    head: bytes


def audit_statements() -> tuple[str, ...]:
    """Return the DDL of the audit log, for the migration of a service that keeps one."""
    return _STATEMENTS


def entry_hash(
    previous: bytes, position: int, recorded_at: datetime, actor: str, action: str, subject: str, details: str
) -> bytes:
    """Return the SHA-256 of an entry: its predecessor's hash, then each field with its length before it."""
    digest = hashlib.sha256(previous)
    moment = recorded_at.astimezone(UTC).isoformat(timespec="microseconds")
    for text in (str(position), moment, actor, action, subject, details):
        encoded = text.encode()
        digest.update(len(encoded).to_bytes(8, "big") + encoded)
    return digest.digest()


async def append(connection: Connection, acts: Sequence[Act], now: datetime) -> None:
    """Record acts in the transaction that performs them.

    Writers queue on a lock that is held until the transaction ends: append last.
    """
    if not acts:
        return
    await connection.execute("SELECT pg_advisory_xact_lock($1)", AUDIT_LOCK)
    last = await connection.fetchrow("SELECT position, hash FROM audit_entry ORDER BY position DESC LIMIT 1")
    position, previous = (last["position"], last["hash"]) if last else (0, _GENESIS)
    positions: list[int] = []
    details: list[str] = []
    hashes = [previous]
    for act in acts:
        position += 1
        positions.append(position)
        details.append(orjson.dumps(act.details, option=orjson.OPT_SORT_KEYS).decode())
        hashes.append(entry_hash(hashes[-1], position, now, act.actor, act.action, act.subject, details[-1]))
    await connection.execute(
        _APPEND,
        positions,
        now,
        [act.actor for act in acts],
        [act.action for act in acts],
        [act.subject for act in acts],
        details,
        hashes[:-1],
        hashes[1:],
    )
    log.info("audit", position=position, head=hashes[-1].hex(), action=acts[-1].action)


async def page(database: Database, before: int | None, subject: str | None, limit_rows: int) -> list[Row]:
    """Return entries, newest first.

    Args:
        before: only entries with a lower position.
        subject: only entries about this subject.
    """
    return await database.fetch(
        "SELECT * FROM audit_entry WHERE ($1::bigint IS NULL OR position < $1)"
        " AND ($2::text IS NULL OR subject = $2) ORDER BY position DESC LIMIT $3",
        before,
        subject,
        limit_rows,
    )


async def verify(database: Database) -> Verification:
    """Read the whole chain and return how far it holds."""
    position, head = 0, _GENESIS
    while True:
        rows = await database.fetch(
            "SELECT * FROM audit_entry WHERE position > $1 ORDER BY position LIMIT $2",
            position,
            _VERIFY_BATCH_ROWS,
        )
        for row in rows:
            if not _fits(row, position + 1, head):
                return Verification(position, position + 1, head)
            position, head = row["position"], row["hash"]
        if len(rows) < _VERIFY_BATCH_ROWS:
            return Verification(position, None, head)


def _fits(row: Row, position: int, head: bytes) -> bool:
    return (
        row["position"] == position
        and row["previous_hash"] == head
        and row["hash"]
        == entry_hash(
            head,
            position,
            row["recorded_at"],
            row["actor"],
            row["action"],
            row["subject"],
            row["details"],
        )
    )
