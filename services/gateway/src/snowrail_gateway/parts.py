"""What the gateway is made of."""

import asyncio
from dataclasses import dataclass

from snowrail_gateway.history import History
from snowrail_gateway.proxy import Proxy
from snowrail_gateway.publishing import Publisher
from snowrail_gateway.request_limits import RequestLimits
from snowrail_gateway.sessions import Hall
from snowrail_gateway.subscription import FeedSubscription


@dataclass(frozen=True)
class Parts:
    """Everything composed, and its life."""

    hall: Hall
    history: History
    subscription: FeedSubscription
    publisher: Publisher
    limits: RequestLimits
    proxy: Proxy
    running: "list[asyncio.Task[None]]"

    async def start(self) -> None:
        """Open what needs the bus and begin to hear the feed."""
        await self.history.start()
        await self.proxy.open()
        self.hall.revocations.start()
        self.running.append(asyncio.create_task(self.subscription.run()))

    async def drain(self) -> None:
        """End all sessions, and let what they sent reach the bus."""
        await self.hall.registry.drain()
        await self.publisher.stop()

    async def stop(self) -> None:
        """Stop hearing the feed and close what was opened."""
        self.subscription.stop()
        await asyncio.wait(self.running, timeout=self.hall.settings.close_timeout_seconds)
        await self.hall.revocations.stop()
        await self.history.stop()
        await self.proxy.close()

    async def ready(self) -> str | None:
        """Return why clients should not be sent here, or None."""
        if self.hall.registry.draining:
            return "the sessions are being closed"
        if not self.hall.revocations.loaded:
            return "it is not known which sessions are over"
        return None if self.hall.feed.live else "the feed does not arrive"
