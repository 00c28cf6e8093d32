"""Periodic work: a word to those who wait, and rows that are of no use any more."""

from datetime import timedelta

from snowrail_chat.cards.answers import notice_card
from snowrail_chat.domain.cards import Card
from snowrail_chat.parts import Parts
from snowrail_chat.store import limits, messages, payment_requests
from snowrail_chat.store.messages import Reply, Request
from snowrail_chat.usecases import replies
from snowrail_kit.ids import derived_id

_BATCH_ROWS = 500
_LIMITS_KEEP = timedelta(days=1)
_REQUESTS_KEEP = timedelta(days=30)
_WORKING = {
    "create": "Preparing your payment",
    "authorise": "Checking your signature",
    "cancel": "Cancelling your payment",
    "pause": "Holding your payment back",
    "resume": "Letting your payment go on",
    "alert_create": "Setting your price alert",
    "alert_delete": "Forgetting your price alert",
    "set_preference": "Changing what you are told",
    "set_quiet_hours": "Changing your quiet hours",
    "device_approve": "Approving the device",
    "device_deny": "Signing the device out",
}


async def tell_waiting(parts: Parts) -> bool:
    """Answer lines that have waited long for another service; the real answer takes the card's place."""
    async with parts.transaction() as tx:
        patience = timedelta(seconds=parts.settings.waiting_notice_seconds)
        waiting = await messages.claim_waiting(tx, tx.now - patience, _BATCH_ROWS)
        answers = [Reply(request.message_id, request.user_id, _working(request)) for request in waiting]
        await replies.send(tx, answers, {})
    return len(waiting) == _BATCH_ROWS


async def prune_limits(parts: Parts) -> bool:
    """Forget what users used of rate limits long ago."""
    async with parts.transaction() as tx:
        return await limits.prune(tx, tx.now - _LIMITS_KEEP, _BATCH_ROWS)


async def prune_requests(parts: Parts) -> bool:
    """Forget payment requests that expired long ago."""
    async with parts.transaction() as tx:
        return await payment_requests.prune(tx, tx.now - _REQUESTS_KEEP, _BATCH_ROWS)


def _working(request: Request) -> Card:
    return notice_card(
        derived_id("card", request.message_id),
        _WORKING[request.command],
        "working",
        ("This takes longer than usual. Nothing is lost; do not send it again. The answer comes here.",),
    )
