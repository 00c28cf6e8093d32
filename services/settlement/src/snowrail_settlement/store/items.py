"""Items: payment attempts on their way over a chain."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import orjson

from snowrail_chain.eip712 import Order
from snowrail_kit.database import Database, Row
from snowrail_kit.unit_of_work import Transaction
from snowrail_settlement.domain.command import PURPOSE, Command
from snowrail_settlement.domain.item import Basis, ItemState
from snowrail_settlement.domain.refusals import Refusal


@dataclass(slots=True)
class Item:
    """A row of `item`, as use cases move it on.

    Attributes:
        version: Number of facts told about it.
        signer, nonce: Where its transaction is, once there is one.
        basis, log_index: What its state rests on, once the chain has said something.
        traceparent: Trace of the payment.
        sent_at: When its transaction was signed, or its evidence was lost.
    """

    item_id: UUID
    sequence: int
    payment_id: UUID
    attempt: int
    intent_id: UUID
    user_id: UUID
    chain_id: int
    order_hash: str
    occurrence: int
    state: ItemState
    version: int
    signer: str | None
    nonce: int | None
    basis: Basis | None
    log_index: int | None
    code: str | None
    detail: str
    traceparent: str | None
    sent_at: datetime | None

    @property
    def was_sent(self) -> bool:
        """Whether it is part of a signed transaction."""
        return self.nonce is not None

    @property
    def key(self) -> tuple[int, str, int]:
        """What it pays: chain, order and occurrence."""
        return (self.chain_id, self.order_hash, self.occurrence)


@dataclass(frozen=True, slots=True)
class DueItem:
    """An item that a lane may put into a transaction.

    Attributes:
        gas_ceiling: Wei per gas that the payer allows.
    """

    item_id: UUID
    attempt: int
    order: Order
    occurrence: int
    signature: bytes
    gas_ceiling: int
    created_at: datetime


@dataclass(frozen=True, slots=True)
class NewItem:
    """An item to be stored, refused already where there is a refusal."""

    command: Command
    refusal: Refusal | None
    traceparent: str | None


ITEM_COLUMNS = """
item.item_id, item.sequence, item.payment_id, item.attempt, item.intent_id, item.user_id, item.chain_id,
item.order_hash, item.occurrence, item.state, item.version, item.signer, item.nonce, item.basis_tx_hash,
item.basis_block_hash, item.log_index, item.code, item.detail, item.traceparent, item.sent_at
"""


def item_of(row: Row) -> Item:
    """Return an item from a row of `ITEM_COLUMNS`."""
    basis = None
    if row["basis_tx_hash"] is not None:
        basis = Basis(row["basis_tx_hash"], row["basis_block_hash"])
    return Item(
        item_id=row["item_id"],
        sequence=row["sequence"],
        payment_id=row["payment_id"],
        attempt=row["attempt"],
        intent_id=row["intent_id"],
        user_id=row["user_id"],
        chain_id=row["chain_id"],
        order_hash=row["order_hash"],
        occurrence=row["occurrence"],
        state=ItemState(row["state"]),
        version=row["version"],
        signer=row["signer"],
        nonce=row["nonce"],
        basis=basis,
        log_index=row["log_index"],
        code=row["code"],
        detail=row["detail"],
        traceparent=row["traceparent"],
        sent_at=row["sent_at"],
    )


_INSERT = f"""
INSERT INTO item (item_id, payment_id, attempt, purpose, intent_id, user_id, chain_id, escrow, order_hash,
                  occurrence, order_terms, signature, gas_ceiling, valid_until, state, code, detail,
                  traceparent, created_at, not_before, changed_at, accepted)
SELECT item_id, payment_id, attempt, '{PURPOSE}', intent_id, user_id, chain_id, escrow, order_hash,
       occurrence, order_terms::jsonb, signature, gas_ceiling, valid_until, state, code, detail, traceparent,
       $17, $17, $17, state = 'created'
FROM unnest($1::uuid[], $2::uuid[], $3::integer[], $4::uuid[], $5::uuid[], $6::bigint[], $7::text[],
            $8::text[], $9::bigint[], $10::text[], $11::bytea[], $12::numeric[], $13::numeric[], $14::text[],
            $15::text[], $16::text[], $18::text[])
     AS new (item_id, payment_id, attempt, intent_id, user_id, chain_id, escrow, order_hash, occurrence,
             order_terms, signature, gas_ceiling, valid_until, state, code, detail, traceparent)
ON CONFLICT DO NOTHING
RETURNING {ITEM_COLUMNS}
"""


async def insert_items(tx: Transaction, items: Sequence[NewItem]) -> list[Item]:
    """Store items and return those that were really inserted."""
    commands = [item.command for item in items]
    states = [ItemState.FAILED if item.refusal else ItemState.CREATED for item in items]
    rows = await tx.fetch(
        _INSERT,
        [command.item_id for command in commands],
        [command.payment_id for command in commands],
        [command.attempt for command in commands],
        [command.intent_id for command in commands],
        [command.user_id for command in commands],
        [command.chain_id for command in commands],
        [command.escrow for command in commands],
        [command.order_hash for command in commands],
        [command.occurrence for command in commands],
        [_encoded(command.order) for command in commands],
        [command.signature for command in commands],
        [command.order.max_gas_price if command.order else 0 for command in commands],
        [command.order.valid_until if command.order else 0 for command in commands],
        states,
        [item.refusal.code if item.refusal else None for item in items],
        [item.refusal.detail if item.refusal else "" for item in items],
        tx.now,
        [item.traceparent for item in items],
    )
    return [item_of(row) for row in rows]


def _encoded(order: Order | None) -> str:
    return orjson.dumps(order.to_wire() if order else {}).decode()


@dataclass(frozen=True, slots=True)
class Blocking:
    """The item that holds an occurrence."""

    item_id: UUID
    payment_id: UUID


async def known_items(tx: Transaction, item_ids: Sequence[UUID]) -> set[UUID]:
    """Return which of these items exist."""
    rows = await tx.fetch("SELECT item_id FROM item WHERE item_id = ANY($1::uuid[])", list(item_ids))
    return {row["item_id"] for row in rows}


async def holders(
    tx: Transaction, keys: Sequence[tuple[int, str, int]]
) -> dict[tuple[int, str, int], Blocking]:
    """Return the items that hold occurrences, by chain, order and occurrence."""
    rows = await tx.fetch(
        "SELECT chain_id, order_hash, occurrence, item_id, payment_id FROM item"
        " JOIN unnest($1::bigint[], $2::text[], $3::bigint[]) AS wanted (chain_id, order_hash, occurrence)"
        " USING (chain_id, order_hash, occurrence) WHERE state <> 'failed'",
        [chain_id for chain_id, _, _ in keys],
        [order_hash for _, order_hash, _ in keys],
        [occurrence for _, _, occurrence in keys],
    )
    return {
        (row["chain_id"], row["order_hash"], row["occurrence"]): Blocking(row["item_id"], row["payment_id"])
        for row in rows
    }


_DUE_COLUMNS = "item_id, attempt, order_terms, occurrence, signature, gas_ceiling, created_at"


# Of the lanes that can go on, the one whose digest with the order is highest: orders keep their lane while
# others come and go, and an order's occurrences share it. While none can, each takes what it finds.
_LANE_OF_ORDER = """
coalesce((
    SELECT lane.signer FROM lane
    WHERE lane.chain_id = $1 AND lane.signer = ANY($4::text[]) AND lane.state = 'active'
      AND lane.troubles = '{}'
    ORDER BY md5(item.order_hash || lane.signer) DESC LIMIT 1), $5)
"""


async def due_items(
    database: Database, chain_id: int, signer: str, served: Sequence[str], now: datetime, limit: int
) -> list[DueItem]:
    """Return the oldest items that a lane may send, an order's occurrences in their order.

    Items are spread over the lanes that can go on; those of a lane that is stopped or in trouble fall to the
    others as long as nothing is signed for them.

    Args:
        signer: Of the lane.
        served: Signers whose lanes on this chain are at work here.
    """
    rows = await database.fetch(
        f"SELECT {_DUE_COLUMNS} FROM item WHERE chain_id = $1 AND state = 'created' AND not_before <= $2"
        f" AND {_LANE_OF_ORDER} = $5 ORDER BY not_before, sequence LIMIT $3",
        chain_id,
        now,
        limit,
        list(served),
        signer,
    )
    items = [_due_item(row) for row in rows]
    return sorted(items, key=_occurrence_order)


def _occurrence_order(item: DueItem) -> int:
    return item.occurrence


def _due_item(row: Row) -> DueItem:
    return DueItem(
        item_id=row["item_id"],
        attempt=row["attempt"],
        order=Order.from_wire(row["order_terms"]),
        occurrence=row["occurrence"],
        signature=row["signature"],
        gas_ceiling=row["gas_ceiling"],
        created_at=row["created_at"],
    )


async def claim_created(tx: Transaction, item_ids: Sequence[UUID]) -> set[UUID]:
    """Lock items that are still created and return them; others of the list are somebody else's."""
    rows = await tx.fetch(
        "SELECT item_id FROM item WHERE item_id = ANY($1::uuid[]) AND state = 'created'"
        " ORDER BY item_id FOR UPDATE SKIP LOCKED",
        list(item_ids),
    )
    return {row["item_id"] for row in rows}


async def assign(tx: Transaction, item_ids: Sequence[UUID], signer: str, nonce: int) -> int:
    """Put created items into the transaction at a nonce. Returns how many."""
    rows = await tx.fetch(
        "UPDATE item SET state = 'assigned', signer = $2, nonce = $3, sent_at = $4, changed_at = $4,"
        " waits_for = '', waits_since = NULL, code = NULL, detail = ''"
        " WHERE item_id = ANY($1::uuid[]) AND state = 'created' RETURNING item_id",
        list(item_ids),
        signer,
        nonce,
        tx.now,
    )
    return len(rows)


async def postpone(
    tx: Transaction, item_ids: Sequence[UUID], reasons: Sequence[str], until: datetime
) -> None:
    """Have created items wait for a while."""
    await tx.execute(
        "UPDATE item SET not_before = $3, waits_for = reason, changed_at = $4,"
        " waits_since = coalesce(waits_since, $4)"
        " FROM unnest($1::uuid[], $2::text[]) AS waiting (waiting_id, reason)"
        " WHERE item_id = waiting_id AND state = 'created'",
        list(item_ids),
        list(reasons),
        until,
        tx.now,
    )


async def lock_items(tx: Transaction, condition: str, *arguments: object) -> list[Item]:
    """Lock items in a fixed order and return them."""
    rows = await tx.fetch(
        f"SELECT {ITEM_COLUMNS} FROM item WHERE {condition} ORDER BY item_id FOR UPDATE", *arguments
    )
    return [item_of(row) for row in rows]


async def save_items(tx: Transaction, items: Sequence[Item]) -> None:
    """Write back what use cases have moved on."""
    if not items:
        return
    await tx.execute(
        "UPDATE item SET state = new.state, version = new.version, basis_tx_hash = new.basis_tx_hash,"
        " basis_block_hash = new.basis_block_hash, log_index = new.log_index, code = new.code,"
        " detail = new.detail, sent_at = new.sent_at, changed_at = $10"
        " FROM unnest($1::uuid[], $2::text[], $3::bigint[], $4::text[], $5::text[], $6::bigint[], $7::text[],"
        " $8::text[], $9::timestamptz[])"
        " AS new (item_id, state, version, basis_tx_hash, basis_block_hash, log_index, code, detail, sent_at)"
        " WHERE item.item_id = new.item_id",
        [item.item_id for item in items],
        [item.state for item in items],
        [item.version for item in items],
        [item.basis.tx_hash if item.basis else None for item in items],
        [item.basis.block_hash if item.basis else None for item in items],
        [item.log_index for item in items],
        [item.code for item in items],
        [item.detail for item in items],
        [item.sent_at for item in items],
        tx.now,
    )


async def waiting_count(database: Database, chain_id: int) -> int:
    """Return how many items of a chain have not been signed yet."""
    row = await database.fetch_row(
        "SELECT count(*) AS waiting FROM item WHERE chain_id = $1 AND state = 'created'", chain_id
    )
    assert row is not None, "an aggregate always returns a row"
    return row["waiting"]


async def newest_hashes(tx: Transaction, item_ids: Sequence[UUID]) -> dict[UUID, str]:
    """Return the transaction signed last for each item's nonce."""
    rows = await tx.fetch(
        "SELECT DISTINCT ON (item_id) item_id, signed.tx_hash"
        " FROM item JOIN lane_transaction AS signed USING (chain_id, signer, nonce)"
        " WHERE item_id = ANY($1::uuid[]) AND NOT signed.cancels"
        " ORDER BY item_id, signed.max_fee_per_gas DESC",
        list(item_ids),
    )
    return {row["item_id"]: row["tx_hash"] for row in rows}


async def valid_until(tx: Transaction, item_ids: Sequence[UUID]) -> dict[UUID, int]:
    """Return the last second (Unix time) of each item's order."""
    rows = await tx.fetch(
        "SELECT item_id, valid_until FROM item WHERE item_id = ANY($1::uuid[])", list(item_ids)
    )
    return {row["item_id"]: row["valid_until"] for row in rows}


async def what_they_wait_for(tx: Transaction, item_ids: Sequence[UUID]) -> dict[UUID, str]:
    """Return the code of what each item waits for."""
    rows = await tx.fetch(
        "SELECT item_id, waits_for FROM item WHERE item_id = ANY($1::uuid[])", list(item_ids)
    )
    return {row["item_id"]: row["waits_for"] for row in rows}
