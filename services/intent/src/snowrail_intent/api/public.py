"""A user's own intents."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response

from snowrail_intent.api.answers import ServiceParts, find_own, problem_of, view
from snowrail_intent.api.models import (
    AuthoriseIntent,
    CreateIntent,
    EditIntent,
    IntentDetail,
    IntentSummary,
    summary,
)
from snowrail_intent.domain.intents import Intent
from snowrail_intent.domain.refusals import Refusal
from snowrail_intent.domain.requests import CreateRequest
from snowrail_intent.domain.signatures import Authorisation
from snowrail_intent.domain.states import Status
from snowrail_intent.parts import Parts
from snowrail_intent.store import listing
from snowrail_intent.usecases.authorise import authorise_all, read_for_ids
from snowrail_intent.usecases.cancel import cancel_all
from snowrail_intent.usecases.create import create_all, read_for_requests, read_terms
from snowrail_intent.usecases.edit import Edit, edit
from snowrail_intent.usecases.hold import hold_all
from snowrail_kit.auth import CurrentIdentity
from snowrail_kit.idempotency import IdempotentOperation
from snowrail_kit.ids import derived_id
from snowrail_kit.pagination import Cursor, Page, PageQuery, PageRequest
from snowrail_kit.telemetry import current_traceparent
from snowrail_kit.unit_of_work import Transaction

router = APIRouter(tags=["intents"])


@router.post("/intents", status_code=201, response_model=IntentDetail)
@router.post("/pay", status_code=201, response_model=IntentDetail)
async def create_intent(
    body: CreateIntent,
    request: Request,
    identity: CurrentIdentity,
    operation: IdempotentOperation,
    parts: ServiceParts,
) -> Response:
    """Prepare a payment from the caller's wallet, to be authorised next.

    The answer holds the document to sign, or the transaction to send. Warnings such as `duplicate_payment`
    are answered with 409 until they are acknowledged.
    """
    terms = read_terms(body.condition, body.recurrence)
    if isinstance(terms, Refusal):
        raise problem_of(terms)
    condition, recurrence = terms
    wanted = CreateRequest(
        intent_id=derived_id("intent", identity.user_id, "http", request.headers["idempotency-key"]),
        user_id=identity.user_id,
        payer=identity.address,
        recipient=body.recipient,
        recipient_label=body.recipient_label,
        token=body.token,
        amount=body.amount,
        not_before=body.not_before,
        acknowledged=frozenset(body.acknowledged),
        traceparent=current_traceparent(),
        condition=condition,
        recurrence=recurrence,
        safety_buffer=body.safety_buffer,
    )
    readings = await read_for_requests([wanted], parts)

    async def work(tx: Transaction) -> IntentDetail:
        (outcome,) = await create_all([wanted], tx, parts, readings, [None])
        if not isinstance(outcome, Intent):
            raise problem_of(outcome)
        return await view(outcome, tx.connection, parts)

    return await operation.run(201, work)


@router.get("/intents")
async def list_intents(
    identity: CurrentIdentity,
    page: PageQuery,
    parts: ServiceParts,
    status: Annotated[Status | None, Query(description="Only intents in this state.")] = None,
) -> Page[IntentSummary]:
    """List the caller's intents, newest first."""
    async with parts.database.connection() as connection:
        found = await listing.newest(connection, identity.user_id, status, *_after(page), page.limit + 1)
    return _page(found, page.limit, [intent.created_at for intent in found])


@router.get("/intents/upcoming")
async def list_upcoming(
    identity: CurrentIdentity, page: PageQuery, parts: ServiceParts
) -> Page[IntentSummary]:
    """List the caller's scheduled intents, soonest first."""
    async with parts.database.connection() as connection:
        found = await listing.upcoming(
            connection, identity.user_id, parts.clock.now(), *_after(page), page.limit + 1
        )
    return _page(found, page.limit, [intent.not_before or intent.created_at for intent in found])


@router.get("/intents/delayed")
async def list_delayed(
    identity: CurrentIdentity, page: PageQuery, parts: ServiceParts
) -> Page[IntentSummary]:
    """List the caller's authorised intents that something holds up, with the reason, newest first."""
    async with parts.database.connection() as connection:
        found = await listing.delayed(connection, identity.user_id, *_after(page), page.limit + 1)
    return _page(found, page.limit, [intent.created_at for intent in found])


def _after(page: PageRequest) -> tuple[datetime | None, UUID | None]:
    return (page.after.at, page.after.row_id) if page.after else (None, None)


def _page(found: Sequence[Intent], limit: int, sort_keys: Sequence[datetime]) -> Page[IntentSummary]:
    shown = found[:limit]
    more = len(found) > limit
    following = Cursor(sort_keys[limit - 1], shown[-1].intent_id).encode() if more else None
    return Page(items=[summary(intent) for intent in shown], next=following)


@router.get("/intents/{intent_id}")
async def show_intent(intent_id: UUID, identity: CurrentIdentity, parts: ServiceParts) -> IntentDetail:
    """Show one of the caller's intents with what to sign, its occurrences and its latest evaluations."""
    intent = await find_own(intent_id, identity.user_id, parts)
    async with parts.database.connection() as connection:
        return await view(intent, connection, parts)


@router.patch("/intents/{intent_id}")
async def edit_intent(
    intent_id: UUID, body: EditIntent, identity: CurrentIdentity, parts: ServiceParts
) -> IntentDetail:
    """Change label, schedule or expiry before authorisation. A new schedule or expiry is a new order."""
    wanted = Edit(
        recipient_label=body.recipient_label,
        not_before=body.not_before,
        at_once="not_before" in body.model_fields_set and body.not_before is None,
        expires_at=body.expires_at,
    )
    async with parts.transaction() as tx:
        outcome = await edit(intent_id, identity.user_id, wanted, tx, parts)
        return await _view_or_refuse(outcome, tx, parts)


@router.delete("/intents/{intent_id}")
async def cancel_intent(intent_id: UUID, identity: CurrentIdentity, parts: ServiceParts) -> IntentDetail:
    """Stop an intent. `next_step` is the transaction that also forbids it on chain, where one is needed."""
    async with parts.transaction() as tx:
        (outcome,) = await cancel_all([(intent_id, identity.user_id)], [None], tx, parts, [None])
        return await _view_or_refuse(outcome, tx, parts)


@router.post("/intents/{intent_id}/authorisation", response_model=IntentDetail)
async def authorise_intent(
    intent_id: UUID,
    body: AuthoriseIntent,
    identity: CurrentIdentity,
    operation: IdempotentOperation,
    parts: ServiceParts,
) -> Response:
    """Hand in the payer's signature. What can be paid at once becomes due with this request."""
    given = Authorisation(intent_id, identity.user_id, body.signature, body.chain_id)
    readings = await read_for_ids([intent_id], parts)

    async def work(tx: Transaction) -> IntentDetail:
        (outcome,) = await authorise_all([given], [None], tx, parts, readings, [None])
        if not isinstance(outcome, Intent):
            raise problem_of(outcome)
        return await view(outcome, tx.connection, parts)

    return await operation.run(200, work)


@router.post("/intents/{intent_id}/pause")
async def pause_intent(intent_id: UUID, identity: CurrentIdentity, parts: ServiceParts) -> IntentDetail:
    """Hold an intent back until it is resumed or expires."""
    async with parts.transaction() as tx:
        (outcome,) = await hold_all([(intent_id, identity.user_id)], [None], True, tx, parts)
        return await _view_or_refuse(outcome, tx, parts)


@router.post("/intents/{intent_id}/resume")
async def resume_intent(intent_id: UUID, identity: CurrentIdentity, parts: ServiceParts) -> IntentDetail:
    """Let a paused intent go on."""
    async with parts.transaction() as tx:
        (outcome,) = await hold_all([(intent_id, identity.user_id)], [None], False, tx, parts)
        answer = await _view_or_refuse(outcome, tx, parts)
    parts.wake_engine()
    return answer


async def _view_or_refuse(outcome: Intent | Refusal, tx: Transaction, parts: Parts) -> IntentDetail:
    if isinstance(outcome, Refusal):
        raise problem_of(outcome)
    return await view(outcome, tx.connection, parts)
