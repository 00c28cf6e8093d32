"""Composition root of routing."""

import random

from snowrail_kit.service import Runtime, Service
from snowrail_routing.api import router
from snowrail_routing.consumers import consumers
from snowrail_routing.parts import Parts
from snowrail_routing.settings import Settings
from snowrail_routing.usecases import first_rails


def compose(runtime: Runtime[Settings]) -> Parts:
    """Wire the parts."""
    rails = runtime.settings.rails
    return Parts(
        rails=rails,
        offers=tuple(item.offer() for item in rails if item.available),
        database=runtime.database,
        transaction=runtime.transaction,
        clock=runtime.clock,
        draw=random.SystemRandom().random,
    )


service: Service[Settings, Parts] = Service(
    name="routing",
    settings=Settings,
    compose=compose,
    consumers=consumers,
    routers=(router,),
    start=first_rails,
    title="Snowrail routing",
    description="Which rail carries a payment, and what was learnt.",
)
