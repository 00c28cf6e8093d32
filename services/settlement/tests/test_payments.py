"""Payments over a real chain: executed exactly once, failed with a reason, never in doubt for long."""

from snowrail_events import SettlementExecutedV1, SettlementIncludedV1, SettlementSubmittedV1
from snowrail_testkit import Broker
from snowrail_testkit.escrow import EscrowWorld

from .conftest import RunService


async def test_one_payment_is_executed_once(
    broker: Broker, world: EscrowWorld, run_settlement: RunService, run_monitor: RunService
) -> None:
    recipient = "0x00000000000000000000000000000000000000AA"
    order = world.order(world.payers[0], recipient)
    async with run_monitor(world), run_settlement(world):
        command = world.execute_command(order)
        await broker.probe.publish(command)
        (submitted,) = await broker.probe.collect(SettlementSubmittedV1, 1)
        (included,) = await broker.probe.collect(SettlementIncludedV1, 1)
        world.chain.mine(1)
        (executed,) = await broker.probe.collect(SettlementExecutedV1, 1)
    assert submitted.tx_hash == included.tx_hash == executed.tx_hash
    assert executed.payment_id == command.payment_id
    assert executed.amount == order.amount
    assert await world.balance(recipient, "USDC") == order.amount
