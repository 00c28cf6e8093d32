"""Composition root of rates."""

from datetime import timedelta

from snowrail_kit.service import Runtime, Service
from snowrail_kit.tasks import Task
from snowrail_rates.api import router
from snowrail_rates.clients import CoinGecko
from snowrail_rates.domain import Limits
from snowrail_rates.parts import Parts
from snowrail_rates.settings import Settings
from snowrail_rates.usecases import refresh


def compose(runtime: Runtime[Settings]) -> Parts:
    """Wire the parts."""
    settings = runtime.settings
    key = settings.price_provider_key
    return Parts(
        settings=settings,
        limits=Limits(settings.deviation_share, timedelta(seconds=settings.quote_age_seconds)),
        provider=CoinGecko(
            runtime.http,
            settings.price_provider_url,
            key.get_secret_value() if key else None,
            settings.price_provider_ids,
            settings.price_currencies,
            runtime.clock,
        ),
        database=runtime.database,
        transaction=runtime.transaction,
        clock=runtime.clock,
    )


def tasks(parts: Parts) -> tuple[Task[Parts], ...]:
    """Return the periodic work: one replica fetches."""
    return (Task("refresh prices", refresh, parts.settings.refresh_seconds, exclusive=True),)


service: Service[Settings, Parts] = Service(
    name="rates",
    settings=Settings,
    compose=compose,
    routers=(router,),
    tasks=tasks,
    title="Snowrail rates",
    description="Prices of tokens, and what is wrong with them.",
)
