"""What happened on chain to our orders: deposits that authorise, cancellations, and the blocks that leave."""

from collections.abc import Sequence
from dataclasses import replace
from typing import TypeVar

from snowrail_events import TransactionFinalV1, TransactionIncludedV1, TransactionOrphanedV1
from snowrail_intent.domain.facts import (
    SUPERSEDED_ORDER_FUNDED,
    EscrowFact,
    FactState,
    OrderOnChain,
    fold,
    judge_facts,
)
from snowrail_intent.domain.intents import Intent
from snowrail_intent.domain.orders import cancel_transaction, return_expired_transaction
from snowrail_intent.domain.states import STOPPABLE, Status
from snowrail_intent.parts import Parts
from snowrail_intent.store import facts as fact_store
from snowrail_intent.store import projections
from snowrail_intent.store.facts import StoredOrder, ToldFact
from snowrail_intent.usecases.work import Work
from snowrail_kit.delivery import Delivery
from snowrail_kit.unit_of_work import Transaction

TransactionFact = TypeVar("TransactionFact", TransactionIncludedV1, TransactionFinalV1, TransactionOrphanedV1)


async def record_included(
    deliveries: list[Delivery[TransactionIncludedV1]], tx: Transaction, parts: Parts
) -> None:
    """Events of the escrow are in a block that is not final yet: something to show, nothing to act on."""
    await _record(deliveries, FactState.INCLUDED, tx, parts)


async def record_final(deliveries: list[Delivery[TransactionFinalV1]], tx: Transaction, parts: Parts) -> None:
    """Events of the escrow are final: deposits authorise, cancellations end."""
    await _record(deliveries, FactState.FINAL, tx, parts)


async def record_orphaned(
    deliveries: list[Delivery[TransactionOrphanedV1]], tx: Transaction, parts: Parts
) -> None:
    """Blocks with events of the escrow left the chain: what they said is taken back."""
    await _record(deliveries, FactState.ORPHANED, tx, parts)


async def _record(
    deliveries: Sequence[Delivery[TransactionFact]], state: FactState, tx: Transaction, parts: Parts
) -> None:
    told = [fact for delivery in deliveries for fact in _facts_of(delivery, state)]
    hashes = {item.fact.order_hash for item in told}
    intent_ids = await fact_store.find_intents(tx.connection, hashes) if hashes else set()
    if not intent_ids:
        return
    work = Work(tx, parts)
    await work.lock(intent_ids)
    await fact_store.save(tx.connection, told)
    orders = await fact_store.find_orders(tx.connection, hashes)
    facts = await fact_store.find(tx.connection, orders)
    await work.look_around(list(work.intents.values()))
    gas_prices = await projections.fetch_gas_prices(tx.connection)
    changed: dict[bytes, OrderOnChain] = {}
    for order_hash, order in orders.items():
        seen = fold(facts.get(order_hash, ()), order.order.payer, order.order.token)
        changed[order_hash] = seen
        intent = work.intents[order.intent_id]
        if order_hash == intent.order_hash:
            price = gas_prices.get(intent.chain_id)
            _apply(intent, order.seen, seen, price.gas_price if price else None, work)
        else:
            _offer_return(intent, order, seen, work)
    await fact_store.save_orders(tx.connection, changed.items())
    await work.write()


def _facts_of(delivery: Delivery[TransactionFact], state: FactState) -> list[ToldFact]:
    event = delivery.event
    if not event.succeeded:
        return []
    return [
        ToldFact(
            chain_id=event.chain_id,
            block_hash=bytes.fromhex(event.block_hash[2:]),
            version=delivery.envelope.version,
            fact=EscrowFact(
                order_hash=bytes.fromhex(log.order_hash[2:]),
                name=log.name,
                amount=log.amount or 0,
                fee=log.fee or 0,
                sender=event.sender,
                tx_hash=bytes.fromhex(event.tx_hash[2:]),
                block_number=event.block_number,
                log_index=log.log_index,
                state=state,
            ),
        )
        for log in event.logs
    ]


def _apply(
    intent: Intent, before: OrderOnChain, seen: OrderOnChain, gas_price: int | None, work: Work
) -> None:
    verdict = judge_facts(intent, seen)
    refunded = seen.refunded if seen.refunded != before.refunded else None
    following = replace(
        intent, deposit=seen.deposit, executed=seen.finally_executed, chain_cancelled=seen.cancelled
    )
    if verdict.events or verdict.reason != intent.reason or refunded is not None:
        following = work.put(following.after(work.now, *verdict.events, reason=verdict.reason))
    if refunded is not None:
        work.answer(intent.intent_id, refunded=refunded)
    if following.covered_by_deposit and following.status in STOPPABLE - {Status.AWAITING_AUTHORISATION}:
        work.judge(following, work.inputs_beside_wallet(following, gas_price))


def _offer_return(intent: Intent, order: StoredOrder, seen: OrderOnChain, work: Work) -> None:
    """Offer the payer the way back for a deposit under terms that were edited since."""
    if seen.deposit > order.seen.deposit:
        expired = work.now.timestamp() > order.order.valid_until
        offer = return_expired_transaction if expired else cancel_transaction
        work.put(intent.changed(work.now, reason=SUPERSEDED_ORDER_FUNDED))
        step = offer(order.order, intent.chain_id, intent.escrow)
        work.answer(intent.intent_id, step=step)
    elif seen.refunded > order.seen.refunded:
        work.put(intent.changed(work.now, reason=None))
        work.answer(intent.intent_id, refunded=seen.refunded)
