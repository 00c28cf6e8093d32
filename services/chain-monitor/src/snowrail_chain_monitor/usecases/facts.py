"""The facts that chain-monitor tells, in the transaction that makes them true."""

from collections.abc import Sequence

from snowrail_chain_monitor import metrics
from snowrail_chain_monitor.clients import Head
from snowrail_chain_monitor.domain import Block, GasPrice, Status, is_news, split_logs
from snowrail_chain_monitor.store import history
from snowrail_chain_monitor.store.transactions import StoredTransaction
from snowrail_chain_monitor.usecases.parts import Follower, Parts
from snowrail_events import (
    GasPriceUpdatedV1,
    TransactionFinalV1,
    TransactionIncludedV1,
    TransactionOrphanedV1,
)
from snowrail_kit.unit_of_work import Transaction

_FACTS = {
    Status.INCLUDED: TransactionIncludedV1,
    Status.FINAL: TransactionFinalV1,
    Status.ORPHANED: TransactionOrphanedV1,
}


async def tell(tx: Transaction, follower: Follower, stored: Sequence[StoredTransaction]) -> None:
    """Emit the facts about transactions, each in the trace of the payment that was submitted in it."""
    if not stored:
        return
    traces = await history.traces_of(tx, follower.config.chain_id, [item.transaction.hash for item in stored])
    for item in stored:
        for logs in split_logs(item.transaction.logs):
            fact = _FACTS[item.status](
                chain_id=follower.config.chain_id,
                tx_hash=item.transaction.hash,
                sender=item.transaction.sender,
                nonce=item.transaction.nonce,
                succeeded=item.transaction.succeeded,
                block_number=item.transaction.block.number,
                block_hash=item.transaction.block.hash,
                block_time=item.transaction.block_time,
                logs=logs,
            )
            tx.emit(fact, version=item.version, traceparent=traces.get(item.transaction.hash))


async def tell_gas_price(parts: Parts, tx: Transaction, chain_id: int, head: Head, newest: Block) -> None:
    price = GasPrice(newest.link.number, head.gas_price, newest.base_fee, tx.now)
    known = await history.latest_gas_price(tx, chain_id)
    if not is_news(known, price, parts.settings.gas_price_every_seconds):
        return
    await history.insert_gas_price(tx, chain_id, price)
    tx.emit(
        GasPriceUpdatedV1(
            chain_id=chain_id,
            block_number=price.block_number,
            gas_price=price.gas_price,
            base_fee=price.base_fee,
            observed_at=price.observed_at,
        ),
        version=price.block_number,
    )


def count(follower: Follower, stored: Sequence[StoredTransaction]) -> None:
    for item in stored:
        metrics.FACTS.labels(follower.label, item.status.value).inc()
