"""HTTP routes of fraud: a score without consequences, the review queue, the lists."""

from dataclasses import asdict
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Query
from fastapi.responses import Response
from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from snowrail_events.fields import Address, Atoms, TokenId
from snowrail_fraud.domain.features import Context, features_of
from snowrail_fraud.domain.review import ReviewState
from snowrail_fraud.domain.rules import CERTAIN
from snowrail_fraud.parts import Parts
from snowrail_fraud.store import assessments, knowledge, reviews
from snowrail_fraud.store.knowledge import Question
from snowrail_fraud.usecases import administer, assess
from snowrail_kit import audit
from snowrail_kit.auth import CurrentIdentity, Identity, require_role
from snowrail_kit.database import Row
from snowrail_kit.idempotency import IdempotentOperation
from snowrail_kit.pagination import Cursor, Page, PageQuery
from snowrail_kit.problems import Problem, not_found
from snowrail_kit.service import parts_of
from snowrail_kit.unit_of_work import Transaction

router = APIRouter(tags=["fraud"])
PartsOf = Annotated[Parts, Depends(parts_of)]
Reviewer = Annotated[Identity, Depends(require_role("admin"))]
Reason = Annotated[str, StringConstraints(strip_whitespace=True, min_length=3, max_length=500)]
_MAX_LISTED_AT_ONCE = 1_000


class ListKind(StrEnum):
    """Why addresses are listed."""

    SANCTIONED = "sanctioned"
    REPORTED = "reported"


class _Request(BaseModel):
    model_config = ConfigDict(extra="forbid")


class ScoreRequest(_Request):
    """A payment that somebody thinks of making; the amount in atoms."""

    payer: Address
    recipient: Address
    token: TokenId
    amount: Atoms
    user_id: UUID | None = Field(default=None, description="Whose payment; administrators only.")


class ScoreAnswer(BaseModel):
    """How suspicious a payment would be: 0 harmless, 1 certain fraud."""

    score: str = Field(examples=["0.190"])
    score_thousandths: int
    decision: str
    reasons: tuple[str, ...]
    rules_version: str
    model_version: str | None


class AssessmentAnswer(ScoreAnswer):
    """An assessment with everything that it was made from, and its review where it has one."""

    payment_id: UUID
    user_id: UUID
    payer: str
    recipient: str
    token: str
    amount: Atoms
    context: dict[str, Any]
    assessed_at: datetime
    review: ReviewState | None
    opened_at: datetime | None
    closed_at: datetime | None
    reviewer_id: UUID | None
    note: str | None

    @classmethod
    def of(cls, row: Row) -> "AssessmentAnswer":
        """Return the answer about an assessment."""
        same = (
            *("payment_id", "user_id", "payer", "recipient", "token", "amount", "context", "assessed_at"),
            *("opened_at", "closed_at", "reviewer_id", "note", "decision", "rules_version", "model_version"),
        )
        return cls(
            **{name: row[name] for name in same},
            score=_decimal(row["score"]),
            score_thousandths=row["score"],
            reasons=tuple(row["reasons"]),
            review=row["state"],
        )


class DecisionRequest(_Request):
    """What the reviewer decided, and why."""

    approved: bool
    note: Annotated[str, StringConstraints(strip_whitespace=True, max_length=2_000)] = ""


class DecisionAnswer(BaseModel):
    """How a review ended."""

    payment_id: UUID
    state: ReviewState


class ListRequest(_Request):
    """Addresses to list, where they are known from, and why."""

    addresses: Annotated[list[Address], Field(min_length=1, max_length=_MAX_LISTED_AT_ONCE)]
    source: Reason
    reason: Reason


class ListAnswer(BaseModel):
    """Addresses that were not on the list before, in lower case."""

    added: list[str]


class ListedAnswer(BaseModel):
    """A listed address."""

    address: str
    source: str
    reason: str
    added_by: UUID
    added_at: datetime


class ExampleAnswer(BaseModel):
    """One example to train a model with: features as they are computed when scoring, and the truth."""

    payment_id: UUID
    source: str
    is_fraud: bool
    given_at: datetime
    features: dict[str, int]
    score_thousandths: int
    model_version: str | None


class AuditAnswer(BaseModel):
    """Whether the whole audit log fits together, and where it does not."""

    intact: bool
    entries: int
    broken_at: int | None


@router.post("/fraud")
async def score_payment(body: ScoreRequest, parts: PartsOf, identity: CurrentIdentity) -> ScoreAnswer:
    """Score a payment that is only described: nothing is stored, counted or decided."""
    if "admin" not in identity.roles and (
        body.user_id not in (None, identity.user_id) or body.payer.lower() != identity.address.lower()
    ):
        raise Problem(403, "role_required", "Only your own payments can be scored.")
    question = Question(body.user_id or identity.user_id, body.payer, body.recipient, body.token, body.amount)
    found = await assess.describe(parts, question)
    return ScoreAnswer(
        score=_decimal(found.total),
        score_thousandths=found.total,
        decision=parts.cutoffs.decide(found.total),
        reasons=found.reasons,
        rules_version=found.rules_version,
        model_version=found.model_version,
    )


@router.get("/assessments/{payment_id}")
async def read_assessment(payment_id: UUID, parts: PartsOf, _: Reviewer) -> AssessmentAnswer:
    """Return a payment's assessment."""
    row = await assessments.find(parts.database, payment_id)
    if row is None:
        raise not_found("assessment")
    return AssessmentAnswer.of(row)


@router.get("/reviews")
async def list_reviews(
    parts: PartsOf, _: Reviewer, request: PageQuery, state: ReviewState = ReviewState.OPEN
) -> Page[AssessmentAnswer]:
    """Return payments held for review, newest first."""
    rows = await reviews.page(parts.database, state, request)
    return _page(rows, request.limit, AssessmentAnswer.of, "opened_at", "payment_id")


@router.post("/reviews/{payment_id}/decision")
async def decide_review(
    payment_id: UUID, body: DecisionRequest, identity: Reviewer, operation: IdempotentOperation
) -> Response:
    """Release or block a held payment, once."""

    async def work(tx: Transaction) -> DecisionAnswer:
        state = await administer.decide(tx, identity, payment_id, body.approved, body.note)
        return DecisionAnswer(payment_id=payment_id, state=state)

    return await operation.run(200, work)


@router.get("/training-examples")
async def list_examples(parts: PartsOf, _: Reviewer, request: PageQuery) -> Page[ExampleAnswer]:
    """Return what reviewers found out, newest first, as examples to train a model with."""
    rows = await reviews.page_of_feedback(parts.database, request)
    return _page(rows, request.limit, _example, "given_at", "payment_id")


@router.get("/lists/{kind}")
async def list_addresses(
    kind: ListKind, parts: PartsOf, _: Reviewer, request: PageQuery
) -> Page[ListedAnswer]:
    """Return a list of addresses, newest first."""
    rows = await knowledge.page_of_listed(parts.database, kind.value, request)
    return _page(rows, request.limit, _listed, "added_at", "entry_id")


@router.post("/lists/{kind}")
async def add_addresses(kind: ListKind, body: ListRequest, parts: PartsOf, identity: Reviewer) -> ListAnswer:
    """Put addresses on a list. Repeating it changes nothing more."""
    added = await administer.add_to_list(
        parts, identity, kind.value, body.addresses, body.source, body.reason
    )
    return ListAnswer(added=added)


@router.delete("/lists/{kind}/{address}", status_code=204)
async def remove_address(
    kind: ListKind,
    address: Address,
    parts: PartsOf,
    identity: Reviewer,
    reason: Annotated[str, Query(min_length=3, max_length=500)],
) -> None:
    """Take an address off a list."""
    await administer.remove_from_list(parts, identity, kind.value, address, reason)


@router.get("/audit/verification")
async def verify_audit_log(parts: PartsOf, _: Reviewer) -> AuditAnswer:
    """Read the whole audit log and say whether any row was altered."""
    found = await audit.verify(parts.database)
    return AuditAnswer(intact=found.broken_at is None, entries=found.entries, broken_at=found.broken_at)


def _decimal(thousandths: int) -> str:
    whole, fraction = divmod(thousandths, CERTAIN)
    return f"{whole}.{fraction:03d}"


def _page(rows: list[Row], limit: int, answer: Any, at: str, row_id: str) -> Page[Any]:
    shown = rows[:limit]
    more = len(rows) > limit
    return Page(
        items=[answer(row) for row in shown],
        next=Cursor(shown[-1][at], shown[-1][row_id]).encode() if more else None,
    )


def _listed(row: Row) -> ListedAnswer:
    return ListedAnswer(**{name: row[name] for name in ListedAnswer.model_fields})


def _example(row: Row) -> ExampleAnswer:
    features = features_of(Context.from_json(row["context"]))
    return ExampleAnswer(
        payment_id=row["payment_id"],
        source=row["source"],
        is_fraud=row["is_fraud"],
        given_at=row["given_at"],
        features=asdict(features),
        score_thousandths=row["score"],
        model_version=row["model_version"],
    )
