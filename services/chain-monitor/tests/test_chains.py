"""Several chains at once."""

import asyncio

from snowrail_events import TransactionFinalV1, TransactionOrphanedV1
from snowrail_testkit import Broker, eventually

from .conftest import RunMonitor, StartWorld


async def test_two_chains_are_followed_at_once_and_apart(
    broker: Broker, start_world: StartWorld, run_monitor: RunMonitor
) -> None:
    first, second = await start_world(), await start_world(chain_id=338, confirmations=4)
    async with run_monitor(first, second) as running:
        hashes = [
            await world.fund(world.order(world.payers[0], world.payers[1].address, "CRO"))
            for world in (first, second)
        ]
        first.chain.mine(2)
        (final,) = await broker.probe.collect(TransactionFinalV1, 1)
        assert (final.chain_id, final.tx_hash) == (31337, hashes[0])
        second.chain.mine(4)
        final = (await broker.probe.collect(TransactionFinalV1, 2))[1]
        assert (final.chain_id, final.tx_hash) == (338, hashes[1])

        async def at_both_tips() -> bool:
            status = (await running.http.get("/status")).json()
            return [chain["tip"] for chain in status] == [
                second.chain.block_number(),
                first.chain.block_number(),
            ]

        # ordered by chain id: 338 comes first
        await eventually(at_both_tips)
        second.chain.reorg(5)
        (orphaned,) = await broker.probe.collect(TransactionOrphanedV1, 1)
        assert orphaned.chain_id == 338
        await asyncio.to_thread(second.chain.anvil.kill)
        await first.fund(first.order(first.payers[0], first.payers[1].address, "CRO"))
        first.chain.mine(2)
        final = (await broker.probe.collect(TransactionFinalV1, 3))[2]
        assert final.chain_id == 31337

        async def only_the_first_answers() -> bool:
            metrics = (await running.http.get("/metrics")).text
            expected = (
                'snowrail_chain_node_up{chain="338"} 0.0',
                'snowrail_chain_node_up{chain="31337"} 1.0',
            )
            return all(line in metrics for line in expected)

        # the counter of the metrics asks the nodes now and then
        await eventually(only_the_first_answers)
        balances = await running.http.post("/internal/balances", json={"chain_id": 31337})
        assert balances.status_code == 200
