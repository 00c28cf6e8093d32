"""An intent with the order that is signed for it."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Self
from uuid import UUID

from snowrail_chain.addresses import NATIVE_TOKEN
from snowrail_chain.eip712 import Order
from snowrail_intent.domain.states import WAITING, IntentEvent, State, Status, advance
from snowrail_kit.ids import derived_id


@dataclass(frozen=True, slots=True, order=True)
class PayingWallet:
    """An account on a chain and a token that it pays with, both as EIP-55 addresses."""

    chain_id: int
    address: str
    token: str


@dataclass(frozen=True, slots=True)
class Intent:
    """One intent as its row and the row of its current order hold it.

    Attributes:
        version: grows by one with every change.
        reason: why it waits or ended; None while nothing is worth saying.
        token: token id on the wire.
        escrow: EIP-55 address of the contract that executes the order.
        revision: how often the terms were edited; each revision is an order of its own.
        order_hash: 32 bytes, the identity of the current order on chain.
        signature: the payer's, 65 bytes; None when the deposit is the authorisation.
        deposit: atoms that the escrow finally holds for the current order.
        chain_cancelled: whether a final cancellation of the current order was seen.
        approval_amount: allowance in atoms the payer still has to grant; zero when it suffices.
        next_occurrence: occurrences paid so far.
        estimated_gas_price: wei, when the intent was made.
        waiting_since: when it last began to wait.
        next_check_at: when the engine looks at it again; None while nothing but an event can change it.
        traceparent: trace that every event of this intent continues.
    """

    intent_id: UUID
    user_id: UUID
    version: int
    status: Status
    paused: bool
    reason: str | None
    recipient_label: str
    token: str
    chain_id: int
    escrow: str
    revision: int
    order: Order
    order_hash: bytes
    signature: bytes | None
    deposit: int
    chain_cancelled: bool
    approval_amount: int
    next_occurrence: int
    not_before: datetime | None
    expires_at: datetime
    estimated_gas: int
    estimated_gas_price: int
    waiting_since: datetime | None
    next_check_at: datetime | None
    traceparent: str | None
    created_at: datetime
    changed_at: datetime

    @property
    def state(self) -> State:
        """Status and pause flag, as the state machine takes them."""
        return State(self.status, self.paused)

    @property
    def is_native(self) -> bool:
        """Whether the chain's own coin is paid, so that funding the escrow is the authorisation."""
        return self.order.token == NATIVE_TOKEN

    @property
    def covered_by_deposit(self) -> bool:
        """Whether the escrow itself holds what the next execution takes."""
        return self.deposit >= self.order.amount + self.order.max_fee

    @property
    def wallet(self) -> PayingWallet:
        """What the payer pays from where no deposit covers it."""
        return PayingWallet(self.chain_id, self.order.payer, self.order.token)

    @property
    def taken_from_wallet(self) -> int:
        """Atoms that the next execution takes from the payer's wallet rather than from a deposit."""
        return 0 if self.covered_by_deposit else self.order.amount + self.order.max_fee

    @property
    def payment_id(self) -> UUID:
        """Id of the payment of the next occurrence, the same however often it is asked for."""
        return derived_id("payment", self.intent_id, self.next_occurrence)

    def after(self, now: datetime, *events: IntentEvent, reason: str | None = None, **changes: Any) -> Self:
        """Return the intent after events in this order, with the reason of its new state and other changes.

        Raises:
            IllegalTransition: one of the events cannot happen.
        """
        state = self.state
        for event in events:
            state = advance(state, event)
        return self.changed(now, status=state.status, paused=state.paused, reason=reason, **changes)

    def changed(self, now: datetime, **changes: Any) -> Self:
        """Return the intent with changes that make one new version."""
        following = replace(self, **changes)
        waits = following.status in WAITING
        since = (self.waiting_since if self.status in WAITING else None) or now
        return replace(
            following,
            version=self.version + 1,
            changed_at=now,
            waiting_since=since if waits else None,
        )


@dataclass(frozen=True, slots=True)
class Pace:
    """How soon the engine looks again.

    Attributes:
        first_seconds, last_seconds: shortest and longest pause between two looks at a waiting intent.
        margin_seconds: how long after `not_before` an intent becomes due, since block time lags behind.
        settle_seconds: how long a final cancellation of a payment in flight waits for news that the payment
            was executed before it; news may arrive out of order.
    """

    first_seconds: float
    last_seconds: float
    margin_seconds: float
    settle_seconds: float

    def ready_at(self, intent: Intent) -> datetime:
        """When an armed intent becomes due."""
        if intent.not_before is None:
            return intent.created_at
        return intent.not_before + timedelta(seconds=self.margin_seconds)

    def next_check(self, intent: Intent, now: datetime) -> datetime | None:
        """When the engine looks at an intent again.

        A waiting intent is looked at after a tenth of the time it has waited, within the bounds: the pauses
        grow exponentially. What is scheduled far ahead may pause longer; nothing pauses beyond its expiry.
        """
        if intent.status is Status.AWAITING_AUTHORISATION:
            return intent.expires_at
        if intent.status is Status.DUE:
            return now + timedelta(seconds=self.settle_seconds) if intent.chain_cancelled else None
        if intent.status is Status.ARMED:
            following = intent.expires_at if intent.paused else max(now, self.ready_at(intent))
        elif intent.status in WAITING:
            waited = (now - (intent.waiting_since or now)).total_seconds()
            ahead = (self.ready_at(intent) - now).total_seconds()
            pause = min(max(self.first_seconds, waited / 10), max(self.last_seconds, ahead / 10))
            following = intent.expires_at if intent.paused else now + timedelta(seconds=pause)
        else:
            return None
        return min(following, intent.expires_at)

    def scheduled(self, intent: Intent, now: datetime) -> Intent:
        """Return the intent with its next look set."""
        return replace(intent, next_check_at=self.next_check(intent, now))


def counts_against_limits(status: Status) -> bool:
    """Whether an intent in this state uses its payer's daily limits."""
    return status not in (Status.DRAFT, Status.CANCELLED, Status.EXPIRED, Status.FAILED)
