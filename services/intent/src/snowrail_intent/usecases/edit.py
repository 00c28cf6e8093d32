"""Edits before authorisation."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

from snowrail_chain.eip712 import InvalidOrder, order_hash, validate_order
from snowrail_intent.domain.intents import Intent
from snowrail_intent.domain.limits import Payments, check_limits
from snowrail_intent.domain.orders import order_salt
from snowrail_intent.domain.refusals import NOT_FOUND, Refusal
from snowrail_intent.domain.states import IntentEvent, allows
from snowrail_intent.parts import Parts
from snowrail_intent.store import facts as fact_store
from snowrail_intent.store import intents as intent_store
from snowrail_intent.store import projections
from snowrail_intent.usecases.acts import act
from snowrail_intent.usecases.work import Work
from snowrail_kit.unit_of_work import Transaction

_NOT_EDITABLE = Refusal(
    "already_authorised",
    "Terms can be edited only before they are authorised; cancel and start anew.",
)
_SERIES_FIXED = Refusal(
    "series_fixed", "The times of a recurring payment cannot be edited; cancel it and set up another."
)
_FUNDING_UNDER_WAY = Refusal(
    "funding_under_way", "A deposit for the present terms is on its way; cancel the intent to take it back."
)


@dataclass(frozen=True, slots=True)
class Edit:
    """New terms of an intent that nobody has authorised; None leaves as it is.

    Attributes:
        at_once: whether the payment is no longer scheduled.
    """

    recipient_label: str | None
    not_before: datetime | None
    at_once: bool
    expires_at: datetime | None

    @property
    def changes_order(self) -> bool:
        """Whether the payer has to authorise another order."""
        return self.at_once or self.not_before is not None or self.expires_at is not None


async def edit(intent_id: UUID, user_id: UUID, edit: Edit, tx: Transaction, parts: Parts) -> Intent | Refusal:
    """Change an intent before its authorisation. Terms that are signed make a new order."""
    work = Work(tx, parts)
    await work.lock([intent_id])
    intent = work.intents.get(intent_id)
    if intent is None or intent.user_id != user_id:
        return NOT_FOUND
    if not allows(intent.state, IntentEvent.EDITED) or tx.now >= intent.expires_at:
        return _NOT_EDITABLE
    following = intent.after(tx.now, IntentEvent.EDITED, reason=intent.reason)
    if edit.recipient_label is not None:
        following = replace(following, recipient_label=edit.recipient_label)
    if edit.changes_order and intent.recurrence is not None:
        return _SERIES_FIXED
    if edit.changes_order:
        facts = await fact_store.find(tx.connection, [intent.order_hash])
        if facts:
            return _FUNDING_UNDER_WAY
        reordered = _reorder(following, edit, tx.now, parts)
        if isinstance(reordered, Refusal):
            return reordered
        exceeded = await _check_day(intent, reordered, tx, parts)
        if exceeded is not None:
            return exceeded
        following = reordered
        await intent_store.insert_orders(tx.connection, [following])
    following = work.put(following)
    tx.record(act("edited", following, revision=following.revision))
    await work.write()
    return following


async def _check_day(intent: Intent, following: Intent, tx: Transaction, parts: Parts) -> Refusal | None:
    """Return why the day that a payment moves to has no room for it, or None when it has."""
    day = following.counted_on
    if day is None or day == intent.counted_on:
        return None
    accounts = await projections.lock_users(tx.connection, [intent.user_id])
    budget = await projections.fetch_budget(tx.connection, [intent.user_id], [day])
    spent = budget.spent(intent.user_id, day, intent.token)
    _, token = parts.chains.token(intent.token)
    return check_limits(
        parts.limits.get(accounts[intent.user_id].kyc_level),
        intent.token,
        token.symbol,
        token.decimals,
        Payments(intent.order.amount, intent.estimated_gas),
        spent.without(intent.order.amount, intent.counted_on, day),
        day,
        tx.now.date(),
    )


def _reorder(intent: Intent, edit: Edit, now: datetime, parts: Parts) -> Intent | Refusal:
    not_before = None if edit.at_once else (edit.not_before or intent.not_before)
    opens = max(now, not_before) if not_before else now
    if opens - now > timedelta(days=parts.settings.schedule_farthest_days):
        return Refusal("too_far_ahead", "This is too far ahead; choose an earlier time.")
    expires_at = edit.expires_at or parts.orders.expiry(now, not_before)
    expires_at = expires_at.replace(microsecond=0)
    longest = timedelta(seconds=parts.settings.order_longest_lifetime_seconds)
    if not opens < expires_at <= opens + longest:
        return Refusal(
            "expiry_out_of_range",
            f"The expiry must be after the payment may start and at most {longest.days} days later.",
        )
    revision = intent.revision + 1
    try:
        order = replace(
            intent.order,
            valid_after=parts.orders.opening(now, not_before),
            valid_until=int(expires_at.timestamp()),
            salt=order_salt(intent.intent_id, revision),
        )
        validate_order(order, intent.escrow)
    except InvalidOrder as error:
        return Refusal("invalid_terms", f"The escrow cannot execute these terms: {error}.")
    return replace(
        intent,
        revision=revision,
        order=order,
        order_hash=order_hash(order),
        not_before=not_before,
        expires_at=expires_at,
        counted_on=opens.astimezone(UTC).date(),
    )
