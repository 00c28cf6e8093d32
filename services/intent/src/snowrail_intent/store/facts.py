"""Events of the escrow about our orders, as the chain's monitor told them."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from uuid import UUID

from snowrail_chain.eip712 import Order
from snowrail_intent.domain.facts import EscrowFact, FactState, OrderOnChain
from snowrail_kit.database import Connection

_UPSERT = """
INSERT INTO escrow_fact (chain_id, block_hash, tx_hash, log_index, order_hash, name, amount, fee, sender,
    block_number, version, state)
SELECT told.* FROM unnest($1::bigint[], $2::bytea[], $3::bytea[], $4::integer[], $5::bytea[], $6::text[],
    $7::numeric[], $8::numeric[], $9::text[], $10::bigint[], $11::bigint[], $12::smallint[])
    AS told (chain_id, block_hash, tx_hash, log_index, order_hash, name, amount, fee, sender, block_number,
             version, state)
JOIN intent_order USING (order_hash) JOIN intent ON intent.intent_id = intent_order.intent_id
WHERE intent.chain_id = told.chain_id
ORDER BY told.chain_id, told.block_hash, told.tx_hash, told.log_index
ON CONFLICT (chain_id, block_hash, tx_hash, log_index) DO UPDATE
SET version = EXCLUDED.version, state = EXCLUDED.state
WHERE (EXCLUDED.version, EXCLUDED.state) > (escrow_fact.version, escrow_fact.state)
"""


@dataclass(frozen=True, slots=True)
class ToldFact:
    """An event of the escrow with where it was seen and the version of its transaction."""

    chain_id: int
    block_hash: bytes
    version: int
    fact: EscrowFact


@dataclass(frozen=True, slots=True)
class StoredOrder:
    """An order, current or superseded, with what is known of it on chain."""

    intent_id: UUID
    revision: int
    order: Order
    seen: OrderOnChain


async def find_intents(connection: Connection, order_hashes: Iterable[bytes]) -> set[UUID]:
    """Return the intents that these orders, current or superseded, belong to."""
    rows = await connection.fetch(
        "SELECT DISTINCT intent_id FROM intent_order WHERE order_hash = ANY($1::bytea[])", list(order_hashes)
    )
    return {row["intent_id"] for row in rows}


async def save(connection: Connection, told: Sequence[ToldFact]) -> None:
    """Store events about our orders; what is older than what is known of the same event changes nothing."""
    latest: dict[tuple[int, bytes, bytes, int], ToldFact] = {}
    for item in told:
        key = (item.chain_id, item.block_hash, item.fact.tx_hash, item.fact.log_index)
        known = latest.get(key)
        if known is None or (item.version, item.fact.state) > (known.version, known.fact.state):
            latest[key] = item
    rows = list(latest.values())
    await connection.execute(
        _UPSERT,
        [item.chain_id for item in rows],
        [item.block_hash for item in rows],
        [item.fact.tx_hash for item in rows],
        [item.fact.log_index for item in rows],
        [item.fact.order_hash for item in rows],
        [item.fact.name for item in rows],
        [item.fact.amount for item in rows],
        [item.fact.fee for item in rows],
        [item.fact.sender for item in rows],
        [item.fact.block_number for item in rows],
        [item.version for item in rows],
        [item.fact.state for item in rows],
    )


async def find(connection: Connection, order_hashes: Iterable[bytes]) -> dict[bytes, list[EscrowFact]]:
    """Return all events of these orders."""
    rows = await connection.fetch(
        "SELECT order_hash, name, amount, fee, sender, tx_hash, block_number, log_index, state"
        " FROM escrow_fact WHERE order_hash = ANY($1::bytea[])",
        list(order_hashes),
    )
    facts: dict[bytes, list[EscrowFact]] = {}
    for row in rows:
        fact = EscrowFact(
            order_hash=row["order_hash"],
            name=row["name"],
            amount=row["amount"],
            fee=row["fee"],
            sender=row["sender"],
            tx_hash=row["tx_hash"],
            block_number=row["block_number"],
            log_index=row["log_index"],
            state=FactState(row["state"]),
        )
        facts.setdefault(fact.order_hash, []).append(fact)
    return facts


async def find_orders(connection: Connection, order_hashes: Iterable[bytes]) -> dict[bytes, StoredOrder]:
    """Return orders with what was known of them on chain when they were last saved."""
    rows = await connection.fetch(
        """
        SELECT intent_order.*, payer, recipient, token_address, amount
        FROM intent_order JOIN intent USING (intent_id)
        WHERE intent_order.order_hash = ANY($1::bytea[])
        """,
        list(order_hashes),
    )
    return {
        row["order_hash"]: StoredOrder(
            intent_id=row["intent_id"],
            revision=row["revision"],
            order=Order(
                payer=row["payer"],
                recipient=row["recipient"],
                token=row["token_address"],
                amount=row["amount"],
                valid_after=row["valid_after"],
                valid_until=row["valid_until"],
                max_gas_price=row["max_gas_price"],
                safety_buffer=row["safety_buffer"],
                min_interval=row["min_interval"],
                max_executions=row["max_executions"],
                max_fee=row["max_fee"],
                salt=row["salt"],
            ),
            seen=OrderOnChain(
                deposit=row["deposit"],
                refunded=row["refunded"],
                cancelled=row["chain_cancelled"],
                finally_executed=row["executed"],
            ),
        )
        for row in rows
    }


async def save_orders(connection: Connection, orders: Iterable[tuple[bytes, OrderOnChain]]) -> None:
    """Store what orders have come to on chain."""
    rows = list(orders)
    await connection.execute(
        "UPDATE intent_order SET deposit = new.deposit, refunded = new.refunded,"
        " chain_cancelled = new.chain_cancelled, executed = new.executed"
        " FROM unnest($1::bytea[], $2::numeric[], $3::numeric[], $4::boolean[], $5::integer[])"
        " AS new (order_hash, deposit, refunded, chain_cancelled, executed)"
        " WHERE intent_order.order_hash = new.order_hash",
        [order_hash for order_hash, _ in rows],
        [seen.deposit for _, seen in rows],
        [seen.refunded for _, seen in rows],
        [seen.cancelled for _, seen in rows],
        [seen.finally_executed for _, seen in rows],
    )
