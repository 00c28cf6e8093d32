"""Keep the source of every execution as the chain has it, whatever is heard first, late or taken back."""

from collections.abc import Mapping, Sequence
from itertools import chain

from snowrail_kit.ids import derived_id
from snowrail_kit.unit_of_work import Transaction
from snowrail_payment_orchestrator import ledger_store, movement_store, movements
from snowrail_payment_orchestrator.domain import is_native
from snowrail_payment_orchestrator.ledger_store import Journal
from snowrail_payment_orchestrator.movements import Movement


async def add(tx: Transaction, added: Sequence[Movement]) -> Mapping[str, Movement]:
    """Take movements into account that count from now on, and return them by reference with their sources.

    Executions that follow on them on the chain, and were heard of before, are corrected in the ledger. Of
    orders in native coin only the token is remembered: there is nothing to decide.
    """
    await movement_store.lock_orders(tx, (item.order for item in added))
    changed = await _replay(tx, [item for item in added if not is_native(item.token)], ())
    return {item.reference: item for item in changed}


async def remove(tx: Transaction, references: Sequence[str]) -> Mapping[str, Movement]:
    """Leave out movements that no longer count, and return them by reference as the ledger had them.

    What has no movement is left out: it drew on its deposit, or was the payer's own hand, in native coin.
    """
    found = await movement_store.find(tx, references)
    if not found:
        return {}
    await movement_store.lock_orders(tx, (item.order for item in found.values()))
    found = await movement_store.find(tx, references)  # its source may have been corrected meanwhile
    await _replay(tx, (), list(found))
    return found


async def _replay(tx: Transaction, added: Sequence[Movement], removed: Sequence[str]) -> list[Movement]:
    if not added and not removed:
        return []
    before, following = await movement_store.from_first_change(tx, added, removed)
    gone = set(removed)
    counting: dict[tuple[str, str], list[Movement]] = {}
    for item in chain(following, added):
        if item.reference not in gone:
            counting.setdefault(item.order, []).append(item)
    found = [movements.replay(before.get(order, 0), items) for order, items in counting.items()]
    changed = [item for replayed in found for item in replayed.changed]
    await movement_store.delete(tx, removed)
    await movement_store.save(tx, changed)
    await ledger_store.write_journals(
        tx, [_correction(item) for replayed in found for item in replayed.corrected]
    )
    return changed


def _correction(movement: Movement) -> Journal:
    """Move an execution that is in the ledger to its other source, in its own block."""
    reference = f"source:{movement.reference}:{movement.corrections}"
    postings = movements.correcting_postings(movement)
    return Journal(derived_id("journal", reference), "source", reference, movement.block_number, postings)
