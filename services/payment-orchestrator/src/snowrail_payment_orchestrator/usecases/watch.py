"""How long attempts have been open: time decides nothing about them, but somebody has to know."""

from snowrail_payment_orchestrator import metrics, store
from snowrail_payment_orchestrator.parts import Parts


async def watch_attempts(parts: Parts) -> None:
    """Say how many attempts are open, and since when."""
    found = await store.open_attempts_since(parts.database)
    for status in store.OPEN_STATUSES:
        count, since = found.get(status, (0, None))
        age = (parts.clock.now() - since).total_seconds() if since else 0.0
        metrics.OPEN_ATTEMPTS.labels(status).set(count)
        metrics.OLDEST_ATTEMPT_SECONDS.labels(status).set(age)
