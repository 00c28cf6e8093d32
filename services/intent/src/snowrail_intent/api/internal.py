"""What other services ask for, on the private network: no user token, never reachable through the edge."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query

from snowrail_events.fields import Atoms
from snowrail_intent.api.answers import ServiceParts, problem_of, view
from snowrail_intent.api.models import IntentDetail, OrderTransactions
from snowrail_intent.domain.intents import Intent
from snowrail_intent.domain.refusals import Refusal
from snowrail_intent.domain.wallet_transactions import Purpose, wallet_transactions
from snowrail_intent.parts import Parts
from snowrail_intent.store import intents as intent_store
from snowrail_intent.usecases.create import ChainUnread
from snowrail_intent.usecases.readings import as_read, read_for_intents
from snowrail_kit.problems import not_found

router = APIRouter(prefix="/internal/intents", tags=["internal"])


@router.get("/{intent_id}")
async def show_intent(intent_id: UUID, parts: ServiceParts) -> IntentDetail:
    """Show any intent. The caller checks whose it is."""
    intent = await _find(intent_id, parts)
    async with parts.database.connection() as connection:
        return await view(intent, connection, parts)


@router.get("/{intent_id}/transactions")
async def show_transactions(
    intent_id: UUID,
    parts: ServiceParts,
    purpose: Purpose,
    amount: Annotated[Atoms | None, Query(description="To deposit; all that is missing by default.")] = None,
) -> OrderTransactions:
    """Build the transactions for the payer's wallet, in their order. The caller checks whose it is."""
    intent = await _find(intent_id, parts)
    deposits_token = purpose in (Purpose.FUND, Purpose.DEPOSIT) and not intent.is_native
    allowance = await _allowance(intent, parts) if deposits_token else 0
    transactions = wallet_transactions(intent, purpose, amount, allowance, parts.clock.now())
    if isinstance(transactions, Refusal):
        raise problem_of(transactions)
    return OrderTransactions(
        intent_id=intent.intent_id,
        user_id=intent.user_id,
        chain_id=intent.chain_id,
        payer=intent.order.payer,
        transactions=transactions,
    )


async def _find(intent_id: UUID, parts: Parts) -> Intent:
    async with parts.database.connection() as connection:
        intent = (await intent_store.find(connection, [intent_id])).get(intent_id)
    if intent is None:
        raise not_found("intent")
    return intent


async def _allowance(intent: Intent, parts: Parts) -> int:
    reading = (await read_for_intents([intent], parts)).of(intent.chain_id)
    if reading is None:
        raise problem_of(ChainUnread(intent.chain_id))
    return reading.allowances[as_read(intent.wallet)]
