"""The only wiring of settlement."""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from uuid import UUID

from snowrail_chain.config import ChainRegistry
from snowrail_chain.signer import GuardedSigner
from snowrail_kit.ids import derived_id
from snowrail_kit.service import Runtime, Service
from snowrail_kit.tasks import Task
from snowrail_settlement.api import router
from snowrail_settlement.clients import RpcNode
from snowrail_settlement.consumers import consumers
from snowrail_settlement.keys import open_keys
from snowrail_settlement.settings import Settings
from snowrail_settlement.store.signing import DatabaseLedger
from snowrail_settlement.usecases.lane import run_lane
from snowrail_settlement.usecases.parts import LaneWorker, Parts
from snowrail_settlement.usecases.upkeep import keep_up

_LANE_EVERY_SECONDS = 0.25
_UPKEEP_EVERY_SECONDS = 1.0


def _task_name(lane_id: UUID) -> str:
    return f"lane {lane_id}"


def compose(runtime: Runtime[Settings]) -> Parts:
    """Wire one lane per chain and key that the chain knows as an executor."""
    settings = runtime.settings
    chains = ChainRegistry.load(settings.chains_file)
    keys, ledger = open_keys(settings), DatabaseLedger(runtime.transaction)
    workers: dict[UUID, LaneWorker] = {}
    for chain in chains.chains:
        for key in keys.all:
            signer = GuardedSigner(key, chain.chain_id, ledger)
            if signer.address not in chain.executors:
                continue
            lane_id = derived_id("lane", chain.chain_id, signer.address)
            node = RpcNode(chain, settings.rpc_timeout_seconds)
            workers[lane_id] = LaneWorker(lane_id, chain, signer, node)
    assert workers, "no chain names the address of any of our keys among its executors"
    return Parts(
        settings=settings,
        clock=runtime.clock,
        database=runtime.database,
        transaction=runtime.transaction,
        chains=chains,
        workers=workers,
        keys=keys,
        wake_lanes=partial(_wake_lanes, runtime, workers),
    )


def _wake_lanes(
    runtime: Runtime[Settings], workers: Mapping[UUID, LaneWorker], chain_ids: Iterable[int]
) -> None:
    wanted = set(chain_ids)
    for lane_id, worker in workers.items():
        if worker.chain.chain_id in wanted:
            asyncio.get_running_loop().call_later(
                runtime.settings.collect_seconds, runtime.wake_task, _task_name(lane_id)
            )


def tasks(parts: Parts) -> Sequence[Task[Parts]]:
    """One exclusive task per lane, and upkeep."""
    lanes = [
        Task(
            _task_name(lane_id),
            run=partial(run_lane, worker=worker),
            every_seconds=_LANE_EVERY_SECONDS,
            exclusive=True,
        )
        for lane_id, worker in parts.workers.items()
    ]
    return [*lanes, Task("upkeep", keep_up, _UPKEEP_EVERY_SECONDS, exclusive=True)]


async def stop(parts: Parts) -> None:
    """Close the connections to the nodes and to the keys."""
    for worker in parts.workers.values():
        await worker.node.close()
    await parts.keys.close()


service = Service(
    name="settlement",
    settings=Settings,
    compose=compose,
    consumers=consumers,
    routers=(router,),
    tasks=tasks,
    stop=stop,
    title="Snowrail settlement",
    description="Makes money move: on-chain transactions, one nonce lane per signer, outcomes by evidence.",
)
