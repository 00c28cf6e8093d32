"""Two signers on one chain: they share the work, and a payment that is signed stays where it was signed."""

import asyncio
from collections import Counter
from typing import Any
from uuid import UUID

from pydantic import SecretStr

from snowrail_chain.addresses import checksum_address
from snowrail_events import (
    SettlementExecutedV1,
    SettlementExecuteV1,
    SettlementFailedV1,
    SettlementSubmittedV1,
)
from snowrail_testkit import Broker, RunningService, eventually
from snowrail_testkit.escrow import EXECUTOR_KEY, SECOND_EXECUTOR_KEY, EscrowWorld

from .conftest import RunService, StartWorld, settled, sign_in_admin
from .test_payments import mine_until

AMOUNT = 9
SHARED, STUCK, MOVED, AFTERWARDS = 16, 14, 6, 8
"""Payments while both lanes are well, before one stops, while it is stopped, and once it goes on.

Of so many, chance gives some to each lane.
"""


class Payments:
    """Payments to a recipient each, so that bytes tell which of them a transaction carries."""

    def __init__(self, broker: Broker, world: EscrowWorld) -> None:
        self._broker = broker
        self._world = world
        self.commands: dict[UUID, SettlementExecuteV1] = {}

    async def command(self, count: int) -> None:
        """Command some payments."""
        for _ in range(count):
            number = len(self.commands) + 1
            recipient = checksum_address(b"\xbe\xef" + number.to_bytes(18, "big"))
            order = self._world.order(self._world.payers[number % 4], recipient, amount=AMOUNT)
            command = self._world.execute_command(order)
            self.commands[command.payment_id] = command
            await self._broker.probe.publish(command)

    async def command_again(self, payment_id: UUID) -> None:
        """Command a second attempt of a payment."""
        again = self.commands[payment_id].model_copy(update={"attempt": 2})
        await self._broker.probe.publish(again)

    def carried_by(self, raw: bytes) -> set[UUID]:
        """The payments that a transaction carries."""
        return {
            payment_id
            for payment_id, command in self.commands.items()
            if bytes.fromhex(command.order.recipient[2:]) in raw
        }


async def lanes_of(running: RunningService) -> dict[str, Any]:
    """Both lanes by signer, as administrators see them, once they have begun."""
    headers = sign_in_admin(running)

    async def both() -> Any:
        lanes = (await running.http.get("/lanes", headers=headers)).json()["lanes"]
        return {lane["signer"]: lane for lane in lanes} if len(lanes) == 2 else None

    return await eventually(both)


async def act(running: RunningService, lane: Any, path: str) -> None:
    """Do something to a lane as an administrator."""
    headers = {**sign_in_admin(running), "Idempotency-Key": path}
    url = f"/lanes/{lane['lane_id']}/{path}"
    answer = await running.http.post(url, json={"reason": "its transactions are stuck"}, headers=headers)
    assert answer.status_code == 200, answer.text


async def items_by(running: RunningService, condition: str) -> dict[UUID, Any]:
    """Items that fulfil a condition, by payment."""
    rows = await running.runtime.database.fetch(f"SELECT * FROM item WHERE {condition}")
    return {row["payment_id"]: row for row in rows}


async def test_a_stopped_lane_keeps_what_it_signed_and_the_other_goes_on(
    broker: Broker, start_world: StartWorld, run_settlement: RunService, run_monitor: RunService
) -> None:
    world = await start_world(executor_keys=(EXECUTOR_KEY, SECOND_EXECUTOR_KEY))
    payments, (stopped, other) = Payments(broker, world), world.config.executors
    options: dict[str, Any] = {
        "executor_key": SecretStr(f"{EXECUTOR_KEY},{SECOND_EXECUTOR_KEY}"),
        "transaction_items": 1,
        "in_flight_transactions": 16,
        "resend_after_seconds": 600,
    }
    async with run_monitor(world), run_settlement(world, **options) as running:
        lanes = await lanes_of(running)
        await payments.command(SHARED)
        await mine_until(world, broker.probe.collect(SettlementExecutedV1, SHARED))
        shares = Counter(row["signer"] for row in (await items_by(running, "true")).values())
        assert set(shares) == {stopped, other}

        stuck = await stop_with_signed_payments(broker, world, running, payments, lanes[stopped])
        done = SHARED + STUCK - len(stuck) + MOVED
        await mine_until(world, broker.probe.collect(SettlementExecutedV1, done))
        kept = await items_by(running, f"state = 'submitted' AND signer = '{stopped}'")
        assert kept.keys() == stuck

        await retry_after_cancellation(broker, world, running, payments, lanes[stopped], stuck)
        done += len(stuck)
        retried = await items_by(running, "attempt = 2")
        assert {row["signer"] for row in retried.values()} == {other}
        assert retried.keys() == stuck

        await act(running, lanes[stopped], "resume")
        await payments.command(AFTERWARDS)
        await mine_until(world, broker.probe.collect(SettlementExecutedV1, done + AFTERWARDS))
        await settled(broker, running)
        await check(world, running, payments, stuck)


async def stop_with_signed_payments(
    broker: Broker, world: EscrowWorld, running: RunningService, payments: Payments, lane: Any
) -> set[UUID]:
    """Have transactions of a lane be lost while an administrator stops it; return their payments."""
    await world.call("evm_setAutomine", False)
    await payments.command(STUCK)
    await broker.probe.collect(SettlementSubmittedV1, SHARED + STUCK)
    await act(running, lane, "pause")
    stuck = await items_by(running, f"state = 'submitted' AND signer = '{lane['signer']}'")
    assert 0 < len(stuck) < STUCK
    query = "SELECT tx_hash FROM lane_transaction WHERE signer = $1 AND state = 'broadcast'"
    for row in await running.runtime.database.fetch(query, lane["signer"]):
        await world.call("anvil_dropTransaction", row["tx_hash"])
    await payments.command(MOVED)
    await world.call("evm_setAutomine", True)
    return set(stuck)


async def retry_after_cancellation(
    broker: Broker,
    world: EscrowWorld,
    running: RunningService,
    payments: Payments,
    lane: Any,
    stuck: set[UUID],
) -> None:
    """Command stuck payments again, too early, and have their nonces be cancelled."""
    for payment_id in stuck:
        await payments.command_again(payment_id)
    await world.call("evm_setAutomine", False)
    before = await items_by(running, f"signer = '{lane['signer']}' AND state = 'submitted'")
    for row in before.values():
        await act(running, lane, f"nonces/{row['nonce']}/cancel")

    async def are_sent() -> bool:
        rows = await running.runtime.database.fetch(
            "SELECT 1 FROM lane_transaction WHERE cancels AND state = 'broadcast'"
        )
        return len(rows) == len(stuck)

    await eventually(are_sent)
    world.chain.mine(1)
    await asyncio.sleep(0.5)
    assert not await items_by(running, "attempt = 2"), "nothing is final: nothing may be tried again"
    await world.call("evm_setAutomine", True)
    failed = await mine_until(world, broker.probe.collect(SettlementFailedV1, len(stuck)))
    assert {(event.payment_id, event.code, event.retryable) for event in failed} == {
        (payment_id, "nonce_taken", True) for payment_id in stuck
    }

    async def are_retried() -> bool:
        rows = await items_by(running, "attempt = 2 AND state = 'executed'")
        return rows.keys() == stuck

    await mine_until(world, eventually(are_retried))


async def check(world: EscrowWorld, running: RunningService, payments: Payments, retried: set[UUID]) -> None:
    """Each lane's nonces are dense, each payment was made once, and signed twice only after proof."""
    rows = await running.runtime.database.fetch("SELECT * FROM lane_transaction ORDER BY signer, nonce")
    signed: dict[UUID, list[Any]] = {payment_id: [] for payment_id in payments.commands}
    for signer in world.config.executors:
        own = [row["nonce"] for row in rows if row["signer"] == signer and row["state"] == "final"]
        assert own == list(range(len(own)))
        assert int(await world.call("eth_getTransactionCount", signer, "latest"), 16) == len(own)
    for row in rows:
        for payment_id in payments.carried_by(row["raw"]):
            signed[payment_id].append(row)
    first = await items_by(running, "attempt = 1")
    for payment_id, found in signed.items():
        dead = [row for row in found if row["state"] == "dead"]
        assert len(dead) == len(found) - 1 == (payment_id in retried)
        if dead:
            (last,) = [row for row in found if row["state"] == "final"]
            assert last["signed_at"] > first[payment_id]["changed_at"], "signed again after the proof alone"
        assert await world.balance(payments.commands[payment_id].order.recipient, "USDC") == AMOUNT
