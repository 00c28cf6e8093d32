"""Composition root of fraud."""

from snowrail_fraud.api import router
from snowrail_fraud.clients import load_model
from snowrail_fraud.consumers import consumers
from snowrail_fraud.domain.scoring import Scorer
from snowrail_fraud.parts import Parts
from snowrail_fraud.settings import Settings
from snowrail_fraud.usecases.administer import prune
from snowrail_kit.service import Runtime, Service
from snowrail_kit.tasks import Task


def compose(runtime: Runtime[Settings]) -> Parts:
    """Wire the use cases. Raises what `load_model` raises."""
    settings = runtime.settings
    return Parts(
        settings=settings,
        clock=runtime.clock,
        ids=runtime.ids,
        database=runtime.database,
        transaction=runtime.transaction,
        scorer=Scorer(settings.rules, load_model(settings.fraud_model_file), settings.fraud_model_share),
        cutoffs=settings.cutoffs,
    )


service: Service[Settings, Parts] = Service(
    name="fraud",
    settings=Settings,
    compose=compose,
    consumers=consumers,
    routers=(router,),
    tasks=(Task("prune", run=prune, every_seconds=60.0, exclusive=True),),
    title="Snowrail fraud",
    description="Scores every payment before it moves, with reasons; lists, reviews, feedback.",
)
