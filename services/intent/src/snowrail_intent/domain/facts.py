"""What the chain says about an order, folded from the escrow's events, and what it means for the intent."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum

from snowrail_chain.addresses import NATIVE_TOKEN
from snowrail_intent.domain.intents import Intent
from snowrail_intent.domain.states import STOPPABLE, TERMINAL, IntentEvent, Status

CANCELLED_ON_CHAIN = "cancelled_on_chain"
CANCELLATION_ORPHANED = "cancellation_orphaned"
CANCELLATION_SEEN = "cancellation_seen"
FUNDING_ORPHANED = "funding_orphaned"
FUNDING_CONFIRMING = "funding_confirming"
SUPERSEDED_ORDER_FUNDED = "superseded_order_funded"
FUNDING_PARTIAL = "funding_partial"
DEPOSIT_TO_RETURN = "deposit_to_return"


class FactState(IntEnum):
    """How sure an event of the escrow is; a later one supersedes an earlier one of the same block."""

    INCLUDED = 1
    FINAL = 2
    ORPHANED = 3


@dataclass(frozen=True, slots=True)
class EscrowFact:
    """One event of the escrow in one block.

    Attributes:
        name: `funded`, `executed`, `execution_failed`, `cancelled` or `returned`.
        amount: atoms deposited, paid, refunded or returned.
        fee: atoms the payer paid on top.
        sender: account that sent the transaction.
    """

    order_hash: bytes
    name: str
    amount: int
    fee: int
    sender: str
    tx_hash: bytes
    block_number: int
    log_index: int
    state: FactState


@dataclass(frozen=True, slots=True)
class OrderOnChain:
    """An order as the chain has it.

    Attributes:
        deposit: atoms finally held for it.
        pending_deposit: atoms held when what is included becomes final.
        by_payer: whether the payer's own account sent a final deposit.
        funded: atoms that final deposits brought, spent or not.
        executed: executions seen, final or not; they may have come before a cancellation.
        finally_executed: those of them that are final.
        cancelled: whether a final cancellation was seen.
        refunded: atoms finally given back to the payer.
    """

    deposit: int = 0
    pending_deposit: int = 0
    by_payer: bool = False
    funded: int = 0
    executed: int = 0
    finally_executed: int = 0
    cancelled: bool = False
    refunded: int = 0


def fold(facts: Iterable[EscrowFact], payer: str, token: str) -> OrderOnChain:
    """Return what the facts about one order add up to, in the order of the chain."""
    standing = sorted(
        (fact for fact in facts if fact.state is not FactState.ORPHANED),
        key=lambda fact: (fact.block_number, fact.log_index),
    )
    final = [fact for fact in standing if fact.state is FactState.FINAL]
    return OrderOnChain(
        deposit=_deposit(final, token),
        pending_deposit=_deposit(standing, token),
        by_payer=any(fact.name == "funded" and fact.sender == payer for fact in final),
        funded=sum(fact.amount for fact in final if fact.name == "funded"),
        executed=sum(fact.name == "executed" for fact in standing),
        finally_executed=sum(fact.name == "executed" for fact in final),
        cancelled=any(fact.name == "cancelled" for fact in final),
        refunded=sum(fact.amount for fact in final if fact.name in ("cancelled", "returned")),
    )


def _deposit(facts: Iterable[EscrowFact], token: str) -> int:
    held = 0
    for fact in facts:
        total = fact.amount + fact.fee
        if fact.name == "funded":
            held += fact.amount
        elif fact.name in ("cancelled", "returned"):
            held -= fact.amount
        elif fact.name == "executed" and (token == NATIVE_TOKEN or held >= total):
            held -= total  # the escrow takes a token from the wallet when the deposit does not cover it
    return max(held, 0)


@dataclass(frozen=True, slots=True)
class FactsVerdict:
    """What new facts about its current order mean for an intent.

    Attributes:
        events: what happens to the intent, in order.
        reason: of the new state.
    """

    events: tuple[IntentEvent, ...]
    reason: str | None


def judge_facts(intent: Intent, seen: OrderOnChain) -> FactsVerdict:
    """Return what facts about the current order mean, compared with what the intent already knows."""
    if seen.cancelled and not intent.chain_cancelled:
        return _cancelled(intent)
    if intent.chain_cancelled and not seen.cancelled:
        reasons = {Status.CANCELLED: CANCELLATION_ORPHANED, Status.DUE: None}
        reason = reasons.get(intent.status, intent.reason)
        return FactsVerdict((IntentEvent.CANCELLATION_ORPHANED,), reason)
    total = intent.order.amount + intent.order.max_fee
    if intent.status is Status.AWAITING_AUTHORISATION:
        return _funding(intent, seen, total)
    if intent.signature is None and intent.status in STOPPABLE and seen.funded < total:
        return FactsVerdict((IntentEvent.FUNDING_ORPHANED,), FUNDING_ORPHANED)
    if intent.status in TERMINAL - {Status.COMPLETED} and seen.deposit > intent.deposit:
        return FactsVerdict((), DEPOSIT_TO_RETURN)
    return FactsVerdict((), intent.reason)


def _cancelled(intent: Intent) -> FactsVerdict:
    if intent.status is Status.DUE:
        return FactsVerdict((), CANCELLATION_SEEN)  # unless news of an execution comes, the engine ends it
    ended_before = intent.status in TERMINAL - {Status.CANCELLED}
    reason = intent.reason if ended_before else CANCELLED_ON_CHAIN
    return FactsVerdict((IntentEvent.CANCELLED_ON_CHAIN,), reason)


def _funding(intent: Intent, seen: OrderOnChain, total: int) -> FactsVerdict:
    if seen.deposit >= total and (intent.is_native or seen.by_payer):
        return FactsVerdict((IntentEvent.AUTHORISED,), None)
    if seen.pending_deposit > seen.deposit:
        return FactsVerdict((), FUNDING_CONFIRMING)
    if 0 < seen.deposit < total:
        return FactsVerdict((), FUNDING_PARTIAL)
    return FactsVerdict((), None)
