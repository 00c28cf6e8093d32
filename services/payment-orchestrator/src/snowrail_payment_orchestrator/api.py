"""HTTP routes: a user's own payments and movements; the ledger for administrators."""

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends
from pydantic import BaseModel

from snowrail_kit.auth import CurrentIdentity, require_role
from snowrail_kit.database import Row
from snowrail_kit.pagination import Cursor, Page, PageQuery
from snowrail_kit.problems import not_found
from snowrail_kit.service import parts_of
from snowrail_payment_orchestrator.parts import Parts

router = APIRouter()
PartsOfService = Annotated[Parts, Depends(parts_of)]


class PaymentView(BaseModel):
    """A payment. Amounts are decimal strings of atoms."""

    payment_id: UUID
    intent_id: UUID
    occurrence: int
    payer: str
    recipient: str
    token: str
    amount: str
    fee: str
    status: str
    step: str
    attempt: int
    rail: str | None
    tx_hash: str | None
    block_number: int | None
    code: str | None
    reasons: list[str]
    requested_at: datetime
    changed_at: datetime


class Movement(BaseModel):
    """Money that reached or left a wallet, seen from that wallet."""

    payment_id: UUID
    direction: str
    counterparty: str
    token: str
    amount: str
    status: str
    tx_hash: str | None
    at: datetime


class PostingView(BaseModel):
    """One line of a journal; atoms are signed."""

    account: str
    token: str
    atoms: str


class JournalView(BaseModel):
    """A journal of the ledger."""

    journal_id: UUID
    kind: str
    reference: str
    recorded_at: datetime
    postings: list[PostingView]


_PAYMENTS = """
SELECT * FROM payment
WHERE user_id = $1 AND ($2::timestamptz IS NULL OR (requested_at, payment_id) < ($2, $3))
ORDER BY requested_at DESC, payment_id DESC LIMIT $4
"""

_MOVEMENTS = """
SELECT * FROM (
    (SELECT * FROM payment
     WHERE payer = $1 AND ($2::timestamptz IS NULL OR (requested_at, payment_id) < ($2, $3))
     ORDER BY requested_at DESC, payment_id DESC LIMIT $4)
    UNION ALL
    (SELECT * FROM payment
     WHERE recipient = $1 AND status = 'succeeded'
       AND ($2::timestamptz IS NULL OR (requested_at, payment_id) < ($2, $3))
     ORDER BY requested_at DESC, payment_id DESC LIMIT $4)
) AS movement
ORDER BY requested_at DESC, payment_id DESC LIMIT $4
"""

_JOURNALS = """
SELECT journal_id, kind, reference, recorded_at,
       jsonb_agg(jsonb_build_object('account', account, 'token', token, 'atoms', atoms::text) ORDER BY line)
       FILTER (WHERE line IS NOT NULL) AS postings
FROM (SELECT * FROM journal WHERE $1::timestamptz IS NULL OR (recorded_at, journal_id) < ($1, $2)
      ORDER BY recorded_at DESC, journal_id DESC LIMIT $3) AS page
LEFT JOIN posting USING (journal_id)
GROUP BY journal_id, kind, reference, recorded_at ORDER BY recorded_at DESC, journal_id DESC
"""


def _payment_view(row: Row) -> PaymentView:
    values: dict[str, Any] = {name: row[name] for name in PaymentView.model_fields}
    return PaymentView.model_validate({**values, "amount": str(row["amount"]), "fee": str(row["fee"])})


def _next(rows: list[Row], limit: int, at: str, row_id: str) -> str | None:
    return Cursor(rows[-1][at], rows[-1][row_id]).encode() if len(rows) == limit else None


@router.get("/payments")
async def list_payments(
    parts: PartsOfService, identity: CurrentIdentity, page: PageQuery
) -> Page[PaymentView]:
    """The caller's payments, newest first."""
    after = page.after
    rows = await parts.database.fetch(
        _PAYMENTS, identity.user_id, after and after.at, after and after.row_id, page.limit
    )
    return Page(
        items=[_payment_view(row) for row in rows], next=_next(rows, page.limit, "requested_at", "payment_id")
    )


@router.get("/payments/{payment_id}")
async def get_payment(payment_id: UUID, parts: PartsOfService, identity: CurrentIdentity) -> PaymentView:
    """One of the caller's payments; any payment for an administrator."""
    row = await parts.database.fetch_row("SELECT * FROM payment WHERE payment_id = $1", payment_id)
    if row is None or (row["user_id"] != identity.user_id and "admin" not in identity.roles):
        raise not_found("payment")
    return _payment_view(row)


@router.get("/user/history")
async def list_movements(parts: PartsOfService, identity: CurrentIdentity, page: PageQuery) -> Page[Movement]:
    """What the caller paid and received, newest first."""
    after = page.after
    rows = await parts.database.fetch(
        _MOVEMENTS, identity.address, after and after.at, after and after.row_id, page.limit
    )
    items = [
        Movement(
            payment_id=row["payment_id"],
            direction="sent" if row["payer"] == identity.address else "received",
            counterparty=row["recipient"] if row["payer"] == identity.address else row["payer"],
            token=row["token"],
            amount=str(row["amount"]),
            status=row["status"],
            tx_hash=row["tx_hash"],
            at=row["changed_at"],
        )
        for row in rows
    ]
    return Page(items=items, next=_next(rows, page.limit, "requested_at", "payment_id"))


@router.get("/ledger/journals", dependencies=[Depends(require_role("admin"))])
async def list_journals(parts: PartsOfService, page: PageQuery) -> Page[JournalView]:
    """The ledger's journals with their postings, newest first."""
    after = page.after
    rows = await parts.database.fetch(_JOURNALS, after and after.at, after and after.row_id, page.limit)
    items = [
        JournalView(
            journal_id=row["journal_id"],
            kind=row["kind"],
            reference=row["reference"],
            recorded_at=row["recorded_at"],
            postings=[PostingView(**line) for line in row["postings"] or []],
        )
        for row in rows
    ]
    return Page(items=items, next=_next(rows, page.limit, "recorded_at", "journal_id"))
