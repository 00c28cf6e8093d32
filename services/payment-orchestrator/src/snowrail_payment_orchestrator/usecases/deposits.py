"""Money entering and leaving the escrow by the payer's own hand, as the ledger records it."""

from snowrail_events import TransactionFinalV1, TransactionOrphanedV1
from snowrail_events.parts import EscrowLog
from snowrail_kit.delivery import Delivery
from snowrail_kit.ids import derived_id
from snowrail_kit.unit_of_work import Transaction
from snowrail_payment_orchestrator import domain, store
from snowrail_payment_orchestrator.domain import Posting
from snowrail_payment_orchestrator.parts import Parts
from snowrail_payment_orchestrator.store import Journal

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
    """Write a journal for each final deposit, cancellation and return."""
    journals: list[Journal] = []
    native_or_token = await _tokens_of(deliveries, tx)
    changes: dict[str, tuple[str, str, int]] = {}
    for delivery in deliveries:
        event = delivery.event
        for entry in _moving(event):
            token = (
                f"{event.chain_id}:{entry.token}" if entry.token else native_or_token.get(entry.order_hash)
            )
            if token is None:
                delivery.wait_for(entry.order_hash, "the order's deposit is not known yet")
                break
            assert entry.payer is not None, "_moving leaves out logs without a payer"
            assert entry.amount is not None, "_moving leaves out logs without an amount"
            wallet, escrow = domain.wallet_account(entry.payer), domain.escrow_account(entry.order_hash)
            inward = entry.name == _INTO_ESCROW
            postings = (
                domain.transfer_postings(wallet, escrow, token, entry.amount)
                if inward
                else domain.transfer_postings(escrow, wallet, token, entry.amount)
            )
            reference = _reference(event, entry)
            journals.append(Journal(derived_id("journal", reference), entry.name, reference, postings))
            changes[reference] = (entry.order_hash, token, entry.amount if inward else -entry.amount)
    unique = list({journal.reference: journal for journal in journals}.values())
    added = await store.write_journals(tx, unique)
    credited = [changes[journal.reference] for journal in unique if journal.journal_id in added]
    await store.add_deposits(tx, credited)
    tx.wake(*(order_hash for order_hash, _, _ in credited))


async def _tokens_of(deliveries: list[Delivery[TransactionFinalV1]], tx: Transaction) -> dict[str, str]:
    """Tokens of orders by hash: those funded in this batch, and those with a recorded deposit."""
    tokens = {
        entry.order_hash: f"{delivery.event.chain_id}:{entry.token}"
        for delivery in deliveries
        for entry in delivery.event.logs
        if entry.name == _INTO_ESCROW and entry.token
    }
    missing = {
        entry.order_hash
        for delivery in deliveries
        for entry in _moving(delivery.event)
        if not entry.token and entry.order_hash not in tokens
    }
    if missing:
        rows = await tx.fetch(
            "SELECT order_hash, token FROM order_deposit WHERE order_hash = ANY($1::text[])", list(missing)
        )
        tokens.update({row["order_hash"]: row["token"] for row in rows})
    return tokens


async def reverse_deposits(
    deliveries: list[Delivery[TransactionOrphanedV1]], tx: Transaction, _: Parts
) -> None:
    """Compensate journals whose block left the chain; one that was not written yet never will be."""
    entries = {
        _reference(delivery.event, entry): entry
        for delivery in deliveries
        for entry in _moving(delivery.event)
    }
    if not entries:
        return
    written = await store.postings_of(tx, list(entries))
    journals: list[Journal] = []
    for reference in entries:
        reversal = f"reversal:{reference}"
        postings: tuple[Posting, ...] = domain.reversed_postings(written.get(reference, ()))
        journals.append(Journal(derived_id("journal", reversal), "reversal", reversal, postings))
    added = await store.write_journals(tx, journals)
    changes: list[tuple[str, str, int]] = []
    for journal in journals:
        entry = entries[journal.reference.removeprefix("reversal:")]
        account = domain.escrow_account(entry.order_hash)
        if journal.journal_id in added:
            changes += [
                (entry.order_hash, line.token, line.atoms)
                for line in journal.postings
                if line.account == account
            ]
    await store.add_deposits(tx, changes)
