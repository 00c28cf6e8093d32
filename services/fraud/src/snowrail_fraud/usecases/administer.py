"""Reviewers decide about held payments; administrators keep the lists."""

from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID

from snowrail_events import FraudReviewedV1
from snowrail_fraud.domain.review import IllegalTransition, ReviewEvent, ReviewState, transition
from snowrail_fraud.parts import Parts
from snowrail_fraud.store import assessments, knowledge, reviews
from snowrail_kit import audit
from snowrail_kit.audit import Act
from snowrail_kit.auth import Identity
from snowrail_kit.problems import Problem, not_found
from snowrail_kit.unit_of_work import Transaction

REVIEW_SOURCE = "review"
_PRUNE_ROWS = 5_000


async def decide(
    tx: Transaction, identity: Identity, payment_id: UUID, approved: bool, note: str
) -> ReviewState:
    """Release or block a held payment, once; what the reviewer found becomes training data.

    Raises:
        Problem: 403 for one's own payment, 404 not held for review, 409 decided before.
    """
    found = await reviews.lock(tx.connection, [payment_id])
    if not found:
        raise not_found("review")
    review = found[0]
    if review.user_id == identity.user_id:
        raise Problem(403, "own_payment", "Somebody else has to review your own payment.")
    state = transition(review.state, ReviewEvent.APPROVE if approved else ReviewEvent.DENY)
    if isinstance(state, IllegalTransition):
        raise Problem(409, "review_closed", f"This review is {review.state.value} already.")
    await reviews.close(tx.connection, [payment_id], state, identity.user_id, note, tx.now)
    await reviews.give_feedback(
        tx.connection, payment_id, REVIEW_SOURCE, not approved, identity.user_id, tx.now
    )
    tx.emit(
        FraudReviewedV1(
            payment_id=payment_id,
            approved=approved,
            reviewer_id=identity.user_id,
            note=note,
            reviewed_at=tx.now,
        ),
        version=2,
        traceparent=review.traceparent,
    )
    act = Act(str(identity.user_id), f"review.{state.value}", str(payment_id), {"note": note})
    await audit.append(tx.connection, [act], tx.now)
    return state


async def add_to_list(
    parts: Parts, identity: Identity, kind: str, addresses: Sequence[str], source: str, reason: str
) -> list[str]:
    """Put addresses on a list, and return those that were not on it."""
    wanted = sorted({address.lower() for address in addresses})
    async with parts.transaction() as tx:
        added = await knowledge.add_listed(
            tx.connection,
            wanted,
            kind,
            source,
            reason,
            identity.user_id,
            tx.now,
            [tx.ids.new() for _ in wanted],
        )
        acts = [
            Act(str(identity.user_id), f"list.{kind}.added", address, {"source": source, "reason": reason})
            for address in added
        ]
        await audit.append(tx.connection, acts, tx.now)
        return added


async def remove_from_list(parts: Parts, identity: Identity, kind: str, address: str, reason: str) -> None:
    """Take an address off a list. Raises a 404 problem when it is not on it."""
    async with parts.transaction() as tx:
        if not await knowledge.remove_listed(tx.connection, address, kind):
            raise not_found("list entry")
        act = Act(str(identity.user_id), f"list.{kind}.removed", address.lower(), {"reason": reason})
        await audit.append(tx.connection, [act], tx.now)


async def prune(parts: Parts) -> bool:
    """Delete what is not needed any more, a bounded number of rows. True when there may be more."""
    async with parts.transaction() as tx:
        most = await knowledge.prune(tx.connection, tx.now, _PRUNE_ROWS)
        before = tx.now - timedelta(days=parts.settings.fraud_assessments_days)
        forgotten = await assessments.forget(tx.connection, before, _PRUNE_ROWS)
    return max(most, forgotten) >= _PRUNE_ROWS
