"""A rollback deeper than configured: the chain waits for an operator, whose look is recorded."""

from typing import Any

import pytest

from snowrail_events import TransactionFinalV1, TransactionIncludedV1, TransactionOrphanedV1
from snowrail_kit.audit import verify
from snowrail_testkit import Broker, RunningService, eventually
from snowrail_testkit.escrow import EscrowWorld

from .conftest import RunMonitor, sign_in
from .test_facts import caught_up

RESUME = "/admin/chains/31337/resume"


async def frozen(running: RunningService) -> str:
    """Wait until the chain is frozen and return why."""

    async def reason() -> Any:
        (status,) = (await running.http.get("/status")).json()
        return status["frozen_reason"]

    return await eventually(reason)


async def resume(running: RunningService, depth: int, key: str, roles: str = "admin") -> Any:
    """Have somebody accept a rollback."""
    headers = {"Authorization": f"Bearer {roles}", "Idempotency-Key": key}
    body = {"reason": "seen in the explorer", "accepted_depth": depth}
    return await running.http.post(RESUME, json=body, headers=headers)


@pytest.mark.parametrize("blocks", [6, 30])
async def test_an_operator_accepts_a_rollback_and_everything_follows_it(
    broker: Broker, world: EscrowWorld, run_monitor: RunMonitor, blocks: int
) -> None:
    """6 blocks are within what is stored; 30 are below it, where only our transactions' blocks are known."""
    async with run_monitor(world, reorg_depth_blocks=4) as running:
        sign_in(running)
        kept = await world.fund(world.order(world.payers[0], world.payers[1].address, "CRO"))
        world.chain.mine(2)
        lost = await world.fund(world.order(world.payers[0], world.payers[1].address, "CRO"))
        raw = await world.call("eth_getRawTransactionByHash", lost)
        world.chain.mine(blocks - 1)
        finals = await broker.probe.collect(TransactionFinalV1, 2)
        assert [fact.tx_hash for fact in finals] == [kept, lost]
        await caught_up(running, world)
        world.chain.reorg(blocks)
        assert "deeper than 4 blocks" in await frozen(running)
        assert (await resume(running, 100, "a", roles="user")).status_code == 403
        assert (await resume(running, 5, "b")).status_code == 200
        assert "deeper than 5 blocks" in await eventually(lambda: _reason_with(running, "than 5"))
        assert await broker.probe.count(TransactionOrphanedV1) == 0
        answer = await resume(running, 100, "c")
        assert answer.status_code == 200, answer.text
        assert "deeper than 5" in answer.json()["was_frozen_for"]
        (orphaned,) = await broker.probe.collect(TransactionOrphanedV1, 1)
        assert orphaned.tx_hash == lost
        await caught_up(running, world)
        await world.call("eth_sendRawTransaction", raw)
        world.chain.mine(2)
        again = (await broker.probe.collect(TransactionFinalV1, 3))[2]
        assert (again.tx_hash, again.block_hash) == (lost, world.chain.block_hash(again.block_number))
        assert (await running.http.get("/health/ready")).status_code == 200
        assert (await resume(running, 100, "d")).json()["code"] == "chain_not_frozen"
        assert (await resume(running, 100, "c")).json() == answer.json()
        acts = await running.runtime.database.fetch("SELECT * FROM audit_entry ORDER BY position")
        by_people = [(row["action"], row["subject"]) for row in acts if row["actor"] != "chain-monitor"]
        assert by_people == [("chain.resumed", "31337")] * 2
        assert (acts[0]["actor"], acts[0]["action"]) == ("chain-monitor", "chain.frozen")
        assert (await verify(running.runtime.database)).broken_at is None
        row = await running.runtime.database.fetch_row("SELECT accepted_depth FROM chain_cursor")
        assert row is not None
        assert row["accepted_depth"] is None
    assert await broker.probe.count(TransactionOrphanedV1) == 1
    assert await broker.probe.count(TransactionIncludedV1) <= 3


async def _reason_with(running: RunningService, words: str) -> str | None:
    (status,) = (await running.http.get("/status")).json()
    reason = status["frozen_reason"]
    return reason if reason and words in reason else None


async def test_a_chain_without_a_block_of_ours_begins_anew(
    broker: Broker, world: EscrowWorld, run_monitor: RunMonitor
) -> None:
    world.config = world.config.model_copy(update={"start_block": world.chain.block_number()})
    async with run_monitor(world, reorg_depth_blocks=2) as running:
        sign_in(running)
        world.chain.mine(12)
        await caught_up(running, world)
        world.chain.reorg(12 + 1)
        assert "deeper" in await frozen(running)
        assert (await resume(running, 50, "a")).status_code == 200
        await caught_up(running, world)
        await world.fund(world.order(world.payers[0], world.payers[1].address, "CRO"))
        world.chain.mine(2)
        await broker.probe.collect(TransactionFinalV1, 1)


async def test_only_followed_chains_can_be_resumed(world: EscrowWorld, run_monitor: RunMonitor) -> None:
    async with run_monitor(world) as running:
        sign_in(running)
        headers = {"Authorization": "Bearer admin", "Idempotency-Key": "k"}
        body = {"reason": "seen", "accepted_depth": 5}
        answer = await running.http.post("/admin/chains/5/resume", json=body, headers=headers)
        assert answer.status_code == 404
        body["accepted_depth"] = 0
        assert (await running.http.post(RESUME, json=body, headers=headers)).status_code == 422
