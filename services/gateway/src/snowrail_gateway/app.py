"""Composition root of the gateway."""

from snowrail_gateway.api import everything_else, router
from snowrail_gateway.catch_up import CatchUp
from snowrail_gateway.commands import Commands
from snowrail_gateway.feed import Feed
from snowrail_gateway.history import History
from snowrail_gateway.parts import Parts
from snowrail_gateway.proxy import Proxy
from snowrail_gateway.publishing import Publisher
from snowrail_gateway.recent import Recent
from snowrail_gateway.registry import Registry
from snowrail_gateway.request_limits import RequestLimits
from snowrail_gateway.revocations import Revocations
from snowrail_gateway.sessions import Hall
from snowrail_gateway.settings import Settings
from snowrail_gateway.subscription import FeedSubscription
from snowrail_kit.service import Runtime, Service


def compose(runtime: Runtime[Settings]) -> Parts:
    """Wire the gateway."""
    settings = runtime.settings
    assert runtime.verifier is not None, "set SNOWRAIL_JWT_PUBLIC_KEYS_FILE"
    feed = Feed(Recent(settings.recent_messages, settings.recent_bytes), runtime.clock)
    history = History(runtime.bus)
    publisher = Publisher(runtime.bus, settings.publish_waiting_messages)
    revocations = Revocations(feed, history, runtime.clock)
    hall = Hall(
        settings=settings,
        clock=runtime.clock,
        ids=runtime.ids,
        verifier=runtime.verifier,
        feed=feed,
        catch_up=CatchUp(feed, history, settings.replay_page_messages, settings.replay_limit_messages),
        commands=Commands(publisher, runtime.clock, runtime.ids),
        registry=Registry(settings),
        revocations=revocations,
    )
    return Parts(
        hall=hall,
        history=history,
        subscription=FeedSubscription(runtime.bus, history, feed),
        publisher=publisher,
        limits=RequestLimits(settings, runtime.verifier, runtime.clock, revocations),
        proxy=Proxy(
            settings.upstreams,
            settings.upstream_connect_timeout_seconds,
            settings.upstream_answer_timeout_seconds,
        ),
        running=[],
    )


service = Service(
    name="gateway",
    settings=Settings,
    compose=compose,
    routers=(router, everything_else),
    with_database=False,
    start=Parts.start,
    stop=Parts.stop,
    drain=Parts.drain,
    ready=Parts.ready,
    title="Snowrail gateway",
    description="WebSocket sessions, the user feed by long polling, and the paths of the one public origin.",
)
