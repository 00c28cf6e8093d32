"""Facts about transactions, from a real chain over the real bus: inclusion, finality, forks, restarts."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import REGISTRY

from snowrail_chain.abi import Execution, execute_many_calldata
from snowrail_chain.eip712 import order_hash
from snowrail_chain.rpc import RpcClient
from snowrail_chain_monitor.metrics import FROZEN
from snowrail_events import (
    SettlementSubmittedV1,
    TransactionFinalV1,
    TransactionIncludedV1,
    TransactionOrphanedV1,
)
from snowrail_testkit import Broker, RunningService, eventually
from snowrail_testkit.escrow import EscrowWorld

from .conftest import RunMonitor, StartWorld

FACTS = (TransactionIncludedV1, TransactionFinalV1, TransactionOrphanedV1)


async def caught_up(running: RunningService, world: EscrowWorld) -> None:
    """Wait until the monitor has stored the chain's newest block."""

    async def is_at_the_tip() -> bool:
        (status,) = (await running.http.get("/status")).json()
        return status["tip"] == await asyncio.to_thread(world.chain.block_number)

    await eventually(is_at_the_tip)


async def counts(broker: Broker) -> list[int]:
    """How many facts of each kind the bus holds, once the outbox had time to empty."""
    await asyncio.sleep(0.3)
    return [await broker.probe.count(fact) for fact in FACTS]


async def test_a_funding_is_told_as_included_and_then_as_final(
    broker: Broker, world: EscrowWorld, run_monitor: RunMonitor
) -> None:
    payer, recipient = world.payers[0], world.payers[1].address
    order = world.order(payer, recipient, "CRO")
    async with run_monitor(world):
        transaction_hash = await world.fund(order)
        (included,) = await broker.probe.collect(TransactionIncludedV1, 1)
        assert await broker.probe.count(TransactionFinalV1) == 0
        world.chain.mine(1)
        (final,) = await broker.probe.collect(TransactionFinalV1, 1)
    for fact in (included, final):
        assert fact.tx_hash == transaction_hash
        assert fact.sender == payer.address
        assert fact.succeeded
        (log,) = fact.logs
        assert (log.name, log.order_hash) == ("funded", f"0x{order_hash(order).hex()}")
        assert (log.payer, log.amount, log.token) == (payer.address, order.amount, order.token)


async def test_with_one_confirmation_there_is_only_the_final_fact(
    broker: Broker, start_world: StartWorld, run_monitor: RunMonitor
) -> None:
    world = await start_world(confirmations=1)
    async with run_monitor(world):
        await world.fund(world.order(world.payers[0], world.payers[1].address, "CRO"))
        await broker.probe.collect(TransactionFinalV1, 1)
        world.chain.mine(3)
        assert await counts(broker) == [0, 1, 0]


async def test_executions_carry_every_item_and_reverted_ones_are_told_too(
    broker: Broker, world: EscrowWorld, run_monitor: RunMonitor
) -> None:
    recipient = world.payers[3].address
    orders = [world.order(world.payers[0], recipient, amount=5) for _ in range(3)]
    items = [Execution(order, 0, world.sign(order)) for order in orders]
    refused = Execution(world.order(world.payers[1], recipient), 0, b"\x01" * 65)
    async with run_monitor(world):
        await world.send(
            world.executor, world.config.escrow, execute_many_calldata([*items, refused]), gas=3_000_000
        )
        reverted = await world.send(world.executor, world.config.escrow, b"\xde\xad\xbe\xef")
        world.chain.mine(2)
        facts = {fact.tx_hash: fact for fact in await broker.probe.collect(TransactionFinalV1, 2)}
    failed = facts.pop(reverted)
    assert (failed.succeeded, failed.logs, failed.sender) == (False, (), world.executor)
    (executed,) = facts.values()
    assert executed.nonce == failed.nonce - 1
    assert [log.name for log in executed.logs] == ["executed"] * 3 + ["execution_failed"]
    assert [log.order_hash for log in executed.logs[:3]] == [
        f"0x{order_hash(order).hex()}" for order in orders
    ]
    assert executed.logs[3].reason is not None


async def test_a_restart_tells_nothing_twice_and_misses_nothing(
    broker: Broker, world: EscrowWorld, run_monitor: RunMonitor
) -> None:
    def order() -> Any:
        return world.order(world.payers[0], world.payers[1].address, "CRO")

    async with run_monitor(world):
        await world.fund(order())
        await broker.probe.collect(TransactionIncludedV1, 1)
    await world.fund(order())
    world.chain.mine(70)
    await world.fund(order())
    async with run_monitor(world, range_blocks=10) as running:
        await broker.probe.collect(TransactionFinalV1, 2)
        await broker.probe.collect(TransactionIncludedV1, 2)
        await caught_up(running, world)
    async with run_monitor(world) as running:
        world.chain.mine(1)
        await broker.probe.collect(TransactionFinalV1, 3)
        await caught_up(running, world)
    # the second was deep enough when it was first seen: final only
    assert await counts(broker) == [2, 3, 0]


async def test_a_fork_takes_back_what_was_included_and_tells_it_anew(
    broker: Broker, start_world: StartWorld, run_monitor: RunMonitor
) -> None:
    world = await start_world(confirmations=5)
    async with run_monitor(world) as running:
        transaction_hash = await world.fund(world.order(world.payers[0], world.payers[1].address, "CRO"))
        raw = await world.call("eth_getRawTransactionByHash", transaction_hash)
        (first,) = await broker.probe.collect(TransactionIncludedV1, 1)
        await caught_up(running, world)
        world.chain.reorg(1)
        (orphaned,) = await broker.probe.collect(TransactionOrphanedV1, 1)
        assert (orphaned.tx_hash, orphaned.block_hash) == (transaction_hash, first.block_hash)
        assert orphaned.logs == first.logs
        await world.call("eth_sendRawTransaction", raw)
        again = (await broker.probe.collect(TransactionIncludedV1, 2))[1]
        assert again.tx_hash == transaction_hash
        assert again.block_hash != first.block_hash
        world.chain.mine(5)
        await broker.probe.collect(TransactionFinalV1, 1)
        rows = await running.runtime.database.fetch(
            "SELECT status, version FROM chain_transaction ORDER BY version"
        )
        assert [row["status"] for row in rows] == ["orphaned", "final"]
        assert await counts(broker) == [2, 1, 1]


async def test_a_fork_below_the_depth_of_finality_takes_back_final_facts(
    broker: Broker, world: EscrowWorld, run_monitor: RunMonitor
) -> None:
    async with run_monitor(world, rollback_blocks=3) as running:
        hashes: list[str] = []
        for _ in range(4):
            hashes.append(await world.fund(world.order(world.payers[0], world.payers[1].address, "CRO")))
            world.chain.mine(3)
        await broker.probe.collect(TransactionFinalV1, 4)
        await caught_up(running, world)
        world.chain.reorg(12)
        orphaned = await broker.probe.collect(TransactionOrphanedV1, 3)
        assert {fact.tx_hash for fact in orphaned} == set(hashes[1:])
        world.chain.mine(1)
        await caught_up(running, world)
        assert (await running.http.get("/health/ready")).status_code == 200
    assert (await counts(broker))[1:] == [4, 3]


async def test_a_rollback_without_new_blocks_proves_nothing_until_the_chain_goes_on(
    broker: Broker, world: EscrowWorld, run_monitor: RunMonitor
) -> None:
    async with run_monitor(world) as running:
        await world.fund(world.order(world.payers[0], world.payers[1].address, "CRO"))
        world.chain.mine(2)
        await broker.probe.collect(TransactionFinalV1, 1)
        await caught_up(running, world)
        world.chain.rollback(3)
        await asyncio.sleep(0.5)
        assert await broker.probe.count(TransactionOrphanedV1) == 0
        world.chain.mine(1, seconds_between=7)
        await broker.probe.collect(TransactionOrphanedV1, 1)
        await caught_up(running, world)


async def test_a_rollback_deeper_than_configured_freezes_the_chain_until_the_depth_is_raised(
    broker: Broker, world: EscrowWorld, run_monitor: RunMonitor
) -> None:
    async with run_monitor(world, reorg_depth_blocks=4) as running:
        await world.fund(world.order(world.payers[0], world.payers[1].address, "CRO"))
        await broker.probe.collect(TransactionIncludedV1, 1)
        world.chain.mine(5)
        await broker.probe.collect(TransactionFinalV1, 1)
        await caught_up(running, world)
        world.chain.reorg(6)

        async def frozen() -> Any:
            answer = await running.http.get("/health/ready")
            return answer if answer.status_code == 503 else None

        answer = await eventually(frozen)
        assert "deeper than 4 blocks" in answer.json()["reasons"][0]
        (status,) = (await running.http.get("/status")).json()
        assert "deeper than 4 blocks" in status["frozen_reason"]
        world.chain.mine(3)
        assert await counts(broker) == [1, 1, 0]

        async def is_shown() -> bool:
            return 'snowrail_chain_frozen{chain="31337"} 1.0' in (await running.http.get("/metrics")).text

        await eventually(is_shown)
        # nor does the alarm end when another replica takes over and the node lacks what was followed
        world.chain.rollback(9)
        FROZEN.remove("31337")

        async def alarms() -> bool:
            return REGISTRY.get_sample_value("snowrail_chain_frozen", {"chain": "31337"}) == 1

        await eventually(alarms)
        world.chain.mine(9, seconds_between=7)
    async with run_monitor(world, reorg_depth_blocks=8) as running:
        await broker.probe.collect(TransactionOrphanedV1, 1)
        await caught_up(running, world)
        assert (await running.http.get("/health/ready")).status_code == 200


async def test_the_trace_of_a_submitted_payment_goes_on_in_its_facts(
    broker: Broker, world: EscrowWorld, run_monitor: RunMonitor, build: Any
) -> None:
    unsampled, sampled = (f"00-{digit * 32}-{digit * 16}-0{flags}" for digit, flags in (("a", 2), ("b", 3)))
    async with run_monitor(world) as running:
        await world.call("evm_setAutomine", False)
        order = world.order(world.payers[0], world.payers[1].address, amount=1)
        data = execute_many_calldata([Execution(order, 0, world.sign(order))])
        call = {
            "from": world.executor,
            "to": world.config.escrow,
            "data": f"0x{data.hex()}",
            "gas": hex(10**6),
        }
        transaction_hash = await world.call("eth_sendTransaction", call)
        for traceparent in (unsampled, sampled, unsampled):
            await broker.probe.publish(
                build(SettlementSubmittedV1, chain_id=world.config.chain_id, tx_hash=transaction_hash),
                traceparent=traceparent,
            )

        async def all_heard() -> Any:
            return await running.runtime.database.fetch_row("SELECT 1 FROM inbox HAVING count(*) = 3")

        await eventually(all_heard)
        world.chain.mine(2)
        await broker.probe.collect(TransactionFinalV1, 1)
        rows = await running.runtime.database.fetch(
            "SELECT traceparent FROM outbox WHERE subject LIKE 'transaction.%'"
        )
        assert {row["traceparent"] for row in rows} == {sampled}


@pytest.mark.parametrize("answers", [True, False])
async def test_nothing_is_final_until_every_node_agrees(
    broker: Broker, world: EscrowWorld, run_monitor: RunMonitor, start_chain: Any, answers: bool
) -> None:
    other = start_chain()
    if not answers:
        other.anvil.kill()
    world.config = world.config.model_copy(update={"rpc_urls": (world.chain.url, other.url)})
    async with run_monitor(world):
        await world.fund(world.order(world.payers[0], world.payers[1].address, "CRO"))
        await broker.probe.collect(TransactionIncludedV1, 1)
        world.chain.mine(5)
        await asyncio.sleep(0.5)
        assert await broker.probe.count(TransactionFinalV1) == 0
    world.config = world.config.model_copy(update={"rpc_urls": (world.chain.url, world.chain.url)})
    async with run_monitor(world):
        await broker.probe.collect(TransactionFinalV1, 1)


async def test_a_node_that_is_out_of_reach_is_waited_for(
    broker: Broker, world: EscrowWorld, run_monitor: RunMonitor, start_fault_proxy: Any
) -> None:
    proxy = await start_fault_proxy(world.chain.anvil.port)
    world.config = world.config.model_copy(update={"rpc_urls": (proxy.url_for(world.chain.url),)})
    proxy.refuse()
    async with run_monitor(world, rpc_timeout_seconds=0.5) as running:
        await world.fund(world.order(world.payers[0], world.payers[1].address, "CRO"))
        assert (await running.http.post("/internal/balances", json={"chain_id": 31337})).status_code == 503
        proxy.heal()
        await broker.probe.collect(TransactionIncludedV1, 1)
        proxy.pause()
        await asyncio.sleep(1)
        proxy.resume()
        proxy.reset_all()
        world.chain.mine(1)
        await broker.probe.collect(TransactionFinalV1, 1)


async def test_announced_blocks_wake_the_follower(
    broker: Broker, start_world: StartWorld, run_monitor: RunMonitor
) -> None:
    world = await start_world(announced=True)
    world.config = world.config.model_copy(update={"block_time_seconds": 200.0})
    async with run_monitor(world, poll_longest_seconds=60) as running:
        await caught_up(running, world)

        async def is_woken() -> bool:
            world.chain.mine(1)  # what is mined before the subscription is announced to nobody
            await asyncio.sleep(0.1)
            (status,) = (await running.http.get("/status")).json()
            return status["tip"] == world.chain.block_number()

        await eventually(is_woken)
        await world.fund(world.order(world.payers[0], world.payers[1].address, "CRO"))
        await broker.probe.collect(TransactionIncludedV1, 1, timeout_seconds=40)


async def test_another_chain_behind_the_address_is_never_believed(
    broker: Broker, world: EscrowWorld, run_monitor: RunMonitor, start_chain: Any, tmp_path: Path
) -> None:
    foreign = start_chain(chain_id=338)
    world.config = world.config.model_copy(update={"rpc_urls": (foreign.url,)})
    async with run_monitor(world) as running:
        await asyncio.sleep(0.5)
        (status,) = (await running.http.get("/status")).json()
        assert status["tip"] is None
        async with RpcClient(foreign.url, 338) as rpc:
            assert await rpc.block_number() == 0


async def test_a_chain_that_goes_back_to_a_block_it_had_left_is_told_so(
    broker: Broker,
    start_world: StartWorld,
    run_monitor: RunMonitor,
    start_chain: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world = await start_world(confirmations=30)
    height = str(world.chain.block_number())
    other = start_chain(
        extra_arguments=("--fork-url", world.chain.url, "--fork-block-number", height, "--no-rate-limit")
    )
    world.config = world.config.model_copy(update={"rpc_urls": (world.chain.url, other.url)})
    async with run_monitor(world) as running:
        reader = running.parts.followers[world.config.chain_id].reader
        head_of_a_node, chosen = reader.head, [0]

        async def head(tip: int | None) -> Any:
            """The first question of a pass: here the node changes, so that no pass asks both."""
            if reader._nodes._preferred != chosen[0]:
                reader.suspect()
            return await head_of_a_node(tip)

        monkeypatch.setattr(reader, "head", head)
        await world.fund(world.order(world.payers[0], world.payers[1].address, "CRO"))
        (first,) = await broker.probe.collect(TransactionIncludedV1, 1)
        await caught_up(running, world)
        await asyncio.to_thread(other.mine, 3)
        chosen[0] = 1
        await broker.probe.collect(TransactionOrphanedV1, 1)

        async def at_the_others_tip() -> bool:
            (status,) = (await running.http.get("/status")).json()
            return status["tip"] == await asyncio.to_thread(other.block_number)

        await eventually(at_the_others_tip)
        chosen[0] = 0
        again = (await broker.probe.collect(TransactionIncludedV1, 2))[1]
        assert again == first
        rows = await running.runtime.database.fetch(
            "SELECT subject, aggregate_version FROM outbox WHERE subject LIKE 'transaction%'"
            " ORDER BY position"
        )
    assert [row["subject"].split(".")[1] for row in rows] == ["included", "orphaned", "included"]
    versions = [row["aggregate_version"] for row in rows]
    assert versions == sorted(set(versions))
