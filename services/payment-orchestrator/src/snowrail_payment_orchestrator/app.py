"""Composition root of the payment orchestrator."""

from collections.abc import Sequence

from snowrail_kit.service import Runtime, Service
from snowrail_kit.tasks import Task
from snowrail_payment_orchestrator import administration, api
from snowrail_payment_orchestrator.clients import HttpChainMonitor
from snowrail_payment_orchestrator.consumers import consumers
from snowrail_payment_orchestrator.parts import Parts
from snowrail_payment_orchestrator.settings import Settings
from snowrail_payment_orchestrator.usecases.approval import route_again
from snowrail_payment_orchestrator.usecases.reconcile import reconcile
from snowrail_payment_orchestrator.usecases.watch import watch_attempts

_RETRY_PASS_SECONDS = 0.5
_WATCH_SECONDS = 15.0


def compose(runtime: Runtime[Settings]) -> Parts:
    """Wire the parts."""
    return Parts(
        settings=runtime.settings,
        clock=runtime.clock,
        monitor=HttpChainMonitor(runtime.http, runtime.settings.chain_monitor_url),
        database=runtime.database,
        transaction=runtime.transaction,
    )


def tasks(parts: Parts) -> Sequence[Task[Parts]]:
    """Retries, a look at what is open, and the comparison of chain and ledger by one replica at a time."""
    return (
        Task("route again", route_again, _RETRY_PASS_SECONDS),
        Task("reconcile", reconcile, parts.settings.reconcile_check_seconds, exclusive=True),
        Task("watch attempts", watch_attempts, _WATCH_SECONDS),
    )


service: Service[Settings, Parts] = Service(
    name="payment-orchestrator",
    settings=Settings,
    compose=compose,
    consumers=consumers,
    routers=(api.router, administration.router),
    tasks=tasks,
    title="Snowrail payment orchestrator",
    description="The saga of one payment over its attempts; holds and ledger.",
)
