"""Composition root of notification."""

from collections.abc import Awaitable, Callable

import aiohttp

from snowrail_chain.config import ChainRegistry
from snowrail_kit.service import Runtime, Service
from snowrail_kit.tasks import Task
from snowrail_notification import wiring
from snowrail_notification.api import router
from snowrail_notification.consumers import consumers
from snowrail_notification.domain.catalogue import Channel
from snowrail_notification.parts import Parts
from snowrail_notification.settings import Settings
from snowrail_notification.usecases import telegram
from snowrail_notification.usecases.delivering import deliver
from snowrail_notification.usecases.people import prune
from snowrail_notification.usecases.summaries import summarise

_PRUNE_EVERY_SECONDS = 3_600.0
_SUMMARISE_EVERY_SECONDS = 60.0
_POLL_AFTER_FAILURE_SECONDS = 5.0
_ANNOUNCE_EVERY_SECONDS = 600.0


def compose(runtime: Runtime[Settings]) -> Parts:
    """Wire the parts. Raises ValueError when the VAPID key cannot be read."""
    settings = runtime.settings
    http = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=settings.attempt_timeout_seconds))
    sealing = wiring.sealing_of(settings)
    bot_api, vapid_key = wiring.bot_api_of(settings, http), wiring.vapid_key_of(settings)
    return Parts(
        settings=settings,
        registry=ChainRegistry.load(settings.chains_file),
        database=runtime.database,
        transaction=runtime.transaction,
        clock=runtime.clock,
        ids=runtime.ids,
        sealing=sealing,
        outside=wiring.channels_of(settings, sealing, bot_api, vapid_key, http, runtime.clock),
        bot_api=bot_api,
        vapid_key=vapid_key,
        http=http,
    )


async def stop(parts: Parts) -> None:
    """Close the connections to providers."""
    await parts.http.close()


def tasks(parts: Parts) -> tuple[Task[Parts], ...]:
    """Return the periodic work: of channels, that of the configured ones."""
    settings = parts.settings
    found = [
        Task("prune notifications", prune, _PRUNE_EVERY_SECONDS),
        Task("summarise weeks", summarise, _SUMMARISE_EVERY_SECONDS),
        *(
            Task(f"deliver {channel.value}", _delivering(channel), settings.deliver_every_seconds)
            for channel in parts.outside
        ),
    ]
    if parts.bot_api is not None and settings.telegram_mode == "poll":
        found.append(Task("poll telegram", telegram.poll, _POLL_AFTER_FAILURE_SECONDS, exclusive=True))
    elif parts.bot_api is not None:
        found.append(Task("announce webhook", telegram.announce_webhook, _ANNOUNCE_EVERY_SECONDS))
    return tuple(found)


def _delivering(channel: Channel) -> Callable[[Parts], Awaitable[bool]]:
    async def run(parts: Parts) -> bool:
        return await deliver(parts, channel)

    return run


service: Service[Settings, Parts] = Service(
    name="notification",
    settings=Settings,
    compose=compose,
    consumers=consumers,
    routers=(router,),
    tasks=tasks,
    stop=stop,
    title="Snowrail notification",
    description="What a person is told, where, and when.",
)
