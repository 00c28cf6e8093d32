"""Payments over a real chain: executed exactly once, or failed with a reason, whatever comes twice."""

import asyncio
from dataclasses import replace
from typing import Any
from uuid import uuid4

import pytest

from snowrail_chain.abi import Execution, execute_many_calldata
from snowrail_chain.addresses import checksum_address
from snowrail_events import (
    SettlementExecutedV1,
    SettlementFailedV1,
    SettlementIncludedV1,
    SettlementSubmittedV1,
    TransactionFinalV1,
)
from snowrail_testkit import Broker, RunningService, eventually
from snowrail_testkit.escrow import DEPLOYER_KEY, EscrowWorld, Payer

from .conftest import RunService, item_states, lane_of, settled

RECIPIENT = checksum_address(b"\xaa" * 20)
PAUSE, UNPAUSE = bytes.fromhex("8456cb59"), bytes.fromhex("3f4ba83a")


async def mine_until(world: EscrowWorld, task: Any) -> Any:
    """Mine blocks until something has happened."""
    waiting = asyncio.ensure_future(task)
    while not waiting.done():
        await world.call("anvil_mine", "0x1")
        await asyncio.sleep(0.1)
    return await waiting


async def pause_escrow(world: EscrowWorld, data: bytes = PAUSE) -> None:
    """Pause or unpause the escrow as its administrator."""
    await world.send(Payer(DEPLOYER_KEY).address, world.config.escrow, data)


async def test_one_payment_is_executed_once(
    broker: Broker, world: EscrowWorld, run_settlement: RunService, run_monitor: RunService
) -> None:
    order = world.order(world.payers[0], RECIPIENT)
    traceparent = f"00-{'a' * 32}-{'b' * 16}-01"
    async with run_monitor(world), run_settlement(world) as running:
        command = world.execute_command(order)
        await broker.probe.publish(command, traceparent=traceparent)
        (submitted,) = await broker.probe.collect(SettlementSubmittedV1, 1)
        (included,) = await broker.probe.collect(SettlementIncludedV1, 1)
        world.chain.mine(1)
        (executed,) = await broker.probe.collect(SettlementExecutedV1, 1)
        await settled(broker, running)
        rows = await running.runtime.database.fetch(
            "SELECT subject, aggregate_version, traceparent FROM outbox ORDER BY position"
        )
    assert submitted.tx_hash == included.tx_hash == executed.tx_hash
    assert executed.payment_id == command.payment_id
    assert (executed.amount, executed.fee, executed.log_index) == (order.amount, 0, included.log_index)
    assert await world.balance(RECIPIENT, "USDC") == order.amount
    assert [row["aggregate_version"] for row in rows] == [1, 2, 3]
    assert {row["traceparent"].split("-")[1] for row in rows} == {"a" * 32}


async def test_many_payments_share_transactions_and_fail_alone(
    broker: Broker, world: EscrowWorld, run_settlement: RunService, run_monitor: RunService
) -> None:
    native = [world.order(world.payers[1], RECIPIENT, "CRO", amount=7) for _ in range(3)]
    for order in native:
        await world.fund(order)
    tokens = [world.order(world.payers[number % 4], RECIPIENT, amount=5) for number in range(40)]
    poor = [world.order(world.payers[0], RECIPIENT, amount=10**12) for _ in range(3)]
    unfunded = [world.order(world.payers[1], RECIPIENT, "CRO", amount=7) for _ in range(2)]
    orders = [*native, *tokens, *poor, *unfunded]
    commands = [world.execute_command(order) for order in orders]
    for command in commands:
        await broker.probe.publish(command)
    async with run_monitor(world), run_settlement(world, simulate=False, collect_seconds=0.3) as running:
        executed = await mine_until(world, broker.probe.collect(SettlementExecutedV1, 43))
        failed = await broker.probe.collect(SettlementFailedV1, 5)
        await settled(broker, running)
        row = await running.runtime.database.fetch_row("SELECT count(*) AS used FROM lane_nonce")
    assert row is not None
    assert row["used"] <= 3
    assert {event.payment_id for event in executed} == {command.payment_id for command in commands[:43]}
    assert sorted((event.code, event.retryable) for event in failed) == [
        *[("insufficient_balance", False)] * 3,
        *[("insufficient_deposit", False)] * 2,
    ]
    assert all(event.tx_hash is not None for event in failed)
    assert await world.balance(RECIPIENT, "USDC") == 200
    assert await world.balance(RECIPIENT, "CRO") == 21


async def test_what_would_fail_is_turned_away_before_anything_is_signed(
    broker: Broker, world: EscrowWorld, run_settlement: RunService, run_monitor: RunService
) -> None:
    poor = world.order(world.payers[0], RECIPIENT, amount=10**12)
    forged = world.order(world.payers[0], RECIPIENT)
    commands = [
        world.execute_command(poor),
        world.execute_command(forged, signature="0x" + "11" * 65),
        world.execute_command(replace(forged, recipient=world.payers[0].address)),
    ]
    async with run_monitor(world), run_settlement(world) as running:
        for command in commands:
            await broker.probe.publish(command)
        failed = {event.payment_id: event for event in await broker.probe.collect(SettlementFailedV1, 3)}
        lane = await lane_of(running)
    codes = [failed[command.payment_id].code for command in commands]
    assert codes == ["insufficient_balance", "invalid_signature", "invalid_order"]
    assert all(event.tx_hash is None and not event.retryable for event in failed.values())
    assert lane["next_nonce"] == lane["first_nonce"]


async def test_a_command_that_comes_twice_pays_once(
    broker: Broker, world: EscrowWorld, run_settlement: RunService, run_monitor: RunService
) -> None:
    command = world.execute_command(world.order(world.payers[0], RECIPIENT, amount=9))
    async with run_monitor(world), run_settlement(world) as running:
        event_id = await broker.probe.publish(command)
        await broker.probe.publish(command)
        await mine_until(world, broker.probe.collect(SettlementExecutedV1, 1))
        await broker.probe.publish(command)
        await broker.probe.publish(command, event_id=event_id, sequence=1)
        await asyncio.sleep(0.5)
        await settled(broker, running)
        assert await item_states(running) == {"executed": 1}
        assert (await lane_of(running))["next_nonce"] == (await lane_of(running))["first_nonce"] + 1
        counts = [await broker.probe.count(event) for event in (SettlementSubmittedV1, SettlementExecutedV1)]
    assert counts == [1, 1]
    assert await world.balance(RECIPIENT, "USDC") == 9


async def test_a_second_attempt_waits_for_the_first_to_end(
    broker: Broker, world: EscrowWorld, run_settlement: RunService, run_monitor: RunService
) -> None:
    payer = world.payers[0]
    await world.approve(payer, "USDC", 0)
    order, payment_id = world.order(payer, RECIPIENT, amount=9), uuid4()
    async with run_monitor(world), run_settlement(world, simulate=False) as running:
        await world.call("evm_setAutomine", False)
        await broker.probe.publish(world.execute_command(order, payment_id=payment_id, attempt=1))
        await broker.probe.collect(SettlementSubmittedV1, 1)
        await broker.probe.publish(world.execute_command(order, payment_id=payment_id, attempt=2))

        async def parked() -> Any:
            return await running.runtime.database.fetch_row("SELECT 1 FROM parked_message")

        await eventually(parked)
        await world.call("anvil_mine", "0x2")
        (failed,) = await broker.probe.collect(SettlementFailedV1, 1)
        assert (failed.attempt, failed.code, failed.retryable) == (1, "insufficient_allowance", False)
        await world.call("evm_setAutomine", True)
        await world.approve(payer, "USDC", 9)
        executed = (await mine_until(world, broker.probe.collect(SettlementExecutedV1, 1)))[0]
        assert (executed.attempt, executed.payment_id) == (2, payment_id)
        rows = await running.runtime.database.fetch("SELECT state FROM item ORDER BY attempt")
    assert [row["state"] for row in rows] == ["failed", "executed"]
    assert await world.balance(RECIPIENT, "USDC") == 9


async def test_two_payments_for_one_occurrence_are_never_both_credited(
    broker: Broker, world: EscrowWorld, run_settlement: RunService, run_monitor: RunService
) -> None:
    order = world.order(world.payers[0], RECIPIENT, amount=9)
    first, second, third = (world.execute_command(order) for _ in range(3))
    await broker.probe.publish(first)
    await broker.probe.publish(second)
    async with run_monitor(world), run_settlement(world) as running:
        (executed,) = await mine_until(world, broker.probe.collect(SettlementExecutedV1, 1))
        await broker.probe.publish(third)
        failed = await broker.probe.collect(SettlementFailedV1, 2)
        await settled(broker, running)
    assert executed.payment_id == first.payment_id
    assert {(event.payment_id, event.code, event.retryable) for event in failed} == {
        (second.payment_id, "occurrence_taken", False),
        (third.payment_id, "occurrence_taken", False),
    }
    assert await world.balance(RECIPIENT, "USDC") == 9


async def test_occurrences_of_one_order_go_in_their_order(
    broker: Broker, world: EscrowWorld, run_settlement: RunService, run_monitor: RunService
) -> None:
    order = world.order(world.payers[0], RECIPIENT, amount=9, min_interval=1, max_executions=3)
    commands = [world.execute_command(order, occurrence=number) for number in (2, 0, 1)]
    for command in commands:
        await broker.probe.publish(command)
    async with run_monitor(world), run_settlement(world) as running:
        await mine_until(world, broker.probe.collect(SettlementExecutedV1, 3))
        await settled(broker, running)
    assert await world.balance(RECIPIENT, "USDC") == 27


@pytest.mark.parametrize("simulate", [True, False])
async def test_a_paused_escrow_delays_payments_or_reverts_their_transaction(
    broker: Broker, world: EscrowWorld, run_settlement: RunService, run_monitor: RunService, simulate: bool
) -> None:
    await pause_escrow(world)
    commands = [world.execute_command(world.order(world.payers[0], RECIPIENT, amount=9)) for _ in range(2)]
    async with run_monitor(world), run_settlement(world, simulate=simulate, collect_seconds=0.3) as running:
        for command in commands:
            await broker.probe.publish(command)
        if simulate:

            async def is_held() -> bool:
                return any("escrow_paused" in trouble for trouble in (await lane_of(running))["troubles"])

            await eventually(is_held)
            await pause_escrow(world, UNPAUSE)
            await mine_until(world, broker.probe.collect(SettlementExecutedV1, 2))
            return
        failed = await mine_until(world, broker.probe.collect(SettlementFailedV1, 2))
        assert {(event.code, event.retryable) for event in failed} == {("transaction_reverted", True)}
        await pause_escrow(world, UNPAUSE)
        for command in commands:
            await broker.probe.publish(command.model_copy(update={"attempt": 2}))
        await mine_until(world, broker.probe.collect(SettlementExecutedV1, 2))


async def appoint(world: EscrowWorld, account: str) -> None:
    """Make an account an executor beside ours."""
    from snowrail_chain.deploy import EXECUTOR_ROLE

    data = bytes.fromhex("2f2ff15d") + EXECUTOR_ROLE + bytes(12) + bytes.fromhex(account[2:])
    await world.send(Payer(DEPLOYER_KEY).address, world.config.escrow, data)


@pytest.mark.parametrize("simulate", [True, False])
async def test_an_execution_by_somebody_else_decides_too(
    broker: Broker, world: EscrowWorld, run_settlement: RunService, run_monitor: RunService, simulate: bool
) -> None:
    other = world.payers[3].address
    await appoint(world, other)
    order = world.order(world.payers[0], RECIPIENT, amount=9)
    data = execute_many_calldata([Execution(order, 0, world.sign(order))])
    tx_hash = await world.send(other, world.config.escrow, data)
    async with run_settlement(world, simulate=simulate, wait_limit_seconds=0.1) as running:
        await broker.probe.publish(world.execute_command(order))
        waiting = "SELECT 1 FROM item WHERE waits_for = 'executed_elsewhere' OR state = 'submitted'"

        async def is_waiting() -> Any:
            return await running.runtime.database.fetch_row(waiting)

        await eventually(is_waiting)
        async with run_monitor(world):
            (executed,) = await mine_until(world, broker.probe.collect(SettlementExecutedV1, 1))
            await settled(broker, running)
    assert executed.tx_hash == tx_hash
    assert await broker.probe.count(SettlementFailedV1) == 0
    assert await world.balance(RECIPIENT, "USDC") == 9


async def test_evidence_that_came_before_the_command_decides_it(
    broker: Broker, world: EscrowWorld, run_settlement: RunService, run_monitor: RunService
) -> None:
    other = world.payers[3].address
    await appoint(world, other)
    order = world.order(world.payers[0], RECIPIENT, amount=9)
    data = execute_many_calldata([Execution(order, 0, world.sign(order))])
    async with run_monitor(world), run_settlement(world) as running:
        await world.send(other, world.config.escrow, data)
        await mine_until(world, broker.probe.collect(TransactionFinalV1, 1))

        async def is_known() -> Any:
            return await running.runtime.database.fetch_row(
                "SELECT 1 FROM observation WHERE status = 'final'"
            )

        await eventually(is_known)
        await broker.probe.publish(world.execute_command(order))
        await broker.probe.collect(SettlementExecutedV1, 1)
        lane = await lane_of(running)
    assert lane["next_nonce"] == lane["first_nonce"]


async def test_a_payment_whose_gas_ceiling_is_too_low_waits_and_keeps_nobody_back(
    broker: Broker, world: EscrowWorld, run_settlement: RunService, run_monitor: RunService
) -> None:
    dear = world.order(world.payers[0], RECIPIENT, amount=9)
    cheap = world.order(world.payers[0], RECIPIENT, amount=5, max_gas_price=1_100_000_000)
    async with run_monitor(world), run_settlement(world, collect_seconds=0.3) as running:
        await world.call("evm_setAutomine", False)
        world.chain.set_gas_price(10_000_000_000)
        await world.call("anvil_mine", "0x1")
        await broker.probe.publish(world.execute_command(cheap))
        await broker.probe.publish(world.execute_command(dear))
        await broker.probe.collect(SettlementSubmittedV1, 1)

        async def one_waits() -> bool:
            return (await lane_of(running))["waiting_items"] == 1

        await eventually(one_waits)
        world.chain.set_gas_price(50_000_000)
        await mine_until(world, broker.probe.collect(SettlementExecutedV1, 2))
        rows = await running.runtime.database.fetch(
            "SELECT max_fee_per_gas FROM lane_transaction ORDER BY nonce"
        )
    assert rows[1]["max_fee_per_gas"] <= 1_100_000_000 < rows[0]["max_fee_per_gas"]


async def test_who_waits_too_long_fails_unsigned_and_may_try_again(
    broker: Broker, world: EscrowWorld, run_settlement: RunService, run_monitor: RunService
) -> None:
    cheap = world.order(world.payers[0], RECIPIENT, amount=5, max_gas_price=1)
    early = world.order(world.payers[0], RECIPIENT, amount=5, valid_after=2**39)
    async with run_monitor(world), run_settlement(world, wait_limit_seconds=0.3) as running:
        await broker.probe.publish(world.execute_command(cheap))
        await broker.probe.publish(world.execute_command(early))
        failed = await broker.probe.collect(SettlementFailedV1, 2)
        lane = await lane_of(running)
    assert sorted((event.code, event.retryable) for event in failed) == [
        ("gas_price_above_limit", True),
        ("order_not_yet_valid", True),
    ]
    assert lane["next_nonce"] == lane["first_nonce"]


async def test_gas_is_never_bought_above_our_own_limit(
    broker: Broker, world: EscrowWorld, run_settlement: RunService, run_monitor: RunService
) -> None:
    async with run_settlement(world, highest_fee_wei=5) as running:
        await broker.probe.publish(world.execute_command(world.order(world.payers[0], RECIPIENT)))

        async def is_told() -> bool:
            return any("the limit is 5" in trouble for trouble in (await lane_of(running))["troubles"])

        await eventually(is_told)
        assert await item_states(running) == {"created": 1}


async def test_a_contract_that_burns_its_gas_fails_alone(
    broker: Broker, world: EscrowWorld, run_settlement: RunService, run_monitor: RunService
) -> None:
    burner = world.order(world.payers[3], RECIPIENT, amount=5)
    good = world.order(world.payers[0], RECIPIENT, amount=5)
    await world.call("anvil_setCode", world.payers[3].address, "0x5b600056")  # loops for ever
    await broker.probe.publish(world.execute_command(burner))
    await broker.probe.publish(world.execute_command(good))
    async with run_monitor(world), run_settlement(world, simulate=False, collect_seconds=0.5) as running:
        await mine_until(world, broker.probe.collect(SettlementExecutedV1, 1))
        (failed,) = await broker.probe.collect(SettlementFailedV1, 1)
        await settled(broker, running)
        (used,) = await running.runtime.database.fetch("SELECT item_count FROM lane_nonce")
    assert used["item_count"] == 2
    assert (failed.code, failed.retryable) in {("invalid_signature", False), ("execution_reverted", False)}
    assert await world.balance(RECIPIENT, "USDC") == 5


async def test_replicas_share_the_work_and_pay_once(
    broker: Broker, world: EscrowWorld, run_settlement: RunService, run_monitor: RunService
) -> None:
    orders = [world.order(world.payers[number % 4], RECIPIENT, amount=5) for number in range(30)]

    async def submit(running: RunningService) -> None:
        for order in orders:
            await broker.probe.publish(world.execute_command(order))

    async with run_monitor(world), run_settlement(world) as first, run_settlement(world) as second:
        await submit(first)
        await mine_until(world, broker.probe.collect(SettlementExecutedV1, 30))
        await settled(broker, second)
        assert await broker.probe.count(SettlementExecutedV1) == 30
        assert await broker.probe.count(SettlementSubmittedV1) == 30
    assert await world.balance(RECIPIENT, "USDC") == 150
