"""The nonce lane against nodes that forget, lag and lose answers, foreign use of its key, and restarts."""

import asyncio
from dataclasses import replace
from typing import Any

import asyncpg
import pytest

from snowrail_chain.addresses import checksum_address
from snowrail_chain.send import SendOutcome, SendResult
from snowrail_chain.signer import read_transaction
from snowrail_events import (
    SettlementExecutedV1,
    SettlementFailedV1,
    SettlementIncludedV1,
    SettlementOrphanedV1,
    SettlementSubmittedV1,
    SettlementUnknownV1,
)
from snowrail_kit.audit import verify
from snowrail_settlement.clients import Account, Network
from snowrail_testkit import Broker, RunningService, eventually
from snowrail_testkit.escrow import EscrowWorld

from .conftest import (
    RunService,
    StartWorld,
    item_states,
    items_become,
    lane_of,
    settled,
    sign_in_admin,
    wrap_node,
)
from .test_payments import mine_until

RECIPIENT = checksum_address(b"\xaa" * 20)


async def signed(running: RunningService) -> list[Any]:
    """Every transaction that was ever signed."""
    return await running.runtime.database.fetch(
        "SELECT * FROM lane_transaction ORDER BY nonce, max_fee_per_gas"
    )


async def pay(broker: Broker, world: EscrowWorld, count: int = 1, amount: int = 9) -> None:
    """Command some payments."""
    orders = [world.order(world.payers[number % 4], RECIPIENT, amount=amount) for number in range(count)]
    await asyncio.gather(*(broker.probe.publish(world.execute_command(order)) for order in orders))


async def has_trouble(running: RunningService, words: str) -> None:
    """Wait until the lane tells operators of something."""

    async def is_told() -> bool:
        return any(words in trouble for trouble in (await lane_of(running))["troubles"])

    await eventually(is_told)


async def transaction_count(world: EscrowWorld) -> int:
    """How many transactions of the executor are in blocks."""
    return int(await world.call("eth_getTransactionCount", world.executor, "latest"), 16)


async def test_the_same_bytes_leave_after_a_restart_between_commit_and_broadcast(
    broker: Broker, world: EscrowWorld, run_settlement: RunService, run_monitor: RunService
) -> None:
    async with run_settlement(world, collect_seconds=0.5) as running:
        wrap_node(running).killed_calls.add("send")
        await pay(broker, world, 3)

        async def is_signed() -> Any:
            return await signed(running)

        (before,) = await eventually(is_signed)
        assert before["state"] == "signed"
        assert await transaction_count(world) == 0
    async with run_monitor(world), run_settlement(world) as running:
        await mine_until(world, broker.probe.collect(SettlementExecutedV1, 3))
        (after,) = await signed(running)
    assert after["raw"] == before["raw"]
    assert after["tx_hash"] == before["tx_hash"]
    assert await transaction_count(world) == 1


async def test_an_answer_lost_after_the_node_accepted_pays_once(
    broker: Broker,
    world: EscrowWorld,
    run_settlement: RunService,
    run_monitor: RunService,
    start_fault_proxy: Any,
) -> None:
    proxy = await start_fault_proxy(world.chain.anvil.port)
    cut = proxy.lose_reply(b"eth_sendRawTransaction")
    options: dict[str, Any] = {"rpc_url": proxy.url_for(world.chain.url), "collect_seconds": 0.5}
    async with run_monitor(world), run_settlement(world, **options) as running:
        await pay(broker, world, 2)
        await asyncio.wait_for(cut.fired.wait(), 30)
        await mine_until(world, broker.probe.collect(SettlementExecutedV1, 2))
        await settled(broker, running)
        assert len(await signed(running)) == 1
        assert await broker.probe.count(SettlementSubmittedV1) == 2
    assert await transaction_count(world) == 1
    assert await world.balance(RECIPIENT, "USDC") == 18


async def test_a_node_out_of_reach_delays_and_loses_nothing(
    broker: Broker,
    world: EscrowWorld,
    run_settlement: RunService,
    run_monitor: RunService,
    start_fault_proxy: Any,
) -> None:
    proxy = await start_fault_proxy(world.chain.anvil.port)
    url = proxy.url_for(world.chain.url)
    async with run_monitor(world), run_settlement(world, rpc_url=url, rpc_timeout_seconds=0.5) as running:
        await lane_of(running)
        proxy.refuse()
        proxy.reset_all()
        await pay(broker, world)
        await has_trouble(running, "no node answers")
        proxy.heal()
        await mine_until(world, broker.probe.collect(SettlementExecutedV1, 1))
        proxy.half_open()
        await pay(broker, world)
        await asyncio.sleep(1)
        proxy.heal()
        proxy.reset_all()
        await mine_until(world, broker.probe.collect(SettlementExecutedV1, 2))
    assert await transaction_count(world) == 2


async def test_a_block_that_leaves_the_chain_is_made_good_by_the_same_bytes(
    broker: Broker, start_world: StartWorld, run_settlement: RunService, run_monitor: RunService
) -> None:
    world = await start_world(confirmations=4)
    async with run_monitor(world), run_settlement(world, collect_seconds=0.5) as running:
        await pay(broker, world, 2)
        (before, _) = await broker.probe.collect(SettlementIncludedV1, 2)
        bytes_before = [row["raw"] for row in await signed(running)]
        world.chain.reorg(1)
        await broker.probe.collect(SettlementOrphanedV1, 2)
        await mine_until(world, broker.probe.collect(SettlementExecutedV1, 2))
        await settled(broker, running)
        assert [row["raw"] for row in await signed(running)] == bytes_before
        executed = await broker.probe.collect(SettlementExecutedV1, 2)
        assert await broker.probe.count(SettlementIncludedV1) == 4
        assert await broker.probe.count(SettlementExecutedV1) == 2
    assert {event.tx_hash for event in executed} == {before.tx_hash}
    assert await world.balance(RECIPIENT, "USDC") == 18


async def test_a_final_payment_that_leaves_the_chain_is_told_and_made_good(
    broker: Broker, world: EscrowWorld, run_settlement: RunService, run_monitor: RunService
) -> None:
    async with run_monitor(world), run_settlement(world) as running:
        await pay(broker, world, 2)
        executed = await mine_until(world, broker.probe.collect(SettlementExecutedV1, 2))
        await settled(broker, running)
        world.chain.reorg(world.chain.block_number() - min(event.block_number for event in executed) + 1)
        await broker.probe.collect(SettlementOrphanedV1, 2)
        await mine_until(world, broker.probe.collect(SettlementExecutedV1, 4))
        await settled(broker, running)
        assert len(await signed(running)) <= 2
        versions = await running.runtime.database.fetch(
            "SELECT aggregate_id, array_agg(aggregate_version ORDER BY position) AS versions"
            " FROM outbox GROUP BY aggregate_id"
        )
    assert await world.balance(RECIPIENT, "USDC") == 18
    assert all(row["versions"] == list(range(1, len(row["versions"]) + 1)) for row in versions)


async def test_a_node_that_forgets_is_sent_the_same_bytes_again(
    broker: Broker, world: EscrowWorld, run_settlement: RunService, run_monitor: RunService
) -> None:
    await world.call("evm_setAutomine", False)
    async with run_monitor(world), run_settlement(world, resend_after_seconds=0.5) as running:
        await pay(broker, world)
        (submitted,) = await broker.probe.collect(SettlementSubmittedV1, 1)
        await world.call("anvil_dropTransaction", submitted.tx_hash)
        await pay(broker, world)
        await asyncio.sleep(0.8)
        await world.call("evm_setAutomine", True)
        await mine_until(world, broker.probe.collect(SettlementExecutedV1, 2))
        assert len(await signed(running)) == 2
    assert await transaction_count(world) == 2


async def test_a_node_that_lags_misleads_nobody(
    broker: Broker, world: EscrowWorld, run_settlement: RunService, run_monitor: RunService
) -> None:
    async with run_monitor(world), run_settlement(world) as running:
        await pay(broker, world)
        await mine_until(world, broker.probe.collect(SettlementExecutedV1, 1))
        await settled(broker, running)
        node = wrap_node(running)
        node.answers["network"] = Network(height=3, base_fee=10**9)
        node.answers["account"] = Account(nonce=0, pending_nonce=0, balance=10**20)
        await asyncio.sleep(1.1)  # what was known of the network is not fresh any more
        await pay(broker, world)
        await has_trouble(running, "the node is behind")
        lane = await lane_of(running)
        assert (lane["state"], lane["next_nonce"]) == ("active", 1)
        node.answers.clear()
        await mine_until(world, broker.probe.collect(SettlementExecutedV1, 2))
    assert await transaction_count(world) == 2


async def use_key_elsewhere(world: EscrowWorld) -> str:
    """Send a transaction with the executor's key that settlement knows nothing of."""
    return await world.send(world.executor, world.payers[0].address, b"", value=1)


async def resume(running: RunningService, lane: dict[str, Any], key: str = "k1") -> Any:
    """Resume a lane as an administrator."""
    headers = {**sign_in_admin(running), "Idempotency-Key": key}
    body = {"reason": "the key is ours again"}
    return await running.http.post(f"/lanes/{lane['lane_id']}/resume", json=body, headers=headers)


async def test_a_nonce_used_by_somebody_else_freezes_the_lane_until_an_operator_resumes_it(
    broker: Broker, world: EscrowWorld, run_settlement: RunService, run_monitor: RunService
) -> None:
    async with run_monitor(world), run_settlement(world) as running:
        await lane_of(running)
        foreign = await use_key_elsewhere(world)

        async def is_frozen() -> Any:
            lane = await lane_of(running)
            return lane if lane["state"] == "frozen" else None

        lane = await eventually(is_frozen)
        await pay(broker, world)
        await items_become(running, {"created": 1})
        await asyncio.sleep(0.5)
        assert await item_states(running) == {"created": 1}
        assert (await resume(running, lane)).status_code == 200
        world.chain.mine(2)

        async def is_foreign_final() -> Any:
            query = "SELECT 1 FROM observation WHERE tx_hash = $1 AND status = 'final'"
            return await running.runtime.database.fetch_row(query, foreign)

        await eventually(is_foreign_final)
        assert (await resume(running, lane, "k2")).status_code == 200
        await mine_until(world, broker.probe.collect(SettlementExecutedV1, 1))
        rows = await running.runtime.database.fetch("SELECT actor, action FROM audit_entry ORDER BY position")
        assert (rows[0]["actor"], rows[0]["action"]) == ("settlement", "lane.frozen")
        by_people = [row["action"] for row in rows if row["actor"] != "settlement"]
        assert by_people == ["lane.resumed", "lane.resumed"]
        assert (await verify(running.runtime.database)).broken_at is None
        (transaction,) = await signed(running)
    assert transaction["nonce"] == 1


async def test_payments_whose_nonce_was_taken_fail_when_that_is_final_and_can_be_tried_again(
    broker: Broker, world: EscrowWorld, run_settlement: RunService, run_monitor: RunService
) -> None:
    async with run_monitor(world), run_settlement(world, foreign_after_seconds=0.5) as running:
        await lane_of(running)
        await world.call("evm_setAutomine", False)
        await pay(broker, world)
        (submitted,) = await broker.probe.collect(SettlementSubmittedV1, 1)
        await world.call("anvil_dropTransaction", submitted.tx_hash)
        await world.call("evm_setAutomine", True)
        await use_key_elsewhere(world)
        world.chain.mine(2)
        (failed,) = await broker.probe.collect(SettlementFailedV1, 1)
        assert (failed.code, failed.retryable) == ("nonce_taken", True)
        assert failed.tx_hash != submitted.tx_hash
        lane = await lane_of(running)
        assert lane["state"] == "frozen"
        assert [row["state"] for row in await signed(running)] == ["dead"]
        assert (await resume(running, lane)).status_code == 200
        await broker.probe.publish(
            world.execute_command(
                world.order(world.payers[0], RECIPIENT, amount=9), payment_id=failed.payment_id, attempt=2
            )
        )
        await mine_until(world, broker.probe.collect(SettlementExecutedV1, 1))
    assert await world.balance(RECIPIENT, "USDC") == 9


async def test_a_nonce_that_is_used_while_nobody_tells_by_whom_freezes_the_lane(
    broker: Broker, world: EscrowWorld, run_settlement: RunService
) -> None:
    async with run_settlement(world, foreign_after_seconds=0.5, resend_after_seconds=0.1) as running:
        await lane_of(running)
        await world.call("evm_setAutomine", False)
        await pay(broker, world)
        (submitted,) = await broker.probe.collect(SettlementSubmittedV1, 1)
        node = wrap_node(running)
        node.answers["send"] = SendResult(SendOutcome.UNKNOWN, "0x", "lost")  # or it would be there again
        await world.call("anvil_dropTransaction", submitted.tx_hash)
        await world.call("evm_setAutomine", True)
        await use_key_elsewhere(world)
        node.answers.clear()
        await has_trouble(running, "no node knows a hash of ours")
        assert (await lane_of(running))["state"] == "frozen"
        assert await item_states(running) == {"submitted": 1}
    assert await broker.probe.count(SettlementFailedV1) == 0


async def test_a_key_in_use_elsewhere_at_the_beginning_makes_no_lane(
    broker: Broker, world: EscrowWorld, run_settlement: RunService
) -> None:
    await world.call("evm_setAutomine", False)
    call = {"from": world.executor, "to": world.payers[0].address, "value": "0x1"}
    await world.call("eth_sendTransaction", call)
    async with run_settlement(world) as running:
        headers = sign_in_admin(running)

        async def cannot_begin() -> Any:
            return (await running.http.get("/lanes", headers=headers)).json()["cannot_begin"]

        assert await eventually(cannot_begin) == [f"31337:{world.executor}"]
        await world.call("evm_setAutomine", True)
        await world.call("anvil_mine", "0x1")
        lane = await lane_of(running)
    assert lane["first_nonce"] == 1


async def test_silence_is_told_as_unknown_and_resolved_by_evidence(
    broker: Broker, world: EscrowWorld, run_settlement: RunService, run_monitor: RunService
) -> None:
    await world.call("evm_setAutomine", False)
    options: dict[str, Any] = {"unknown_after_seconds": 0.5, "stuck_after_seconds": 0.5}
    async with run_monitor(world), run_settlement(world, **options) as running:
        await pay(broker, world, 2)
        unknown = await broker.probe.collect(SettlementUnknownV1, 2)
        assert {event.code for event in unknown} == {"no_evidence"}
        await has_trouble(running, "in no block since")
        await asyncio.sleep(1.5)
        await world.call("evm_setAutomine", True)
        executed = await mine_until(world, broker.probe.collect(SettlementExecutedV1, 2))
        await settled(broker, running)
        assert await broker.probe.count(SettlementUnknownV1) == 2
    assert {event.tx_hash for event in executed} == {event.tx_hash for event in unknown}


async def test_a_transaction_that_pays_too_little_is_replaced_where_nodes_do_that(
    broker: Broker, world: EscrowWorld, run_settlement: RunService, run_monitor: RunService
) -> None:
    await world.call("evm_setAutomine", False)
    options: dict[str, Any] = {
        "replacement_chains": (31337,),
        "replace_after_seconds": 0.5,
        "collect_seconds": 0.5,
    }
    async with run_monitor(world), run_settlement(world, **options) as running:
        await pay(broker, world, 2)
        await broker.probe.collect(SettlementSubmittedV1, 2)
        world.chain.set_gas_price(20_000_000_000)
        await world.call("anvil_mine", "0x1")

        async def is_replaced() -> bool:
            return len(await signed(running)) > 1

        await eventually(is_replaced)
        await mine_until(world, broker.probe.collect(SettlementExecutedV1, 2))
        await settled(broker, running)
        rows = await signed(running)
        first, last = read_transaction(rows[0]["raw"]), read_transaction(rows[-1]["raw"])
        assert [row["state"] for row in rows].count("final") == 1
        assert {row["state"] for row in rows} == {"dead", "final"}
        assert replace(last, max_fee_per_gas=0, max_priority_fee_per_gas=0) == replace(
            first, max_fee_per_gas=0, max_priority_fee_per_gas=0
        )
        assert last.max_fee_per_gas > first.max_fee_per_gas
        assert await broker.probe.count(SettlementSubmittedV1) == 2
    assert await transaction_count(world) == 1


async def test_no_more_transactions_are_in_flight_than_allowed(
    broker: Broker, world: EscrowWorld, run_settlement: RunService, run_monitor: RunService
) -> None:
    await world.call("evm_setAutomine", False)
    options: dict[str, Any] = {"in_flight_transactions": 2, "transaction_items": 3, "collect_seconds": 0.5}
    async with run_monitor(world), run_settlement(world, **options) as running:
        await pay(broker, world, 12)
        await broker.probe.collect(SettlementSubmittedV1, 6)

        async def six_wait() -> bool:
            return (await lane_of(running))["waiting_items"] == 6

        await eventually(six_wait)
        await asyncio.sleep(0.8)
        lane = await lane_of(running)
        assert (lane["in_flight"], lane["waiting_items"], lane["next_nonce"]) == (2, 6, 2)
        assert [transaction["items"] for transaction in lane["transactions"]] == [3, 3]
        await mine_until(world, broker.probe.collect(SettlementExecutedV1, 12))


async def test_the_database_refuses_a_second_effect_for_a_nonce(
    broker: Broker, world: EscrowWorld, run_settlement: RunService, run_monitor: RunService
) -> None:
    async with run_monitor(world), run_settlement(world) as running:
        await pay(broker, world)
        await mine_until(world, broker.probe.collect(SettlementExecutedV1, 1))
        copy = (
            "INSERT INTO lane_transaction SELECT chain_id, $1, signer, nonce, $2, raw, max_fee_per_gas + 1,"
            " max_priority_fee_per_gas, 'signed', signed_at, NULL, '' FROM lane_transaction"
        )
        (transaction,) = await signed(running)
        with pytest.raises(asyncpg.ForeignKeyViolationError):
            await running.runtime.database.fetch(copy, "0x" + "1" * 64, b"\x01" * 32)
        again = "INSERT INTO lane_nonce SELECT chain_id, signer, nonce, $1, 1, 1, now() FROM lane_nonce"
        with pytest.raises(asyncpg.UniqueViolationError):
            await running.runtime.database.fetch(again, b"\x01" * 32)
        await running.runtime.database.fetch(copy, "0x" + "2" * 64, transaction["effect"])


async def test_an_operator_pauses_and_resumes_a_lane(
    broker: Broker, world: EscrowWorld, run_settlement: RunService, run_monitor: RunService
) -> None:
    async with run_monitor(world), run_settlement(world) as running:
        lane = await lane_of(running)
        path = f"/lanes/{lane['lane_id']}/pause"
        headers = {**sign_in_admin(running), "Idempotency-Key": "p1"}
        body = {"reason": "maintenance of the node"}
        user = {"Authorization": "Bearer user", "Idempotency-Key": "p1"}
        assert (await running.http.post(path, json=body, headers=user)).status_code == 403
        assert (await running.http.get("/lanes", headers=user)).status_code == 403
        nameless = {key: value for key, value in headers.items() if key != "Idempotency-Key"}
        assert (await running.http.post(path, json=body, headers=nameless)).status_code == 400
        assert (await running.http.post(path, json={"reason": ""}, headers=headers)).status_code == 422
        first = await running.http.post(path, json=body, headers=headers)
        again = await running.http.post(path, json=body, headers=headers)
        assert (first.status_code, first.content) == (200, again.content)
        other = "/lanes/00000000-0000-0000-0000-000000000000/resume"
        assert (await running.http.post(other, json=body, headers=headers)).status_code == 404
        await pay(broker, world)
        await has_trouble(running, "paused: maintenance of the node")
        await items_become(running, {"created": 1})
        await asyncio.sleep(0.3)
        assert await item_states(running) == {"created": 1}
        assert (await resume(running, lane)).json()["state"] == "active"
        await mine_until(world, broker.probe.collect(SettlementExecutedV1, 1))
        rows = await running.runtime.database.fetch(
            "SELECT action, details FROM audit_entry ORDER BY position"
        )
    assert [row["action"] for row in rows] == ["lane.paused", "lane.resumed"]
    assert "maintenance of the node" in rows[0]["details"]


@pytest.mark.parametrize(
    "outcome",
    [
        SendOutcome.UNDERPRICED,
        SendOutcome.INSUFFICIENT_FUNDS,
        SendOutcome.NONCE_TOO_HIGH,
        SendOutcome.NONCE_TOO_LOW,
        SendOutcome.UNKNOWN,
    ],
)
async def test_what_a_node_does_not_take_holds_up_what_comes_after_and_goes_again(
    broker: Broker,
    world: EscrowWorld,
    run_settlement: RunService,
    run_monitor: RunService,
    outcome: SendOutcome,
) -> None:
    options: dict[str, Any] = {"transaction_items": 1, "foreign_after_seconds": 600}
    async with run_monitor(world), run_settlement(world, **options) as running:
        await lane_of(running)
        node = wrap_node(running)
        node.answers["send"] = SendResult(outcome, "0x", "not today")
        await pay(broker, world, 2)
        await has_trouble(running, "not today")

        async def one_waits() -> bool:
            return (await lane_of(running))["waiting_items"] == 1

        await eventually(one_waits)
        lane = await lane_of(running)
        assert (lane["next_nonce"], lane["waiting_items"], lane["state"]) == (1, 1, "active")
        is_refused = outcome not in (SendOutcome.NONCE_TOO_LOW, SendOutcome.UNKNOWN)
        await broker.probe.collect(SettlementSubmittedV1, 0 if is_refused else 1)
        assert await broker.probe.count(SettlementSubmittedV1) == (0 if is_refused else 1)
        node.answers.clear()
        await mine_until(world, broker.probe.collect(SettlementExecutedV1, 2))
        assert await broker.probe.count(SettlementSubmittedV1) == 2
    assert await transaction_count(world) == 2


async def test_an_administrator_replaces_and_cancels_a_nonce_over_http(
    broker: Broker, world: EscrowWorld, run_settlement: RunService, run_monitor: RunService
) -> None:
    await world.call("evm_setAutomine", False)
    async with run_monitor(world), run_settlement(world) as running:
        await pay(broker, world)
        (submitted,) = await broker.probe.collect(SettlementSubmittedV1, 1)
        lane = await lane_of(running)
        path = f"/lanes/{lane['lane_id']}/nonces/0"
        headers = {**sign_in_admin(running), "Idempotency-Key": "n1"}
        user = {"Authorization": "Bearer user", "Idempotency-Key": "n1"}
        body = {"reason": "the fee is too low"}
        for act in ("replace", "cancel"):
            assert (await running.http.post(f"{path}/{act}", json=body, headers=user)).status_code == 403
            nameless = {"Authorization": "Bearer admin"}
            assert (await running.http.post(f"{path}/{act}", json=body, headers=nameless)).status_code == 400
        unsigned = await running.http.post(f"{path}7/replace", json=body, headers=headers)
        assert (unsigned.status_code, unsigned.json()["code"]) == (409, "nonce_not_signed")
        assert unsigned.headers["content-type"] == "application/problem+json"
        replaced = await running.http.post(f"{path}/replace", json=body, headers=headers)
        again = await running.http.post(f"{path}/replace", json=body, headers=headers)
        assert (replaced.status_code, replaced.content) == (200, again.content)
        assert replaced.json()["replaced_tx_hash"] == submitted.tx_hash
        cancelled = await running.http.post(f"{path}/cancel", json=body, headers=headers)
        assert cancelled.json()["replaced_tx_hash"] == replaced.json()["tx_hash"]

        async def is_sent() -> Any:
            return await world.call("eth_getTransactionByHash", cancelled.json()["tx_hash"])

        await eventually(is_sent)
        (failed,) = await mine_until(world, broker.probe.collect(SettlementFailedV1, 1))
        assert (failed.code, failed.retryable) == ("nonce_taken", True)
        assert failed.tx_hash == cancelled.json()["tx_hash"]
        rows = await running.runtime.database.fetch("SELECT action FROM audit_entry ORDER BY position")
        assert [row["action"] for row in rows] == ["lane.nonce_replaced", "lane.nonce_cancelled"]
        assert (await lane_of(running))["state"] == "active"
    assert await world.balance(RECIPIENT, "USDC") == 0


async def test_a_replacement_never_exceeds_a_ceiling_aboard(
    broker: Broker, world: EscrowWorld, run_settlement: RunService, run_monitor: RunService
) -> None:
    await world.call("evm_setAutomine", False)
    options: dict[str, Any] = {"replacement_chains": (31337,), "replace_after_seconds": 0.3}
    async with run_monitor(world), run_settlement(world, **options) as running:
        order = world.order(world.payers[0], RECIPIENT, amount=9, max_gas_price=4_000_000_000)
        await broker.probe.publish(world.execute_command(order))
        await broker.probe.collect(SettlementSubmittedV1, 1)
        world.chain.set_gas_price(50_000_000_000)
        await world.call("anvil_mine", "0x1")
        await has_trouble(running, "it pays too little")
        assert max(row["max_fee_per_gas"] for row in await signed(running)) <= 4_000_000_000
        world.chain.set_gas_price(1_000_000)
        await mine_until(world, broker.probe.collect(SettlementExecutedV1, 1))


async def test_a_signer_without_money_is_a_trouble(
    broker: Broker, world: EscrowWorld, run_settlement: RunService, run_monitor: RunService
) -> None:
    world.chain.set_balance(world.executor, 1_000)
    async with run_monitor(world), run_settlement(world) as running:
        await pay(broker, world)
        await has_trouble(running, "only 1000 wei")
        await has_trouble(running, "insufficient_funds")
        world.chain.set_balance(world.executor, 10**20)
        await mine_until(world, broker.probe.collect(SettlementExecutedV1, 1))
    assert await transaction_count(world) == 1
