"""What is remembered for a while: traces of submitted payments, gas prices. And readiness."""

from collections.abc import Sequence
from datetime import timedelta

from snowrail_chain_monitor.store import history, positions
from snowrail_chain_monitor.usecases.parts import Parts
from snowrail_events import SettlementSubmittedV1
from snowrail_kit.delivery import Delivery
from snowrail_kit.telemetry import is_sampled
from snowrail_kit.unit_of_work import Transaction


async def remember_traces(deliveries: Sequence[Delivery[SettlementSubmittedV1]], tx: Transaction) -> None:
    """Remember in which trace a transaction was submitted; it may carry payments of several."""
    traces: dict[str, tuple[int, str]] = {}
    for delivery in deliveries:
        traceparent = delivery.traceparent
        if traceparent is None:
            continue
        known = traces.get(delivery.event.tx_hash)
        if known is None or (is_sampled(traceparent) and not is_sampled(known[1])):
            traces[delivery.event.tx_hash] = (delivery.event.chain_id, traceparent)
    if traces:
        await history.remember_traces(
            tx,
            [chain_id for chain_id, _ in traces.values()],
            {tx_hash: traceparent for tx_hash, (_, traceparent) in traces.items()},
        )


async def forget_old(parts: Parts) -> None:
    """Forget traces and gas prices that are older than they are kept."""
    now = parts.clock.now()
    async with parts.transaction() as tx:
        await history.prune(
            tx,
            now - timedelta(days=parts.settings.trace_keep_days),
            now - timedelta(days=parts.settings.gas_price_keep_days),
        )


async def not_ready(parts: Parts) -> str | None:
    """Return why not all chains are followed, if so."""
    frozen = [
        f"chain {cursor.chain_id} is frozen: {cursor.frozen_reason}"
        for cursor in await positions.cursors(parts.database)
        if cursor.frozen_reason is not None and cursor.chain_id in parts.followers
    ]
    return "; ".join(frozen) or None
