"""Intents with their current orders."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from snowrail_chain.eip712 import Order
from snowrail_events.parts import IntentRecurrence
from snowrail_intent.domain.conditions import Comparison, Condition, ConditionKind
from snowrail_intent.domain.evaluation import EARLIER_PAYMENTS
from snowrail_intent.domain.intents import Intent, PayingWallet
from snowrail_intent.domain.recurrence import Recurrence
from snowrail_intent.domain.states import Status
from snowrail_intent.domain.terms import recurrence_of, recurrence_terms
from snowrail_kit.database import Connection, Row

_COLUMNS = """
intent.intent_id, user_id, version, status, paused, reason, payer, recipient, recipient_label, token,
token_address, amount, chain_id, escrow, signature, approval_amount, next_occurrence, not_before, expires_at,
estimated_gas, estimated_gas_price, waiting_since, next_check_at, traceparent, created_at, changed_at,
intent.order_hash, revision, valid_after, valid_until, max_gas_price, safety_buffer, min_interval,
max_executions, max_fee, salt, deposit, executed, chain_cancelled,
recurrence, condition_kind, condition_token, condition_comparison, condition_value, slot, slots, missed,
counted_on, warned_slot, last_result, last_result_at
"""
SELECT_INTENTS = (
    f"SELECT {_COLUMNS} FROM intent JOIN intent_order ON intent_order.order_hash = intent.order_hash"
)

_INSERT = """
INSERT INTO intent (intent_id, user_id, version, status, paused, payer, recipient, recipient_label, token,
    token_address, amount, chain_id, escrow, terms_key, order_hash, approval_amount, next_occurrence,
    not_before, expires_at, estimated_gas, estimated_gas_price, next_check_at, traceparent, created_at,
    changed_at, recurrence, condition_kind, condition_token, condition_comparison, condition_value, slots,
    counted_on)
SELECT intent_id, user_id, 1, status, false, payer, recipient, recipient_label, token, token_address, amount,
    chain_id, escrow, terms_key, order_hash, approval_amount, 0, not_before, expires_at, estimated_gas,
    estimated_gas_price, next_check_at, traceparent, created_at, created_at, recurrence, condition_kind,
    condition_token, condition_comparison, condition_value, slots, counted_on
FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[],
    $9::numeric[], $10::bigint[], $11::text[], $12::uuid[], $13::bytea[], $14::numeric[], $15::timestamptz[],
    $16::timestamptz[], $17::bigint[], $18::numeric[], $19::timestamptz[], $20::text[], $21::timestamptz[],
    $22::jsonb[], $23::text[], $24::text[], $25::text[], $26::numeric[], $27::integer[], $28::date[])
    AS new (intent_id, user_id, status, payer, recipient, recipient_label, token, token_address, amount,
        chain_id, escrow, terms_key, order_hash, approval_amount, not_before, expires_at, estimated_gas,
        estimated_gas_price, next_check_at, traceparent, created_at, recurrence, condition_kind,
        condition_token, condition_comparison, condition_value, slots, counted_on)
ON CONFLICT (intent_id) DO NOTHING
RETURNING intent_id
"""

_INSERT_ORDERS = """
INSERT INTO intent_order (order_hash, intent_id, revision, valid_after, valid_until, max_gas_price,
    safety_buffer, min_interval, max_executions, max_fee, salt)
SELECT * FROM unnest($1::bytea[], $2::uuid[], $3::integer[], $4::bigint[], $5::bigint[], $6::numeric[],
    $7::numeric[], $8::bigint[], $9::bigint[], $10::numeric[], $11::bytea[])
"""

_UPDATE = """
UPDATE intent SET version = new.version, status = new.status, paused = new.paused, reason = new.reason,
    recipient_label = new.recipient_label, signature = new.signature, order_hash = new.order_hash,
    approval_amount = new.approval_amount, next_occurrence = new.next_occurrence,
    not_before = new.not_before, expires_at = new.expires_at, waiting_since = new.waiting_since,
    next_check_at = new.next_check_at, changed_at = new.changed_at, slot = new.slot, slots = new.slots,
    missed = new.missed, counted_on = new.counted_on, warned_slot = new.warned_slot,
    last_result = new.last_result, last_result_at = new.last_result_at
FROM unnest($1::uuid[], $2::bigint[], $3::text[], $4::boolean[], $5::text[], $6::text[], $7::bytea[],
    $8::bytea[], $9::numeric[], $10::integer[], $11::timestamptz[], $12::timestamptz[], $13::timestamptz[],
    $14::timestamptz[], $15::timestamptz[], $16::bigint[], $17::integer[], $18::integer[], $19::integer[],
    $20::date[], $21::integer[], $22::text[], $23::timestamptz[])
    AS new (intent_id, version, status, paused, reason, recipient_label, signature, order_hash,
            approval_amount, next_occurrence, not_before, expires_at, waiting_since, next_check_at,
            changed_at, known_version, slot, slots, missed, counted_on, warned_slot, last_result,
            last_result_at)
WHERE intent.intent_id = new.intent_id AND intent.version = new.known_version
RETURNING intent.intent_id
"""


def to_intent(row: Row) -> Intent:
    """Return the intent of a row of `SELECT_INTENTS`."""
    order = Order(
        payer=row["payer"],
        recipient=row["recipient"],
        token=row["token_address"],
        amount=row["amount"],
        valid_after=row["valid_after"],
        valid_until=row["valid_until"],
        max_gas_price=row["max_gas_price"],
        safety_buffer=row["safety_buffer"],
        min_interval=row["min_interval"],
        max_executions=row["max_executions"],
        max_fee=row["max_fee"],
        salt=row["salt"],
    )
    return Intent(
        intent_id=row["intent_id"],
        user_id=row["user_id"],
        version=row["version"],
        status=Status(row["status"]),
        paused=row["paused"],
        reason=row["reason"],
        recipient_label=row["recipient_label"],
        token=row["token"],
        chain_id=row["chain_id"],
        escrow=row["escrow"],
        revision=row["revision"],
        order=order,
        order_hash=row["order_hash"],
        signature=row["signature"],
        deposit=row["deposit"],
        executed=row["executed"],
        chain_cancelled=row["chain_cancelled"],
        approval_amount=row["approval_amount"],
        next_occurrence=row["next_occurrence"],
        recurrence=_to_recurrence(row["recurrence"]),
        condition=_to_condition(row),
        slot=row["slot"],
        slots=row["slots"],
        missed=row["missed"],
        counted_on=row["counted_on"],
        warned_slot=row["warned_slot"],
        last_result=row["last_result"],
        last_result_at=row["last_result_at"],
        not_before=row["not_before"],
        expires_at=row["expires_at"],
        estimated_gas=row["estimated_gas"],
        estimated_gas_price=row["estimated_gas_price"],
        waiting_since=row["waiting_since"],
        next_check_at=row["next_check_at"],
        traceparent=row["traceparent"],
        created_at=row["created_at"],
        changed_at=row["changed_at"],
    )


def _to_recurrence(terms: dict[str, Any] | None) -> Recurrence | None:
    return None if terms is None else recurrence_of(IntentRecurrence.model_validate(terms))


def _to_condition(row: Row) -> Condition | None:
    if row["condition_kind"] is None:
        return None
    return Condition(
        ConditionKind(row["condition_kind"]),
        row["condition_token"],
        Comparison(row["condition_comparison"]),
        Decimal(row["condition_value"]),
    )


def _from_recurrence(recurrence: Recurrence | None) -> dict[str, Any] | None:
    return recurrence_terms(recurrence).model_dump(mode="json") if recurrence else None


async def find(connection: Connection, intent_ids: Iterable[UUID]) -> dict[UUID, Intent]:
    """Return intents by id, unlocked."""
    rows = await connection.fetch(
        f"{SELECT_INTENTS} WHERE intent.intent_id = ANY($1::uuid[])", list(intent_ids)
    )
    return {row["intent_id"]: to_intent(row) for row in rows}


async def lock(connection: Connection, intent_ids: Iterable[UUID]) -> dict[UUID, Intent]:
    """Return intents by id, locked in the order of their ids until the transaction ends."""
    # the lock may wait for a transaction that gives the intent another order: read the rows after it
    await connection.execute(
        "SELECT 1 FROM intent WHERE intent_id = ANY($1::uuid[]) ORDER BY intent_id FOR UPDATE",
        list(intent_ids),
    )
    return await find(connection, intent_ids)


async def lock_free(connection: Connection, intent_ids: Iterable[UUID]) -> dict[UUID, Intent]:
    """Lock those of the intents that nobody else holds, and return them by id."""
    rows = await connection.fetch(
        "SELECT intent_id FROM intent WHERE intent_id = ANY($1::uuid[]) ORDER BY intent_id"
        " FOR UPDATE SKIP LOCKED",
        list(intent_ids),
    )
    return await find(connection, [row["intent_id"] for row in rows])


async def find_due_for_check(connection: Connection, now: datetime, limit: int) -> list[Intent]:
    """Return intents whose next look is due, the longest overdue first."""
    rows = await connection.fetch(
        f"{SELECT_INTENTS} WHERE next_check_at <= $1 ORDER BY next_check_at LIMIT $2", now, limit
    )
    return [to_intent(row) for row in rows]


async def find_recent_terms(connection: Connection, terms_keys: Iterable[UUID], since: datetime) -> set[UUID]:
    """Return which of these terms were asked for since a moment and still stand."""
    rows = await connection.fetch(
        "SELECT DISTINCT terms_key FROM intent WHERE terms_key = ANY($1::uuid[]) AND created_at > $2"
        " AND status NOT IN ('cancelled', 'expired', 'failed')",
        list(terms_keys),
        since,
    )
    return {row["terms_key"] for row in rows}


async def insert(connection: Connection, intents: Sequence[Intent], terms_keys: Sequence[UUID]) -> set[UUID]:
    """Insert new intents with their orders. Returns the ids that were not there before."""
    rows = await connection.fetch(
        _INSERT,
        [intent.intent_id for intent in intents],
        [intent.user_id for intent in intents],
        [intent.status for intent in intents],
        [intent.order.payer for intent in intents],
        [intent.order.recipient for intent in intents],
        [intent.recipient_label for intent in intents],
        [intent.token for intent in intents],
        [intent.order.token for intent in intents],
        [intent.order.amount for intent in intents],
        [intent.chain_id for intent in intents],
        [intent.escrow for intent in intents],
        terms_keys,
        [intent.order_hash for intent in intents],
        [intent.approval_amount for intent in intents],
        [intent.not_before for intent in intents],
        [intent.expires_at for intent in intents],
        [intent.estimated_gas for intent in intents],
        [intent.estimated_gas_price for intent in intents],
        [intent.next_check_at for intent in intents],
        [intent.traceparent for intent in intents],
        [intent.created_at for intent in intents],
        [_from_recurrence(intent.recurrence) for intent in intents],
        [intent.condition and intent.condition.kind for intent in intents],
        [intent.condition and intent.condition.token for intent in intents],
        [intent.condition and intent.condition.comparison for intent in intents],
        [intent.condition and intent.condition.value for intent in intents],
        [intent.slots for intent in intents],
        [intent.counted_on for intent in intents],
    )
    inserted = {row["intent_id"] for row in rows}
    await insert_orders(connection, [intent for intent in intents if intent.intent_id in inserted])
    return inserted


async def insert_orders(connection: Connection, intents: Sequence[Intent]) -> None:
    """Insert the current orders of intents."""
    await connection.execute(
        _INSERT_ORDERS,
        [intent.order_hash for intent in intents],
        [intent.intent_id for intent in intents],
        [intent.revision for intent in intents],
        [intent.order.valid_after for intent in intents],
        [intent.order.valid_until for intent in intents],
        [intent.order.max_gas_price for intent in intents],
        [intent.order.safety_buffer for intent in intents],
        [intent.order.min_interval for intent in intents],
        [intent.order.max_executions for intent in intents],
        [intent.order.max_fee for intent in intents],
        [intent.order.salt for intent in intents],
    )


async def update(connection: Connection, intents: Sequence[Intent], known_versions: Sequence[int]) -> None:
    """Store changed intents that were locked at these versions."""
    rows = await connection.fetch(
        _UPDATE,
        [intent.intent_id for intent in intents],
        [intent.version for intent in intents],
        [intent.status for intent in intents],
        [intent.paused for intent in intents],
        [intent.reason for intent in intents],
        [intent.recipient_label for intent in intents],
        [intent.signature for intent in intents],
        [intent.order_hash for intent in intents],
        [intent.approval_amount for intent in intents],
        [intent.next_occurrence for intent in intents],
        [intent.not_before for intent in intents],
        [intent.expires_at for intent in intents],
        [intent.waiting_since for intent in intents],
        [intent.next_check_at for intent in intents],
        [intent.changed_at for intent in intents],
        known_versions,
        [intent.slot for intent in intents],
        [intent.slots for intent in intents],
        [intent.missed for intent in intents],
        [intent.counted_on for intent in intents],
        [intent.warned_slot for intent in intents],
        [intent.last_result for intent in intents],
        [intent.last_result_at for intent in intents],
    )
    assert len(rows) == len(intents), "locked intents do not change under us"


async def delay_check(connection: Connection, intents: Sequence[Intent]) -> None:
    """Store when unchanged intents are looked at next."""
    await connection.execute(
        "UPDATE intent SET next_check_at = new.next_check_at"
        " FROM unnest($1::uuid[], $2::timestamptz[]) AS new (intent_id, next_check_at)"
        " WHERE intent.intent_id = new.intent_id",
        [intent.intent_id for intent in intents],
        [intent.next_check_at for intent in intents],
    )


async def check_now(connection: Connection, chain_id: int, gas_price: int, now: datetime, limit: int) -> None:
    """Have intents looked at now that were delayed by a gas price that has come down to their ceiling."""
    await connection.execute(
        """
        UPDATE intent SET next_check_at = $3 WHERE intent_id IN (
            SELECT intent.intent_id FROM intent JOIN intent_order USING (order_hash)
            WHERE chain_id = $1 AND status = 'delayed' AND NOT paused AND max_gas_price >= $2
              AND next_check_at > $3
            ORDER BY intent.intent_id LIMIT $4 FOR UPDATE OF intent SKIP LOCKED)
        """,
        chain_id,
        gas_price,
        now,
        limit,
    )


async def check_priced(
    connection: Connection, symbol: str, price: Decimal, now: datetime, limit: int
) -> None:
    """Have intents looked at now that were delayed by a condition that this price in US dollars meets."""
    await connection.execute(
        """
        UPDATE intent SET next_check_at = $3 WHERE intent_id IN (
            SELECT intent_id FROM intent
            WHERE condition_token = $1 AND condition_kind = 'price' AND status = 'delayed' AND NOT paused
              AND CASE condition_comparison WHEN 'below' THEN $2 < condition_value
                  ELSE $2 > condition_value END
              AND next_check_at > $3
            ORDER BY intent_id LIMIT $4 FOR UPDATE SKIP LOCKED)
        """,
        symbol,
        price,
        now,
        limit,
    )


async def check_released(connection: Connection, wallets: Iterable[PayingWallet], now: datetime) -> None:
    """Have intents looked at now that waited for payments of these wallets to end."""
    asked = sorted(wallets)
    await connection.execute(
        """
        UPDATE intent SET next_check_at = $4 WHERE intent_id IN (
            SELECT intent_id FROM intent
            JOIN unnest($1::bigint[], $2::text[], $3::text[]) AS wallet (chain_id, address, token)
              ON payer = address AND token_address = wallet.token AND intent.chain_id = wallet.chain_id
            WHERE status = 'delayed' AND reason = $5 AND NOT paused AND next_check_at > $4
            ORDER BY intent_id FOR UPDATE OF intent SKIP LOCKED)
        """,
        [wallet.chain_id for wallet in asked],
        [wallet.address for wallet in asked],
        [wallet.token for wallet in asked],
        now,
        EARLIER_PAYMENTS,
    )
