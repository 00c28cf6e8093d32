"""Money entering and leaving the escrow by the payer's own hand, as the ledger records it."""

from dataclasses import dataclass

from snowrail_events import TransactionFinalV1, TransactionOrphanedV1
from snowrail_events.parts import EscrowLog
from snowrail_kit.delivery import Delivery
from snowrail_kit.ids import derived_id
from snowrail_kit.unit_of_work import Transaction
from snowrail_payment_orchestrator import domain, ledger_store, movement_store
from snowrail_payment_orchestrator.ledger_store import Credit, Journal
from snowrail_payment_orchestrator.movements import Movement
from snowrail_payment_orchestrator.parts import Parts
from snowrail_payment_orchestrator.usecases import sources

_INTO_ESCROW = "funded"
_OUT_OF_ESCROW = ("cancelled", "returned")


def _reference(event: TransactionFinalV1 | TransactionOrphanedV1, entry: EscrowLog) -> str:
    """The credit key, with the block: the same log in another block is another credit."""
    return f"{entry.name}:{event.chain_id}:{event.tx_hash}:{entry.log_index}:{event.block_hash}"


def _moving(event: TransactionFinalV1 | TransactionOrphanedV1) -> list[EscrowLog]:
    return [
        entry
        for entry in event.logs
        if entry.name in (_INTO_ESCROW, *_OUT_OF_ESCROW) and entry.payer and entry.amount
    ]


async def record_deposits(deliveries: list[Delivery[TransactionFinalV1]], tx: Transaction, _: Parts) -> None:
    """Write a journal for each final deposit, cancellation and return that does not count yet."""
    tokens = await _tokens_of(deliveries, tx)
    moves: dict[str, _Move] = {}
    for delivery in deliveries:
        event = delivery.event
        for entry in _moving(event):
            if entry.token:
                token = f"{event.chain_id}:{entry.token}"
            else:
                token = tokens.get((event.chain_id, entry.order_hash))
            if token is None:
                delivery.wait_for(entry.order_hash, "the order's deposit is not known yet")
                break
            reference, version = _reference(event, entry), delivery.envelope.version
            if reference not in moves or moves[reference].version < version:
                moves[reference] = _Move(version, event.block_number, entry, token)
    known = await ledger_store.lock_credits(tx, moves)
    journals: list[Journal] = []
    counted: list[Credit] = []
    added: list[Movement] = []
    for reference, move in moves.items():
        before = known[reference]
        if move.version <= before.version:
            continue
        journal_id = before.journal_id
        if journal_id is None:
            journal = _journal(f"{reference}:{move.version}", move)
            journal_id = journal.journal_id
            journals.append(journal)
            added.append(_movement(reference, move))
        counted.append(Credit(reference, move.version, journal_id))
    await ledger_store.write_journals(tx, journals)
    await ledger_store.save_credits(tx, counted)
    await sources.add(tx, added)
    tx.wake(*(movement.order_hash for movement in added))


@dataclass(frozen=True, slots=True)
class _Move:
    """A log that moves money, and the newest fact about its block."""

    version: int
    block_number: int
    entry: EscrowLog
    token: str


def _journal(reference: str, move: _Move) -> Journal:
    entry = move.entry
    assert entry.payer is not None, "_moving leaves out logs without a payer"
    assert entry.amount is not None, "_moving leaves out logs without an amount"
    wallet, escrow = domain.wallet_account(entry.payer), domain.escrow_account(entry.order_hash)
    source, target = (wallet, escrow) if entry.name == _INTO_ESCROW else (escrow, wallet)
    postings = domain.transfer_postings(source, target, move.token, entry.amount)
    return Journal(derived_id("journal", reference), entry.name, reference, move.block_number, postings)


def _movement(reference: str, move: _Move) -> Movement:
    atoms = move.entry.amount or 0
    return Movement(
        reference=reference,
        order_hash=move.entry.order_hash,
        token=move.token,
        block_number=move.block_number,
        log_index=move.entry.log_index,
        atoms=atoms if move.entry.name == _INTO_ESCROW else -atoms,
    )


async def _tokens_of(
    deliveries: list[Delivery[TransactionFinalV1]], tx: Transaction
) -> dict[tuple[int, str], str]:
    """Tokens of orders by chain and hash: those funded in this batch, and those that moved before."""
    tokens = {
        (delivery.event.chain_id, entry.order_hash): f"{delivery.event.chain_id}:{entry.token}"
        for delivery in deliveries
        for entry in delivery.event.logs
        if entry.name == _INTO_ESCROW and entry.token
    }
    missing = {
        entry.order_hash
        for delivery in deliveries
        for entry in _moving(delivery.event)
        if not entry.token and (delivery.event.chain_id, entry.order_hash) not in tokens
    }
    for order_hash, token in await movement_store.tokens_of(tx, missing):
        tokens[int(token.partition(":")[0]), order_hash] = token
    return tokens


async def reverse_deposits(
    deliveries: list[Delivery[TransactionOrphanedV1]], tx: Transaction, _: Parts
) -> None:
    """Compensate what counts of blocks that left the chain; an older fact about them no longer counts."""
    versions: dict[str, tuple[int, int]] = {}
    for delivery in deliveries:
        for entry in _moving(delivery.event):
            reference, version = _reference(delivery.event, entry), delivery.envelope.version
            if reference not in versions or versions[reference][0] < version:
                versions[reference] = (version, delivery.event.block_number)
    known = await ledger_store.lock_credits(tx, versions)
    newer = {name: version for name, (version, _) in versions.items() if version >= known[name].version}
    counting = {name: journal_id for name in newer if (journal_id := known[name].journal_id) is not None}
    written = await ledger_store.postings_by_journal(tx, list(counting.values()))
    journals: list[Journal] = []
    for name, journal_id in counting.items():
        reversal = f"reversal:{name}:{newer[name]}"
        postings = domain.reversed_postings(written[journal_id])
        number = versions[name][1]
        journals.append(Journal(derived_id("journal", reversal), "reversal", reversal, number, postings))
    await ledger_store.write_journals(tx, journals)
    await ledger_store.save_credits(tx, [Credit(name, version, None) for name, version in newer.items()])
    await sources.remove(tx, list(counting))
