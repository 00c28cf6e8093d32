"""What is known before a payment is asked about: users, lists, histories."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from snowrail_fraud.domain.features import Context
from snowrail_kit.database import Connection, Database, Row
from snowrail_kit.pagination import PageRequest

_CONTEXTS = """
WITH asked AS (
    SELECT position, user_id, lower(payer) AS payer, lower(recipient) AS recipient, token, amount
    FROM unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::numeric[])
         WITH ORDINALITY AS asked (user_id, payer, recipient, token, amount, position)
), ranked AS (
    SELECT asked.*,
           row_number() OVER (PARTITION BY payer ORDER BY position) - 1 AS payments_ahead,
           sum(amount) OVER (PARTITION BY payer, token ORDER BY position ROWS UNBOUNDED PRECEDING) - amount
               AS amount_ahead
    FROM asked
)
SELECT ranked.amount, person.registered_at,
       CASE WHEN person.new_device_at > person.registered_at THEN person.new_device_at END AS new_device_at,
       coalesce(person.roles @> ARRAY['business'], false) AS is_business,
       coalesce(listed.sanctioned, false) AS is_sanctioned, coalesce(listed.reported, false) AS is_reported,
       coalesce(payee.payments, 0) AS payee_payments,
       payee.payments IS NULL AND EXISTS (
           SELECT 1 FROM payee AS known
           WHERE known.payer = ranked.payer AND known.recipient <> ranked.recipient
             AND known.outline = substr(ranked.recipient, 3, 4) || right(ranked.recipient, 4)
       ) AS is_look_alike,
       coalesce(history.payments, 0) AS history_payments, coalesce(history.total, 0) AS history_total,
       coalesce(history.largest, 0) AS history_largest, history.first_at AS history_first_at,
       coalesce(hour.payments, 0) + payments_ahead AS hour_payments,
       coalesce(day.payments, 0) + payments_ahead AS day_payments,
       coalesce(hour.amount, 0) + amount_ahead AS hour_amount,
       coalesce(day.amount, 0) + amount_ahead AS day_amount
FROM ranked
LEFT JOIN payer AS person ON person.user_id = ranked.user_id
LEFT JOIN payee ON payee.payer = ranked.payer AND payee.recipient = ranked.recipient
LEFT JOIN payment_history AS history ON history.payer = ranked.payer AND history.token = ranked.token
LEFT JOIN LATERAL (
    SELECT bool_or(kind = 'sanctioned') AS sanctioned, bool_or(kind = 'reported') AS reported
    FROM listed_address WHERE address IN (ranked.payer, ranked.recipient)
) AS listed ON true
LEFT JOIN LATERAL (
    SELECT sum(payments) AS payments, sum(amount) FILTER (WHERE token = ranked.token) AS amount
    FROM velocity WHERE payer = ranked.payer AND period = 'minute'
      AND starts_at > $6::timestamptz - interval '1 hour'
) AS hour ON true
LEFT JOIN LATERAL (
    SELECT sum(payments) AS payments, sum(amount) FILTER (WHERE token = ranked.token) AS amount
    FROM velocity WHERE payer = ranked.payer AND period = 'hour'
      AND starts_at > $6::timestamptz - interval '1 day'
) AS day ON true
ORDER BY position
"""

_COUNT_VELOCITY = """
INSERT INTO velocity AS known (payer, period, starts_at, token, payments, amount)
SELECT lower(payer), period, date_trunc(period, $4::timestamptz, 'UTC'), token, count(*), sum(amount)
FROM unnest($1::text[], $2::text[], $3::numeric[]) AS asked (payer, token, amount),
     unnest(ARRAY['hour', 'minute']) AS period
GROUP BY lower(payer), period, token ORDER BY lower(payer), period, token
ON CONFLICT (payer, period, starts_at, token) DO UPDATE
SET payments = known.payments + EXCLUDED.payments, amount = known.amount + EXCLUDED.amount
"""

_FIRST_HEARD = """
INSERT INTO learnt_payment (payment_id, succeeded_at)
SELECT * FROM unnest($1::uuid[], $2::timestamptz[]) ON CONFLICT DO NOTHING RETURNING payment_id
"""

_LEARN_PAYEES = """
INSERT INTO payee AS known (payer, recipient, payments, first_paid_at, last_paid_at)
SELECT lower(payer), lower(recipient), count(*), min(paid_at), max(paid_at)
FROM unnest($1::text[], $2::text[], $3::timestamptz[]) AS paid (payer, recipient, paid_at)
GROUP BY lower(payer), lower(recipient) ORDER BY lower(payer), lower(recipient)
ON CONFLICT (payer, recipient) DO UPDATE
SET payments = known.payments + EXCLUDED.payments,
    first_paid_at = least(known.first_paid_at, EXCLUDED.first_paid_at),
    last_paid_at = greatest(known.last_paid_at, EXCLUDED.last_paid_at)
"""

_LEARN_AMOUNTS = """
INSERT INTO payment_history AS known (payer, token, payments, total, largest, first_at)
SELECT lower(payer), token, count(*), sum(amount), max(amount), min(paid_at)
FROM unnest($1::text[], $2::text[], $3::numeric[], $4::timestamptz[]) AS paid (payer, token, amount, paid_at)
GROUP BY lower(payer), token ORDER BY lower(payer), token
ON CONFLICT (payer, token) DO UPDATE
SET payments = known.payments + EXCLUDED.payments, total = known.total + EXCLUDED.total,
    largest = greatest(known.largest, EXCLUDED.largest), first_at = least(known.first_at, EXCLUDED.first_at)
"""

_PROJECT_USERS = """
INSERT INTO payer AS known (user_id, roles, version, registered_at)
SELECT user_id, string_to_array(roles, ' '), version, registered_at
FROM unnest($1::uuid[], $2::text[], $3::bigint[], $4::timestamptz[])
     AS told (user_id, roles, version, registered_at)
ORDER BY user_id
ON CONFLICT (user_id) DO UPDATE
SET roles = CASE WHEN EXCLUDED.version > known.version THEN EXCLUDED.roles ELSE known.roles END,
    version = greatest(known.version, EXCLUDED.version),
    registered_at = coalesce(known.registered_at, EXCLUDED.registered_at)
"""

_NOTE_DEVICES = """
INSERT INTO payer AS known (user_id, new_device_at)
SELECT user_id, max(seen_at) FROM unnest($1::uuid[], $2::timestamptz[]) AS told (user_id, seen_at)
GROUP BY user_id ORDER BY user_id
ON CONFLICT (user_id) DO UPDATE SET new_device_at = greatest(known.new_device_at, EXCLUDED.new_device_at)
"""

_ADD_LISTED = """
INSERT INTO listed_address (address, kind, source, reason, added_by, added_at, entry_id)
SELECT lower(address), $2, $3, $4, $5, $6, entry_id
FROM unnest($1::text[], $7::uuid[]) AS told (address, entry_id)
ON CONFLICT (address, kind) DO NOTHING
RETURNING address
"""

_PRUNE = {
    "velocity": "starts_at < $1::timestamptz - interval '2 days'",
    "learnt_payment": "succeeded_at < $1::timestamptz - interval '90 days'",
    "score_cache": "expires_at <= $1::timestamptz",
}


@dataclass(frozen=True, slots=True)
class Question:
    """A payment as the rules see it; the amount in atoms."""

    user_id: UUID
    payer: str
    recipient: str
    token: str
    amount: int


@dataclass(frozen=True, slots=True)
class Success:
    """A payment that is final."""

    payment_id: UUID
    payer: str
    recipient: str
    token: str
    amount: int
    succeeded_at: datetime


@dataclass(frozen=True, slots=True)
class UserState:
    """A user as an event told it; `registered_at` only when the event was the registration."""

    user_id: UUID
    roles: tuple[str, ...]
    version: int
    registered_at: datetime | None


async def contexts(connection: Connection, questions: Sequence[Question], now: datetime) -> list[Context]:
    """Return what is known about each payment, counting those ahead of it in the same list."""
    rows = await connection.fetch(
        _CONTEXTS,
        [question.user_id for question in questions],
        [question.payer for question in questions],
        [question.recipient for question in questions],
        [question.token for question in questions],
        [question.amount for question in questions],
        now,
    )
    return [Context(asked_at=now, **dict(row)) for row in rows]


async def count_velocity(connection: Connection, questions: Sequence[Question], now: datetime) -> None:
    """Count payments that were asked about, under the current minute and hour."""
    await connection.execute(
        _COUNT_VELOCITY,
        [question.payer for question in questions],
        [question.token for question in questions],
        [question.amount for question in questions],
        now,
    )


async def learn(connection: Connection, successes: Sequence[Success]) -> None:
    """Add final payments to their payers' histories; one heard of before changes nothing."""
    rows = await connection.fetch(
        _FIRST_HEARD,
        [success.payment_id for success in successes],
        [success.succeeded_at for success in successes],
    )
    heard = {row["payment_id"] for row in rows}
    by_id = {success.payment_id: success for success in successes}
    fresh = [by_id[payment_id] for payment_id in sorted(heard)]
    payers = [success.payer for success in fresh]
    times = [success.succeeded_at for success in fresh]
    await connection.execute(_LEARN_PAYEES, payers, [success.recipient for success in fresh], times)
    await connection.execute(
        _LEARN_AMOUNTS,
        payers,
        [success.token for success in fresh],
        [success.amount for success in fresh],
        times,
    )


async def project_users(connection: Connection, states: Sequence[UserState]) -> None:
    """Keep users as the newest event about each has them."""
    newest: dict[UUID, UserState] = {}
    registered = {state.user_id: state.registered_at for state in states if state.registered_at}
    for state in states:
        if state.user_id not in newest or state.version > newest[state.user_id].version:
            newest[state.user_id] = state
    chosen = list(newest.values())
    await connection.execute(
        _PROJECT_USERS,
        [state.user_id for state in chosen],
        [" ".join(state.roles) for state in chosen],
        [state.version for state in chosen],
        [registered.get(state.user_id) for state in chosen],
    )


async def note_new_devices(connection: Connection, seen: Sequence[tuple[UUID, datetime]]) -> None:
    """Remember when users signed in on devices never seen before."""
    await connection.execute(_NOTE_DEVICES, [user_id for user_id, _ in seen], [at for _, at in seen])


async def add_listed(
    connection: Connection,
    addresses: Sequence[str],
    kind: str,
    source: str,
    reason: str,
    added_by: UUID,
    now: datetime,
    entry_ids: Sequence[UUID],
) -> list[str]:
    """Put addresses on a list; return those that were not on it, in lower case."""
    rows = await connection.fetch(
        _ADD_LISTED, list(addresses), kind, source, reason, added_by, now, list(entry_ids)
    )
    return sorted(row["address"] for row in rows)


async def remove_listed(connection: Connection, address: str, kind: str) -> bool:
    """Take an address off a list. False when it was not on it."""
    found = await connection.fetchval(
        "DELETE FROM listed_address WHERE address = lower($1) AND kind = $2 RETURNING address", address, kind
    )
    return found is not None


async def page_of_listed(database: Database, kind: str, request: PageRequest) -> list[Row]:
    """Return a list, newest first, one row more than asked for when there are more."""
    return await database.fetch(
        "SELECT * FROM listed_address WHERE kind = $1"
        " AND ($2::timestamptz IS NULL OR (added_at, entry_id) < ($2, $3::uuid))"
        " ORDER BY added_at DESC, entry_id DESC LIMIT $4",
        kind,
        request.after.at if request.after else None,
        request.after.row_id if request.after else None,
        request.limit + 1,
    )


async def prune(connection: Connection, now: datetime, rows: int) -> int:
    """Delete what no score looks at any more, at most `rows` per table. Returns the most of one table."""
    most = 0
    for table, condition in _PRUNE.items():
        status = await connection.execute(
            f"DELETE FROM {table} WHERE ctid IN"
            f" (SELECT ctid FROM {table} WHERE {condition} LIMIT $2 FOR UPDATE SKIP LOCKED)",
            now,
            rows,
        )
        most = max(most, int(status.rpartition(" ")[2]))
    return most
