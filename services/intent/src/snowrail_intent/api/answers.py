"""What routes share: the parts they get, refusals as HTTP problems, the view of one intent."""

from typing import Annotated
from uuid import UUID

from fastapi import Depends

from snowrail_intent.api.models import IntentDetail, detail
from snowrail_intent.domain.intents import Intent
from snowrail_intent.domain.refusals import Refusal
from snowrail_intent.parts import Parts
from snowrail_intent.store import intents as intent_store
from snowrail_intent.store import occurrences as occurrence_store
from snowrail_intent.usecases.create import ChainUnread, UserUnknown
from snowrail_kit.database import Connection
from snowrail_kit.problems import Problem, not_found
from snowrail_kit.service import parts_of

SHOWN_EVALUATIONS = 20
SHOWN_OCCURRENCES = 50
_INVALID = frozenset(
    {
        "address_checksum_missing",
        "address_checksum_wrong",
        "address_malformed",
        "expiry_out_of_range",
        "invalid_condition",
        "invalid_recurrence",
        "invalid_terms",
        "malformed_signature",
        "same_account",
        "too_far_ahead",
        "unknown_chain",
        "unknown_price",
        "unknown_token",
        "wrong_chain",
        "wrong_payer",
        "wrong_signature",
    }
)
"""Refusals of what was sent; the others are of the moment it was sent in."""

ServiceParts = Annotated[Parts, Depends(parts_of)]


def problem_of(outcome: Refusal | UserUnknown | ChainUnread) -> Problem:
    """Return the HTTP problem for an outcome that is no intent."""
    if isinstance(outcome, UserUnknown):
        return Problem(
            503,
            "limits_unknown",
            "Your limits are not known here yet; try again in a moment.",
            headers={"Retry-After": "2"},
        )
    if isinstance(outcome, ChainUnread):
        return Problem(
            503,
            "chain_unavailable",
            "The chain cannot be read now, so nothing was done; try again.",
            headers={"Retry-After": "5"},
        )
    if outcome.code == "not_found":
        return Problem(404, outcome.code, outcome.detail)
    return Problem(422 if outcome.code in _INVALID else 409, outcome.code, outcome.detail)


async def find_own(intent_id: UUID, user_id: UUID, parts: Parts) -> Intent:
    """Return an intent of a user. Raises a 404 problem when the user has no such intent."""
    async with parts.database.connection() as connection:
        intent = (await intent_store.find(connection, [intent_id])).get(intent_id)
    if intent is None or intent.user_id != user_id:
        raise not_found("intent")
    return intent


async def view(intent: Intent, connection: Connection, parts: Parts) -> IntentDetail:
    """Return an intent with its occurrences and latest evaluations."""
    return detail(
        intent,
        parts.clock.now(),
        await occurrence_store.find_by_intent(connection, intent.intent_id, SHOWN_OCCURRENCES),
        await occurrence_store.find_evaluations(connection, intent.intent_id, SHOWN_EVALUATIONS),
    )
