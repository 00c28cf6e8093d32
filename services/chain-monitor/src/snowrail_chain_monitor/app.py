"""The only wiring of chain-monitor."""

from collections.abc import Sequence
from functools import partial

import structlog

from snowrail_chain.config import ChainRegistry
from snowrail_chain.cursor import RangeSize
from snowrail_chain_monitor import administration, api, metrics, reconciliation
from snowrail_chain_monitor.balances import Balances
from snowrail_chain_monitor.clients import HeadListener, NodeReader
from snowrail_chain_monitor.consumers import consumers
from snowrail_chain_monitor.gas_prices import GasPrices
from snowrail_chain_monitor.settings import Settings
from snowrail_chain_monitor.usecases.follow import follow
from snowrail_chain_monitor.usecases.parts import Follower, Parts
from snowrail_chain_monitor.usecases.upkeep import forget_old, not_ready
from snowrail_kit.service import Runtime, Service
from snowrail_kit.tasks import Task

log = structlog.get_logger("chain")

_PRUNE_EVERY_SECONDS = 600.0
_POLL_SHORTEST_SECONDS = 0.1


def _task_name(chain_id: int) -> str:
    return f"chain {chain_id}"


def compose(runtime: Runtime[Settings]) -> Parts:
    """Wire one follower per configured chain."""
    settings = runtime.settings
    followers: dict[int, Follower] = {}
    for chain in ChainRegistry.load(settings.chains_file).chains:
        wake = partial(runtime.wake_task, _task_name(chain.chain_id))
        followers[chain.chain_id] = Follower(
            config=chain,
            reader=NodeReader(chain, settings.rpc_timeout_seconds),
            heads=HeadListener(chain.ws_url, wake) if chain.ws_url else None,
            size=RangeSize(settings.range_blocks),
        )
    # balances have connections of their own: a slow range must not hold them up
    readers = {
        chain_id: NodeReader(follower.config, settings.rpc_timeout_seconds)
        for chain_id, follower in followers.items()
    }
    for chain_id, follower in followers.items():
        metrics.ENDPOINTS.labels(follower.label).set(follower.reader.endpoints)
        if follower.reader.endpoints == 1:
            log.warning("one node is configured: its word alone decides what is final", chain=chain_id)
    return Parts(
        settings=settings,
        clock=runtime.clock,
        database=runtime.database,
        transaction=runtime.transaction,
        followers=followers,
        readers=readers,
        balances=Balances(
            readers, runtime.clock, settings.balance_cache_seconds, settings.balance_cache_entries
        ),
        gas_prices=GasPrices(
            runtime.database,
            runtime.clock,
            settings.gas_outlook_cache_seconds,
            settings.gas_outlook_blocks,
            settings.gas_outlook_periods,
        ),
    )


def tasks(parts: Parts) -> Sequence[Task[Parts]]:
    """One exclusive task per chain, and housekeeping."""
    following = [
        Task(
            _task_name(chain_id),
            run=partial(follow, follower=follower),
            every_seconds=max(
                min(follower.config.block_time_seconds / 2, parts.settings.poll_longest_seconds),
                _POLL_SHORTEST_SECONDS,
            ),
            exclusive=True,
        )
        for chain_id, follower in parts.followers.items()
    ]
    return [*following, Task("forget", forget_old, _PRUNE_EVERY_SECONDS, exclusive=True)]


async def stop(parts: Parts) -> None:
    """Close the connections to the nodes."""
    for follower in parts.followers.values():
        if follower.heads is not None:
            await follower.heads.close()
    for reader in (*(item.reader for item in parts.followers.values()), *parts.readers.values()):
        await reader.close()


service = Service(
    name="chain-monitor",
    settings=Settings,
    compose=compose,
    consumers=consumers,
    routers=(api.router, administration.router, reconciliation.router),
    tasks=tasks,
    stop=stop,
    ready=not_ready,
    title="Snowrail chain monitor",
    description="What really happened on chain: blocks, logs, finality, gas, balances.",
)
