"""Facts in the hands of settlement: set-based, in any order, however often, contradicting or not."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import permutations
from typing import Any

import pytest_asyncio
from eth_abi.abi import encode
from eth_hash.auto import keccak

from snowrail_chain.addresses import checksum_address
from snowrail_events import (
    SettlementSubmittedV1,
    TransactionFinalV1,
    TransactionIncludedV1,
    TransactionOrphanedV1,
)
from snowrail_events.parts import EscrowLog
from snowrail_kit.database import Database
from snowrail_kit.delivery import Delivery, Envelope
from snowrail_kit.ids import TimeOrderedIds
from snowrail_kit.unit_of_work import Transaction
from snowrail_settlement.domain.lane import FactStatus
from snowrail_settlement.usecases import facts
from snowrail_settlement.usecases.upkeep import keep_up
from snowrail_testkit import Broker, RunningService, eventually
from snowrail_testkit.escrow import EscrowWorld

from .conftest import RunService

RECIPIENT = checksum_address(b"\xaa" * 20)
FOREIGN = "0x" + "f" * 64
KINDS = {
    FactStatus.INCLUDED: TransactionIncludedV1,
    FactStatus.FINAL: TransactionFinalV1,
    FactStatus.ORPHANED: TransactionOrphanedV1,
}


@dataclass(frozen=True)
class Told:
    """A fact to be applied."""

    kind: FactStatus
    version: int
    block: str = "a"
    failing: bool = False
    succeeded: bool = True
    silent: bool = False
    tx_hash: str | None = None


@dataclass
class Bench:
    """A settlement with submitted payments in one transaction, and no chain-monitor."""

    running: RunningService
    sender: str
    nonce: int
    tx_hash: str
    items: list[Any]

    def delivery(self, told: Told) -> Delivery[Any]:
        """A fact as it arrives."""
        event = KINDS[told.kind](
            chain_id=31337,
            tx_hash=told.tx_hash or self.tx_hash,
            sender=self.sender,
            nonce=self.nonce,
            succeeded=told.succeeded,
            block_number=100,
            block_hash="0x" + told.block * 64,
            block_time=self.running.runtime.clock.now(),
            logs=() if told.silent or not told.succeeded else self.logs(told.failing),
        )
        ids = self.running.runtime.ids
        envelope = Envelope(ids.new(), type(event).subject, "chain-monitor", version=told.version)
        return Delivery(envelope, event, b"")

    def logs(self, failing: bool) -> tuple[EscrowLog, ...]:
        """One log per payment aboard."""
        mismatch = keccak(b"NotDue(uint32,uint256)")[:4] + encode(["uint32", "uint256"], [1, 1])
        return tuple(
            EscrowLog(
                log_index=index,
                name="execution_failed" if failing else "executed",
                order_hash=item["order_hash"],
                occurrence=item["occurrence"],
                amount=None if failing else 5,
                fee=None if failing else 0,
                reason=f"0x{mismatch.hex()}" if failing else None,
            )
            for index, item in enumerate(self.items)
        )

    @asynccontextmanager
    async def attempt(self) -> AsyncGenerator[Transaction]:
        """A unit of work that is undone afterwards."""
        async with self.running.runtime.database.connection() as connection:
            transaction = connection.transaction()
            await transaction.start()
            try:
                yield Transaction(connection, self.running.runtime.clock.now(), TimeOrderedIds())
            finally:
                await transaction.rollback()

    async def apply(self, tx: Transaction, *told: Told) -> list[str]:
        """Apply facts one by one and return the subjects of what is told because of them."""
        before = len(tx.outgoing)
        for fact in told:
            await facts.apply_facts([self.delivery(fact)], tx, fact.kind)
        return [
            event.subject.removeprefix("settlement.").removesuffix(".v1") for event in tx.outgoing[before:]
        ]

    async def states(self, tx: Transaction) -> set[tuple[Any, ...]]:
        """States of items, with the block they rest on and the code of a failure."""
        rows = await tx.fetch("SELECT state, basis_block_hash, code FROM item")
        return {
            (row["state"], row["basis_block_hash"] and row["basis_block_hash"][2], row["code"])
            for row in rows
        }

    async def transaction_state(self, tx: Transaction) -> str:
        """State of the transaction."""
        row = await tx.fetch_row("SELECT state FROM lane_transaction WHERE tx_hash = $1", self.tx_hash)
        assert row is not None
        return row["state"]


async def start_bench(broker: Broker, world: EscrowWorld, running: RunningService, count: int) -> Bench:
    """Have payments submitted and never mined."""
    await world.call("evm_setAutomine", False)
    orders = [world.order(world.payers[number % 4], RECIPIENT, amount=5) for number in range(count)]
    await asyncio.gather(*(broker.probe.publish(world.execute_command(order)) for order in orders))
    await broker.probe.collect(SettlementSubmittedV1, count)
    database = running.runtime.database
    rows = await database.fetch("SELECT * FROM item ORDER BY sequence")
    (transaction,) = await database.fetch("SELECT * FROM lane_transaction")
    return Bench(running, transaction["signer"], transaction["nonce"], transaction["tx_hash"], rows)


@pytest_asyncio.fixture(loop_scope="session")
async def bench(broker: Broker, world: EscrowWorld, run_settlement: RunService) -> AsyncGenerator[Bench]:
    """Three payments in one transaction that was submitted."""
    async with run_settlement(world, collect_seconds=0.5, resend_after_seconds=600) as running:
        yield await start_bench(broker, world, running, 3)


LIFE = (
    Told(FactStatus.INCLUDED, 1, "a"),
    Told(FactStatus.ORPHANED, 2, "a"),
    Told(FactStatus.INCLUDED, 3, "b"),
    Told(FactStatus.FINAL, 4, "b"),
)


async def test_facts_lead_to_the_same_end_in_whatever_order_they_come(bench: Bench) -> None:
    for order in permutations(LIFE):
        async with bench.attempt() as tx:
            told = await bench.apply(tx, *order, *order)
            assert await bench.states(tx) == {("executed", "b", None)}
            assert await bench.transaction_state(tx) == "final"
            assert told.count("executed") == 3
            assert told[-1] == "executed"
            assert told.count("orphaned") <= told.count("included")


async def test_what_was_final_may_leave_the_chain_and_return(bench: Bench) -> None:
    async with bench.attempt() as tx:
        assert await bench.apply(tx, Told(FactStatus.INCLUDED, 1)) == ["included"] * 3
        assert await bench.apply(tx, Told(FactStatus.FINAL, 2)) == ["executed"] * 3
        assert await bench.apply(tx, Told(FactStatus.ORPHANED, 3)) == ["orphaned"] * 3
        assert await bench.states(tx) == {("submitted", None, None)}
        assert await bench.transaction_state(tx) == "orphaned"
        assert await bench.apply(tx, Told(FactStatus.INCLUDED, 4)) == ["included"] * 3
        assert await bench.apply(tx, Told(FactStatus.FINAL, 5)) == ["executed"] * 3
        versions = [event.aggregate_version for event in tx.outgoing]
        assert versions == [version for version in range(2, 7) for _ in range(3)]


async def test_another_block_is_told_as_a_loss_and_a_new_inclusion(bench: Bench) -> None:
    async with bench.attempt() as tx:
        await bench.apply(tx, Told(FactStatus.FINAL, 2, "a"))
        assert await bench.apply(tx, Told(FactStatus.INCLUDED, 4, "b")) == ["orphaned", "included"] * 3
        assert await bench.apply(tx, Told(FactStatus.ORPHANED, 3, "a")) == []
        assert await bench.states(tx) == {("included", "b", None)}


async def test_failures_are_told_when_final_with_their_reason(bench: Bench) -> None:
    async with bench.attempt() as tx:
        assert await bench.apply(tx, Told(FactStatus.INCLUDED, 1, failing=True)) == []
        assert await bench.apply(tx, Told(FactStatus.FINAL, 2, failing=True)) == ["failed"] * 3
        assert await bench.states(tx) == {("failed", "a", "not_due")}
        assert await bench.apply(tx, Told(FactStatus.ORPHANED, 3, failing=True)) == ["orphaned"] * 3
        assert await bench.apply(tx, Told(FactStatus.FINAL, 4, "b")) == ["executed"] * 3


async def test_a_reverted_transaction_fails_everybody_aboard(bench: Bench) -> None:
    async with bench.attempt() as tx:
        assert await bench.apply(tx, Told(FactStatus.INCLUDED, 1, succeeded=False)) == []
        assert await bench.apply(tx, Told(FactStatus.FINAL, 2, succeeded=False)) == ["failed"] * 3
        assert await bench.states(tx) == {("failed", "a", "transaction_reverted")}


async def test_a_final_transaction_without_events_leaves_everybody_in_doubt(bench: Bench) -> None:
    async with bench.attempt() as tx:
        assert await bench.apply(tx, Told(FactStatus.FINAL, 2, silent=True)) == ["unknown"] * 3
        assert await bench.states(tx) == {("unknown", None, "no_event")}
        elsewhere = Told(FactStatus.FINAL, 3, "b", tx_hash=FOREIGN)
        bench_of_another_sender = Bench(bench.running, RECIPIENT, 0, FOREIGN, bench.items)
        assert await bench_of_another_sender.apply(tx, elsewhere) == ["executed"] * 3


async def test_a_foreign_transaction_at_our_nonce_freezes_the_lane_and_fails_when_final(bench: Bench) -> None:
    async with bench.attempt() as tx:
        assert await bench.apply(tx, Told(FactStatus.INCLUDED, 1, silent=True, tx_hash=FOREIGN)) == []
        lane = await tx.fetch_row("SELECT state, reason FROM lane")
        assert lane is not None
        assert (lane["state"], FOREIGN in lane["reason"]) == ("frozen", True)
        assert await bench.states(tx) == {("submitted", None, None)}
        told = await bench.apply(tx, Told(FactStatus.FINAL, 2, silent=True, tx_hash=FOREIGN))
        assert told == ["failed"] * 3
        assert await bench.states(tx) == {("failed", "a", "nonce_taken")}
        assert await bench.transaction_state(tx) == "dead"
        told = await bench.apply(tx, Told(FactStatus.ORPHANED, 3, silent=True, tx_hash=FOREIGN))
        assert told == ["orphaned"] * 3
        assert await bench.transaction_state(tx) == "ambiguous"
        assert await bench.apply(tx, Told(FactStatus.FINAL, 4)) == ["executed"] * 3


async def is_waiting(database: Database) -> bool:
    """Whether a statement waits for a lock."""
    row = await database.fetch_row(
        "SELECT EXISTS (SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
        " AND datname = current_database()) AS waits"
    )
    return row is not None and row["waits"]


async def test_upkeep_leaves_alone_what_was_decided_while_it_waited(bench: Bench) -> None:
    database = bench.running.runtime.database
    await database.fetch("UPDATE item SET sent_at = sent_at - interval '1 day' RETURNING 1")
    async with database.transaction() as fact:
        await fact.execute("UPDATE item SET state = 'failed', code = 'reverted'")
        kept_up = asyncio.ensure_future(keep_up(bench.running.parts))
        await eventually(lambda: is_waiting(database))
    await kept_up
    rows = await database.fetch("SELECT DISTINCT state, code FROM item")
    assert [tuple(row) for row in rows] == [("failed", "reverted")]


async def test_items_on_a_reserved_nonce_that_somebody_else_has_for_good_are_let_go(bench: Bench) -> None:
    database = bench.running.runtime.database
    async with database.transaction() as connection:
        await connection.execute(
            "INSERT INTO observation (chain_id, tx_hash, version, status, sender, nonce, succeeded,"
            " block_number, block_hash) VALUES (31337, $1, 2, 'final', $2, $3, true, 100, $1)",
            FOREIGN,
            bench.sender,
            bench.nonce + 1,
        )
        await connection.execute(
            "INSERT INTO lane_nonce SELECT next.* FROM lane_nonce AS slot,"
            " jsonb_populate_record(slot, jsonb_build_object('nonce', nonce + 1)) AS next"
        )
        await connection.execute(
            "INSERT INTO lane_unsigned (chain_id, signer, nonce, callee, value, data, gas_limit)"
            " SELECT chain_id, signer, nonce, $1, 0, '', 21000 FROM lane_nonce WHERE nonce = $2",
            RECIPIENT,
            bench.nonce + 1,
        )
        await connection.execute(
            "UPDATE item SET state = 'assigned', nonce = nonce + 1, sent_at = sent_at - interval '1 day'"
        )
    await keep_up(bench.running.parts)
    rows = await database.fetch("SELECT DISTINCT state, code FROM item")
    assert [tuple(row) for row in rows] == [("failed", "nonce_taken")]


async def test_a_replacement_stored_while_the_fact_arrives_dies_with_the_nonce(bench: Bench) -> None:
    database, replacement = bench.running.runtime.database, "0x" + "e" * 64
    async with bench.attempt() as tx:
        async with database.transaction() as lane:
            await lane.execute("SELECT FROM lane_transaction FOR UPDATE")
            await lane.execute(
                "INSERT INTO lane_transaction (chain_id, tx_hash, signer, nonce, effect, raw,"
                " max_fee_per_gas, max_priority_fee_per_gas, state, signed_at, cancels)"
                " SELECT chain_id, $1, signer, nonce, effect, raw, 2 * max_fee_per_gas,"
                " max_priority_fee_per_gas, 'signed', signed_at, cancels FROM lane_transaction",
                replacement,
            )
            applied = asyncio.ensure_future(bench.apply(tx, Told(FactStatus.FINAL, 1)))

            await eventually(lambda: is_waiting(database))
        await applied
        rows = await tx.fetch("SELECT tx_hash, state FROM lane_transaction")
        assert {row["tx_hash"]: row["state"] for row in rows} == {bench.tx_hash: "final", replacement: "dead"}
    async with database.transaction() as lane:
        await lane.execute("DELETE FROM lane_transaction WHERE tx_hash = $1", replacement)


async def test_foreign_use_of_earlier_nonces_and_of_other_keys_is_none_of_our_business(bench: Bench) -> None:
    async with bench.attempt() as tx:
        await tx.execute("UPDATE lane SET first_nonce = 0")
        for sender, nonce in ((RECIPIENT, 5), (bench.sender, bench.nonce)):
            await tx.execute("UPDATE lane SET first_nonce = $1, next_nonce = $1", bench.nonce + 1)
            other = Bench(bench.running, sender, nonce, bench.tx_hash, [])
            await other.apply(tx, Told(FactStatus.FINAL, 9, tx_hash=FOREIGN, silent=True))
        lane = await tx.fetch_row("SELECT state FROM lane")
        assert lane is not None
        assert lane["state"] == "active"


async def statements_for(bench: Bench, tx: Transaction) -> list[int]:
    """How many statements an inclusion, its finality and its loss cost, once the driver knows all types."""
    counts: list[int] = []
    for version in (0, 10):
        counts.clear()
        for step, kind in enumerate((FactStatus.INCLUDED, FactStatus.FINAL, FactStatus.ORPHANED), start=1):
            seen: list[Any] = []
            with tx.connection.query_logger(seen.append):
                assert len(await bench.apply(tx, Told(kind, version + step))) == len(bench.items)
            counts.append(len(seen))
    return counts


async def test_a_fact_about_many_payments_costs_as_many_statements_as_about_one(
    broker: Broker, world: EscrowWorld, run_settlement: RunService
) -> None:
    options: dict[str, Any] = {
        "transaction_items": 256,
        "transaction_bytes": 1_000_000,
        "transaction_gas": 60_000_000,
        "collect_seconds": 5,
        "resend_after_seconds": 600,
    }
    async with run_settlement(world, **options) as running:
        many = await start_bench(broker, world, running, 200)
        assert len(many.items) == 200
        async with many.attempt() as tx:
            costs = await statements_for(many, tx)
        one = Bench(running, many.sender, many.nonce, many.tx_hash, many.items[:1])
        async with one.attempt() as tx:
            await tx.execute(
                "UPDATE item SET state = 'failed', signer = NULL, nonce = NULL WHERE item_id <> $1",
                one.items[0]["item_id"],
            )
            assert await statements_for(one, tx) == costs
    assert max(costs) <= 10
