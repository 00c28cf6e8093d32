"""Accept commands to execute: each attempt once, an occurrence never twice at the same time."""

from collections.abc import Sequence

from snowrail_chain.config import ChainRegistry
from snowrail_events import SettlementExecuteV1
from snowrail_kit.delivery import Delivery
from snowrail_kit.unit_of_work import Transaction
from snowrail_settlement.domain.command import Command, read_command, refusal_of
from snowrail_settlement.domain.item import ItemEvent, ItemState, Step
from snowrail_settlement.domain.refusals import Refusal
from snowrail_settlement.store import items
from snowrail_settlement.store.items import Item, NewItem
from snowrail_settlement.usecases.facts import occurrence_key, settle
from snowrail_settlement.usecases.telling import take_step

OCCURRENCE_TAKEN = Refusal(
    "occurrence_taken", "this occurrence of the order is paid for by another payment", False
)


async def accept(
    deliveries: Sequence[Delivery[SettlementExecuteV1]], tx: Transaction, chains: ChainRegistry
) -> set[int]:
    """Store the items of new commands.

    A command whose attempt is known is a duplicate and changes nothing. One whose occurrence is held by an
    earlier attempt of the same payment waits for that to end; by another payment, it is refused.

    Returns:
        Chains that have new work.
    """
    by_item: dict[object, tuple[Delivery[SettlementExecuteV1], NewItem]] = {}
    for delivery in deliveries:
        command = read_command(delivery.event)
        new = NewItem(command, refusal_of(command, chains, tx.now), delivery.traceparent)
        by_item.setdefault(command.item_id, (delivery, new))
    known = await items.known_items(tx, [new.command.item_id for _, new in by_item.values()])
    fresh = [(delivery, new) for delivery, new in by_item.values() if new.command.item_id not in known]
    if not fresh:
        return set()
    inserted = await items.insert_items(tx, _first_of_each_occurrence([new for _, new in fresh]))
    held = {item.item_id for item in inserted}
    blocked = [(delivery, new) for delivery, new in fresh if new.command.item_id not in held]
    inserted += await _resolve_blocked(tx, blocked)
    await _tell_refused(tx, inserted)
    accepted = [item for item in inserted if item.state is ItemState.CREATED]
    await settle(tx, accepted, {})
    return {item.chain_id for item in accepted}


def _key(command: Command) -> tuple[int, str, int]:
    return (command.chain_id, command.order_hash, command.occurrence)


def _first_of_each_occurrence(new: Sequence[NewItem]) -> list[NewItem]:
    """Leave out a second command for an occurrence in the same batch: the first one holds it."""
    first: dict[tuple[int, str, int], NewItem] = {}
    refused = [item for item in new if item.refusal is not None]
    for item in new:
        if item.refusal is None:
            first.setdefault(_key(item.command), item)
    return [*refused, *first.values()]


async def _resolve_blocked(
    tx: Transaction, blocked: Sequence[tuple[Delivery[SettlementExecuteV1], NewItem]]
) -> list[Item]:
    if not blocked:
        return []
    holders = await items.holders(tx, [_key(new.command) for _, new in blocked])
    refused: list[NewItem] = []
    for delivery, new in blocked:
        holder = holders.get(_key(new.command))
        if holder is not None and holder.payment_id != new.command.payment_id:
            refused.append(NewItem(new.command, OCCURRENCE_TAKEN, new.traceparent))
        else:
            delivery.wait_for(
                occurrence_key(*_key(new.command)), "another attempt of this payment is not decided yet"
            )
    return await items.insert_items(tx, refused) if refused else []


async def _tell_refused(tx: Transaction, inserted: Sequence[Item]) -> None:
    """Say of items that were refused as they came that nothing was signed for them."""
    refused = [item for item in inserted if item.state is ItemState.FAILED]
    for item in refused:
        assert item.code is not None, "a refused item has its code"
        refusal = Refusal(item.code, item.detail, False)
        item.state = ItemState.CREATED
        take_step(item, Step(ItemEvent.REFUSED, refusal=refusal), tx)
    await items.save_items(tx, refused)
