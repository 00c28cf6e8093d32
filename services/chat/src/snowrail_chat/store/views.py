"""Intents and payments as their events tell them: reading."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any
from uuid import UUID

from snowrail_chat.domain.progress import OPEN_INTENT
from snowrail_chat.domain.values import IdPrefix
from snowrail_chat.domain.views import (
    IntentView,
    Movement,
    PaymentView,
    condition_part,
    part,
    plan_of,
    recurrence_part,
)
from snowrail_events.fields import OrderTerms
from snowrail_kit.database import Database, Row
from snowrail_kit.unit_of_work import Transaction

_VIEW_COLUMNS = """
intent.*, latest.payment_id, latest.occurrence, latest.version AS payment_version,
latest.status AS payment_status, latest.step, latest.changed_at AS payment_changed_at, latest.tx_hash,
latest.block_number, latest.fee, latest.code, latest.detail, latest.reasons,
NOT EXISTS (SELECT 1 FROM payment AS earlier WHERE earlier.user_id = intent.user_id
            AND earlier.recipient = intent.recipient AND earlier.status = 'succeeded') AS is_new_payee
"""


def view_columns() -> str:
    """Return the columns that `view_of` reads, of tables `intent` and `latest`, its latest payment."""
    return _VIEW_COLUMNS


_LATEST_PAYMENT = """
LEFT JOIN LATERAL (SELECT * FROM payment WHERE payment.intent_id = intent.intent_id
                   ORDER BY payment.occurrence DESC LIMIT 1) AS latest ON true
"""

_MATCHING = f"""
SELECT asked.ordinal, {_VIEW_COLUMNS}
FROM unnest($1::uuid[], $2::uuid[], $3::uuid[]) WITH ORDINALITY AS asked (user_id, low, high, ordinal)
CROSS JOIN LATERAL (SELECT * FROM intent WHERE intent.user_id = asked.user_id
                    AND intent.intent_id BETWEEN asked.low AND asked.high
                    ORDER BY intent.intent_id LIMIT 2) AS intent
{_LATEST_PAYMENT}
"""

_RECENT = f"""
SELECT {_VIEW_COLUMNS}
FROM unnest($1::uuid[]) AS asked (user_id)
CROSS JOIN LATERAL (SELECT * FROM intent WHERE intent.user_id = asked.user_id
                    AND intent.status = ANY($2::text[])
                    ORDER BY intent.created_at DESC, intent.intent_id LIMIT $3) AS intent
{_LATEST_PAYMENT}
"""

_PLANNED = f"""
SELECT {_VIEW_COLUMNS}
FROM unnest($1::uuid[]) AS asked (user_id)
CROSS JOIN LATERAL (SELECT * FROM intent WHERE intent.user_id = asked.user_id
                    AND intent.status = ANY($2::text[]) AND (%s)
                    ORDER BY (plan->>'next_run_at')::timestamptz NULLS LAST, intent.intent_id
                    LIMIT $3) AS intent
{_LATEST_PAYMENT}
"""
_RECURRING = _PLANNED % "jsonb_typeof(offer->'recurrence') = 'object' AND $4::timestamptz IS NOT NULL"
_SCHEDULED = _PLANNED % (
    "jsonb_typeof(offer->'condition') = 'object' OR (plan->>'next_run_at')::timestamptz > $4"
    " OR to_timestamp((offer->'order'->>'valid_after')::bigint) > $4"
)

_MOVEMENTS = """
SELECT asked.ordinal, moved.*, coalesce(intent.recipient_label, '') AS label
FROM unnest($1::uuid[], $2::text[], $3::integer[]) WITH ORDINALITY AS asked (user_id, address, n, ordinal)
CROSS JOIN LATERAL (
    (SELECT false AS incoming, payment_id, intent_id, recipient AS other, token, amount, status, changed_at
     FROM payment WHERE payment.user_id = asked.user_id ORDER BY changed_at DESC LIMIT asked.n)
    UNION ALL
    (SELECT true, payment_id, intent_id, payer, token, amount, 'received', changed_at
     FROM payment WHERE payment.recipient = asked.address AND payment.status = 'succeeded'
     ORDER BY changed_at DESC LIMIT asked.n)
    ORDER BY changed_at DESC, payment_id LIMIT asked.n
) AS moved
LEFT JOIN intent ON intent.intent_id = moved.intent_id AND NOT moved.incoming
ORDER BY asked.ordinal, moved.changed_at DESC, moved.payment_id
"""


async def next_cards(tx: Transaction, intent_ids: set[UUID]) -> list[tuple[IntentView, bytes | None]]:
    """Return intents whose cards may change, each with its next card version and its card's essence."""
    rows = await tx.fetch(
        f"SELECT {_VIEW_COLUMNS} FROM intent {_LATEST_PAYMENT} WHERE intent.intent_id = ANY($1::uuid[])",
        list(intent_ids),
    )
    return [
        (replace(view, card_version=view.card_version + 1), row["card_essence"])
        for row in rows
        for view in [view_of(row)]
    ]


async def save_cards(tx: Transaction, essences: Mapping[UUID, bytes]) -> None:
    """Count new versions of the cards of intents, and keep their essences."""
    await tx.execute(
        "UPDATE intent SET card_version = card_version + 1, card_essence = new.essence"
        " FROM unnest($1::uuid[], $2::bytea[]) AS new (intent_id, essence)"
        " WHERE intent.intent_id = new.intent_id",
        list(essences),
        list(essences.values()),
    )


async def matching(
    reader: Transaction | Database, asked: Sequence[tuple[UUID, IdPrefix]]
) -> list[list[IntentView]]:
    """Return for each user and beginning of an id the user's intents: none, one, or two of several."""
    if not asked:
        return []
    rows = await reader.fetch(
        _MATCHING,
        [user_id for user_id, _ in asked],
        [prefix.lowest for _, prefix in asked],
        [prefix.highest for _, prefix in asked],
    )
    found: list[list[IntentView]] = [[] for _ in asked]
    for row in rows:
        found[row["ordinal"] - 1].append(view_of(row))
    return found


async def recent(
    tx: Transaction, user_ids: set[UUID], statuses: frozenset[str], limit: int
) -> dict[UUID, list[IntentView]]:
    """Return the latest intents of users in these states, newest first, at most `limit` each."""
    if not user_ids:
        return {}
    rows = await tx.fetch(_RECENT, list(user_ids), list(statuses), limit)
    found: dict[UUID, list[IntentView]] = {}
    for row in rows:
        found.setdefault(row["user_id"], []).append(view_of(row))
    return found


async def planned(
    tx: Transaction, user_ids: set[UUID], limit: int, *, recurring: bool
) -> dict[UUID, list[IntentView]]:
    """Return open intents of users that repeat, or that wait for a time or condition; the next ones first."""
    rows = await tx.fetch(
        _RECURRING if recurring else _SCHEDULED, list(user_ids), list(OPEN_INTENT), limit, tx.now
    )
    found: dict[UUID, list[IntentView]] = {}
    for row in rows:
        found.setdefault(row["user_id"], []).append(view_of(row))
    return found


async def movements(tx: Transaction, asked: Sequence[tuple[UUID, str, int]]) -> list[list[Movement]]:
    """Return for each user, address and count the last payments made, or received at the address."""
    if not asked:
        return []
    rows = await tx.fetch(
        _MOVEMENTS,
        [user_id for user_id, _, _ in asked],
        [address for _, address, _ in asked],
        [count for _, _, count in asked],
    )
    found: list[list[Movement]] = [[] for _ in asked]
    for row in rows:
        found[row["ordinal"] - 1].append(
            Movement(
                intent_id=row["intent_id"],
                incoming=row["incoming"],
                other=row["other"],
                label=row["label"],
                token=row["token"],
                amount=row["amount"],
                status=row["status"],
                at=row["changed_at"],
            )
        )
    return found


async def suggest_open(database: Database, user_id: UUID, prefix: str, limit: int) -> list[Row]:
    """Return a user's open intents whose id begins with these digits, newest first."""
    return await database.fetch(
        """
        SELECT intent_id, recipient, recipient_label, token, amount, status FROM intent
        WHERE user_id = $1 AND status = ANY($2::text[])
          AND starts_with(replace(intent_id::text, '-', ''), lower($3))
        ORDER BY created_at DESC LIMIT $4
        """,
        user_id,
        list(OPEN_INTENT),
        prefix.replace("-", ""),
        limit,
    )


def view_of(row: Row) -> IntentView:
    """Return an intent and its latest payment from a row with `view_columns`."""
    offer: dict[str, Any] = row["offer"]
    return IntentView(
        intent_id=row["intent_id"],
        user_id=row["user_id"],
        version=row["version"],
        status=row["status"],
        reason=row["reason"],
        payer=row["payer"],
        recipient=row["recipient"],
        recipient_label=row["recipient_label"],
        token=row["token"],
        amount=row["amount"],
        order_hash=row["order_hash"],
        expires_at=row["expires_at"],
        created_at=row["created_at"],
        changed_at=row["changed_at"],
        order=OrderTerms.model_validate(offer["order"]),
        order_terms_hash=offer["order_hash"],
        escrow=offer["escrow"],
        chain_id=offer["chain_id"],
        authorisation=offer["authorisation"],
        transaction=part(offer["transaction"]),
        approval=part(offer["approval"]),
        next_step=part(row["next_step"]),
        estimated_gas=offer["estimated_gas"],
        estimated_gas_price=int(offer["estimated_gas_price"]),
        fee_payer=offer["fee_payer"],
        refunded=row["refunded"],
        card_version=row["card_version"],
        is_new_payee=row["is_new_payee"],
        condition=condition_part(offer.get("condition")),
        recurrence=recurrence_part(offer.get("recurrence")),
        plan=plan_of(row["plan"]),
        payment=_payment(row) if row["payment_id"] is not None else None,
    )


def _payment(row: Row) -> PaymentView:
    return PaymentView(
        payment_id=row["payment_id"],
        intent_id=row["intent_id"],
        user_id=row["user_id"],
        occurrence=row["occurrence"],
        version=row["payment_version"],
        status=row["payment_status"],
        step=row["step"],
        payer=row["payer"],
        recipient=row["recipient"],
        token=row["token"],
        amount=row["amount"],
        changed_at=row["payment_changed_at"],
        tx_hash=row["tx_hash"],
        block_number=row["block_number"],
        fee=row["fee"],
        code=row["code"],
        detail=row["detail"],
        reasons=tuple(row["reasons"]),
    )
