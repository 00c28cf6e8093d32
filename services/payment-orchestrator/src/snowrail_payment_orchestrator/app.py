"""Composition root of the payment orchestrator."""

from snowrail_kit.service import Runtime, Service
from snowrail_kit.tasks import Task
from snowrail_payment_orchestrator.api import router
from snowrail_payment_orchestrator.consumers import consumers
from snowrail_payment_orchestrator.parts import Parts
from snowrail_payment_orchestrator.settings import Settings
from snowrail_payment_orchestrator.usecases.approval import route_again

_RETRY_PASS_SECONDS = 0.5


def compose(runtime: Runtime[Settings]) -> Parts:
    """Wire the parts."""
    return Parts(runtime.settings, runtime.database, runtime.transaction)


service: Service[Settings, Parts] = Service(
    name="payment-orchestrator",
    settings=Settings,
    compose=compose,
    consumers=consumers,
    routers=(router,),
    tasks=(Task("route again", route_again, _RETRY_PASS_SECONDS),),
    title="Snowrail payment orchestrator",
    description="The saga of one payment over its attempts; holds and ledger.",
)
