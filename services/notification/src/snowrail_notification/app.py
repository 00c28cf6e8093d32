"""Composition root of notification."""

from snowrail_chain.config import ChainRegistry
from snowrail_kit.service import Runtime, Service
from snowrail_kit.tasks import Task
from snowrail_notification.api import router
from snowrail_notification.consumers import consumers
from snowrail_notification.parts import Parts
from snowrail_notification.settings import Settings
from snowrail_notification.usecases.people import prune

_PRUNE_EVERY_SECONDS = 3_600.0


def compose(runtime: Runtime[Settings]) -> Parts:
    """Wire the parts."""
    registry = ChainRegistry.load(runtime.settings.chains_file)
    return Parts(runtime.settings, registry, runtime.database, runtime.transaction)


service: Service[Settings, Parts] = Service(
    name="notification",
    settings=Settings,
    compose=compose,
    consumers=consumers,
    routers=(router,),
    tasks=(Task("prune notifications", prune, _PRUNE_EVERY_SECONDS, exclusive=True),),
    title="Snowrail notification",
    description="What a person is told, where, and when.",
)
