"""Composition root of the intent service."""

from functools import partial

from snowrail_chain.config import ChainRegistry
from snowrail_intent.api import ROUTERS
from snowrail_intent.clients import HttpChainMonitor
from snowrail_intent.consumers import consumers
from snowrail_intent.parts import Parts, level_limits, order_policy, pace
from snowrail_intent.settings import Settings
from snowrail_intent.usecases.engine import EVALUATE, evaluate_due, prune
from snowrail_kit.service import Runtime, Service
from snowrail_kit.tasks import Task

_EVALUATE_EVERY_SECONDS = 1.0
_PRUNE_EVERY_SECONDS = 600.0


def compose(runtime: Runtime[Settings]) -> Parts:
    """Wire the parts. Raises ChainConfigError when the chains file is missing or wrong."""
    settings = runtime.settings
    chains = ChainRegistry.load(settings.chains_file)
    return Parts(
        settings=settings,
        clock=runtime.clock,
        database=runtime.database,
        transaction=runtime.transaction,
        monitor=HttpChainMonitor(runtime.http, settings.chain_monitor_url),
        chains=chains,
        orders=order_policy(settings),
        pace=pace(settings),
        limits=level_limits(settings, chains),
        wake_engine=partial(runtime.wake_task, EVALUATE),
    )


service: Service[Settings, Parts] = Service(
    name="intent",
    settings=Settings,
    compose=compose,
    consumers=consumers,
    routers=ROUTERS,
    tasks=(
        Task(EVALUATE, evaluate_due, _EVALUATE_EVERY_SECONDS),
        Task("prune", prune, _PRUNE_EVERY_SECONDS, exclusive=True),
    ),
    title="Snowrail intent",
    description="What a user has signed, when it is due, and why it waits.",
)
