"""Handing messages over to providers: the attempt is on record first, its end afterwards."""

import asyncio
from datetime import timedelta

import structlog

from snowrail_kit.unit_of_work import Transaction
from snowrail_notification.channels.sending import Outgoing, Result
from snowrail_notification.domain import deliveries as domain
from snowrail_notification.domain.catalogue import Channel, Priority
from snowrail_notification.domain.deliveries import Ended, State
from snowrail_notification.metrics import DELIVERIES, DELIVERY_SECONDS
from snowrail_notification.parts import OutsideChannel, Parts
from snowrail_notification.sealing import Unsealable
from snowrail_notification.store import deliveries as store
from snowrail_notification.store.deliveries import Claimed

log = structlog.get_logger("delivering")

_SHORTEST_HOLD = timedelta(seconds=1)
_RESOLVED_ROWS = 500


async def deliver(parts: Parts, channel: Channel) -> bool:
    """Attempt what is due on a channel. Returns whether there may be more at once."""
    provider = parts.outside[channel]
    settings = parts.settings
    async with parts.transaction() as tx:
        await _resolve_abandoned(tx, channel, timedelta(seconds=settings.claim_lease_seconds))
        limit = min(settings.delivery_batch_rows, max(1, int(provider.per_second)))
        claimed = await store.claim(tx, channel.value, limit, provider.per_second, provider.contact_pause)
    attempts = (_attempt(parts, channel, provider, item) for item in claimed)
    ends = await asyncio.gather(*attempts, return_exceptions=True)
    for error in ends:
        if error is not None:  # its end could not be stored; its lease will run out
            raise error
    return bool(claimed)


async def _resolve_abandoned(tx: Transaction, channel: Channel, lease: timedelta) -> None:
    """Decide about attempts whose process died: the provider may have the message (decision 0011)."""
    for row in await store.abandoned(tx, channel.value, tx.now - lease, _RESOLVED_ROWS):
        following = domain.end(
            State.SENDING, Ended.UNKNOWN, channel, Priority(row["priority"]), row["attempts"]
        )
        await store.resolve(tx, row["delivery_id"], following)
        log.warning("an attempt died", delivery=str(row["delivery_id"]), now=following.state.value)
        DELIVERIES.labels(channel.value, following.state.value).inc()


async def _attempt(parts: Parts, channel: Channel, provider: OutsideChannel, claimed: Claimed) -> None:
    begun = parts.clock.now()
    result = await _send(parts, provider, claimed)
    following = domain.end(
        State.SENDING, result.ended, channel, Priority(claimed.priority), claimed.attempts, result.retry_after
    )
    async with parts.transaction() as tx:
        if provider.contact_pause:
            await store.rest_contact(tx, claimed.contact_id)
        if await store.end(tx, claimed, following, result.error, result.reference):
            if result.all_wait:
                hold = max(result.retry_after or _SHORTEST_HOLD, _SHORTEST_HOLD)
                await store.hold_provider(tx, channel.value, tx.now + hold)
            if result.ended is Ended.GONE:
                await store.forget_contact(tx, claimed.contact_id)
    DELIVERIES.labels(channel.value, following.state.value).inc()
    DELIVERY_SECONDS.labels(channel.value).observe((parts.clock.now() - begun).total_seconds())
    if following.state is not State.SENT:
        log.info(
            "not delivered",
            channel=channel.value,
            delivery=str(claimed.delivery_id),
            attempt=claimed.attempts,
            now=following.state.value,
            error=result.error,
        )


async def _send(parts: Parts, provider: OutsideChannel, claimed: Claimed) -> Result:
    assert parts.sealing is not None, "a channel that is configured has a secret"
    try:
        address = parts.sealing.unseal(claimed.contact_id, claimed.sealed_address)
    except Unsealable as error:
        return Result(Ended.REFUSED, str(error))
    outgoing = Outgoing(
        delivery_id=claimed.delivery_id,
        contact_id=claimed.contact_id,
        user_id=claimed.user_id,
        address=address,
        content=claimed.content,
        priority=Priority(claimed.priority),
        message_id=claimed.notification_id or claimed.delivery_id,
        revision=claimed.revision,
        provider_reference=claimed.provider_reference,
    )
    try:
        return await provider.sender.send(outgoing)
    except Exception as error:  # a defect of ours: nothing says that the provider did not get it
        log.error("sending failed", delivery=str(claimed.delivery_id), exc_info=error)
        return Result(Ended.UNKNOWN, type(error).__name__)
