"""Compare chain and ledger, and halt an asset on a difference that nothing explains."""

from collections.abc import Container, Sequence
from datetime import datetime, timedelta

import structlog

from snowrail_kit.audit import Act, append
from snowrail_kit.consumer import Unavailable
from snowrail_kit.unit_of_work import Transaction
from snowrail_payment_orchestrator import metrics, reconciliation_store
from snowrail_payment_orchestrator.clients import ChainHoldings
from snowrail_payment_orchestrator.parts import Parts
from snowrail_payment_orchestrator.reconciliation import Difference, LedgerFigures, compare
from snowrail_payment_orchestrator.reconciliation_store import Record

log = structlog.get_logger("reconciliation")

_NOTHING = LedgerFigures(0, 0)
_ACTOR = "payment-orchestrator"
_FOLD_ROWS = 200_000


async def reconcile(parts: Parts) -> None:
    """Compare every chain that is due, or whose ledger may have been late when it was last compared."""
    known = await reconciliation_store.records(parts.database)
    _show(known, await reconciliation_store.halted(parts.database))
    if known and not _is_due(parts, known):
        return
    async with parts.transaction() as tx:
        await reconciliation_store.fold_totals(tx, _FOLD_ROWS)
    try:
        chains = await parts.monitor.chains()
    except Unavailable as problem:
        log.warning("cannot compare", problem=str(problem))
        return
    for chain_id in chains:
        records = [record for record in known if record.chain_id == chain_id]
        if not _is_due(parts, records):
            continue
        try:
            await _reconcile_chain(parts, chain_id, records)
        except Unavailable as problem:  # nothing is known now, so nothing is judged
            log.warning("cannot compare", chain=chain_id, problem=str(problem))


def _is_due(parts: Parts, records: Sequence[Record]) -> bool:
    if not records or any(record.differs_since is not None for record in records):
        return True
    age = parts.clock.now() - min(record.compared_at for record in records)
    return age >= timedelta(seconds=parts.settings.reconcile_every_seconds)


async def _reconcile_chain(parts: Parts, chain_id: int, records: Sequence[Record]) -> None:
    holdings = await _holdings(parts, chain_id, records)
    async with parts.transaction() as tx:
        ledger = await reconciliation_store.ledger_at(tx, chain_id, holdings.block_number)
        comparisons = {
            token: compare(figures, ledger.get(token, _NOTHING))
            for token, figures in holdings.figures.items()
        }
        found = await reconciliation_store.remember(tx, holdings, comparisons)
        late_since = tx.now - timedelta(seconds=parts.settings.reconcile_patience_seconds)
        reasons = {
            record.token: f"block {record.block_number}: {record.comparison.explain()}"
            for record in found
            if record.differs_since is not None
            and (record.differs_since <= late_since or Difference.DEFICIT in record.comparison.differences)
        }
        newly = await _halt(tx, reasons)
        halted = await reconciliation_store.halted(tx)
    for token in newly:
        log.error("asset halted", token=token, reason=reasons[token])
    _show(found, halted)


def _show(records: Sequence[Record], halted: Container[str]) -> None:
    for record in records:
        metrics.DIFFERS.labels(record.token).set(not record.comparison.agrees)
        metrics.HALTED.labels(record.token).set(record.token in halted)
        metrics.UNSOLICITED.labels(record.token).set(record.comparison.unsolicited)
        metrics.COMPARED_AT.labels(record.token).set(record.compared_at.timestamp())


async def _holdings(parts: Parts, chain_id: int, records: Sequence[Record]) -> ChainHoldings:
    """Return the figures to compare: those that differed before, as long as they hold, or new ones.

    The ledger follows the chain by the bus, so at the newest block it is nearly always late. Figures that
    differ are therefore kept, and compared again with the ledger up to the same block.
    """
    differing = [record for record in records if record.differs_since is not None]
    settings = parts.settings
    overdue = timedelta(seconds=settings.reconcile_patience_seconds + settings.reconcile_every_seconds)
    if differing and all(parts.clock.now() - _since(record) < overdue for record in differing):
        first = differing[0]
        same = [record for record in records if record.block_number == first.block_number]
        kept = ChainHoldings(
            chain_id=chain_id,
            block_number=first.block_number,
            block_hash=first.block_hash,
            version=first.version,
            figures={record.token: record.comparison.chain for record in same},
        )
        if not await parts.monitor.have_changed(kept):
            return kept
    return await parts.monitor.holdings(chain_id)


def _since(record: Record) -> datetime:
    assert record.differs_since is not None, "only what differs is asked about"
    return record.differs_since


async def _halt(tx: Transaction, reasons: dict[str, str]) -> set[str]:
    newly = await reconciliation_store.halt(tx, reasons) if reasons else set[str]()
    acts = [Act(_ACTOR, "asset.halted", token, {"reason": reasons[token]}) for token in sorted(newly)]
    await append(tx.connection, acts, tx.now)
    return newly
