"""An intent with the order that is signed for it."""

from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from typing import Any, Self
from uuid import UUID

from snowrail_chain.addresses import NATIVE_TOKEN
from snowrail_chain.eip712 import Order
from snowrail_intent.domain.conditions import Condition
from snowrail_intent.domain.recurrence import Recurrence
from snowrail_intent.domain.schedule import Slot, Turn, following, turn_of
from snowrail_intent.domain.states import WAITING, IntentEvent, State, Status, advance

_UNCOUNTED = frozenset({Status.DRAFT, Status.CANCELLED, Status.EXPIRED, Status.FAILED})
"""States of intents that use no limits."""
_PAID = frozenset({IntentEvent.OCCURRENCE_PAID, IntentEvent.ALL_PAID})
_BEHIND = frozenset(
    {
        IntentEvent.OCCURRENCE_PAID,
        IntentEvent.OCCURRENCE_FAILED,
        IntentEvent.OCCURRENCE_MISSED,
        IntentEvent.SERIES_ENDED,
    }
)
"""What leaves an occurrence behind, so that none uses the limits until the next one is due."""


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
        executed: final executions of the current order.
        chain_cancelled: whether a final cancellation of the current order was seen.
        approval_amount: allowance in atoms the payer still has to grant; zero when it suffices.
        next_occurrence: occurrences paid so far, which is what the escrow calls the next one.
        recurrence: when it repeats; None for a single payment.
        condition: what must hold before it is paid.
        slot: occurrences of the calendar that were paid, tried or missed; the number of the next one.
        slots: occurrences of the calendar in all; 1 for a single payment.
        missed: occurrences that were left out or failed.
        not_before: when the next occurrence falls due; of the last one when none is left.
        counted_on: UTC day whose limits the occurrence that is due or reserved uses; None when none does.
        warned_slot: the latest occurrence whose payer was warned that it is not covered.
        last_result, last_result_at: how and when the last occurrence ended.
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
    executed: int
    chain_cancelled: bool
    approval_amount: int
    next_occurrence: int
    recurrence: Recurrence | None
    condition: Condition | None
    slot: int
    slots: int
    missed: int
    counted_on: date | None
    warned_slot: int | None
    last_result: str | None
    last_result_at: datetime | None
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
    def unspent_deposit(self) -> int:
        """Atoms of the deposit that payments known to be made have left, though the chain's news may lag."""
        unseen = max(self.next_occurrence - self.executed, 0)
        return max(self.deposit - unseen * (self.order.amount + self.order.max_fee), 0)

    @property
    def covered_by_deposit(self) -> bool:
        """Whether the escrow itself holds what the next execution takes."""
        return self.unspent_deposit >= self.order.amount + self.order.max_fee

    @property
    def wallet(self) -> PayingWallet:
        """What the payer pays from where no deposit covers it."""
        return PayingWallet(self.chain_id, self.order.payer, self.order.token)

    @property
    def taken_from_wallet(self) -> int:
        """Atoms that the next execution takes from the payer's wallet rather than from a deposit."""
        return 0 if self.covered_by_deposit else self.order.amount + self.order.max_fee

    @property
    def slots_left(self) -> int:
        """Occurrences of the calendar that were neither paid, tried nor missed."""
        return self.slots - self.slot

    @property
    def next_run_at(self) -> datetime | None:
        """When the next occurrence falls due; None for at once, and when none is left."""
        return self.not_before if self.slots_left else None

    def turn(self, now: datetime, grace: timedelta) -> Turn:
        """Return which occurrence is next by now, and which are missed."""
        if self.recurrence is None or self.not_before is None:
            return Turn(Slot(self.slot, self.not_before or self.created_at))
        return turn_of(self.recurrence, self.slots, Slot(self.slot, self.not_before), now, grace)

    def past(self, slot: Slot) -> dict[str, Any]:
        """Return what changes when this occurrence is behind: the next one is awaited, if there is one."""
        upcoming = following(self.recurrence, self.slots, slot) if self.recurrence else None
        return {"slot": slot.number + 1, "not_before": upcoming.at if upcoming else self.not_before}

    def after(self, now: datetime, *events: IntentEvent, reason: str | None = None, **changes: Any) -> Self:
        """Return the intent after events in this order, with the reason of its new state and other changes.

        Raises:
            IllegalTransition: one of the events cannot happen.
        """
        state = self.state
        for event in events:
            state = advance(state, event)
        changes.setdefault("counted_on", self._counted_on(state.status, events, now))
        return self.changed(now, status=state.status, paused=state.paused, reason=reason, **changes)

    def _counted_on(self, status: Status, events: tuple[IntentEvent, ...], now: datetime) -> date | None:
        """Return the day whose limits the present occurrence uses after events.

        What is paid stays counted on its day, while the occurrence after it is counted when it falls due.
        """
        if self.counted_on is None and not _PAID.isdisjoint(events):
            return now.date()  # it was given back when the intent ended, and was paid all the same
        if status in _UNCOUNTED or not _BEHIND.isdisjoint(events):
            return None
        return self.counted_on

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
    """How soon the engine looks again, and what it calls late.

    Attributes:
        first_seconds, last_seconds: shortest and longest pause between two looks at a waiting intent.
        margin_seconds: how long after `not_before` an intent becomes due, since block time lags behind.
        settle_seconds: how long a final cancellation of a payment in flight waits for news that the payment
            was executed before it; news may arrive out of order.
        grace_seconds: how late an occurrence may be paid that is left out when it is missed.
        warning_seconds: how long before it falls due the payer of an uncovered occurrence is warned.
        price_stale_seconds: how old a price may be that a condition is judged by.
    """

    first_seconds: float
    last_seconds: float
    margin_seconds: float
    settle_seconds: float
    grace_seconds: float
    warning_seconds: float
    price_stale_seconds: float

    def ready_at(self, intent: Intent) -> datetime:
        """When an armed intent becomes due."""
        if intent.not_before is None:
            return intent.created_at
        allowed = intent.order.valid_after + intent.next_occurrence * intent.order.min_interval
        opens = max(intent.not_before, datetime.fromtimestamp(allowed, UTC))
        return opens + timedelta(seconds=self.margin_seconds)

    def warns_at(self, intent: Intent) -> datetime:
        """From when on a payer is warned that the next occurrence is not covered."""
        return self.ready_at(intent) - timedelta(seconds=self.warning_seconds)

    def next_check(self, intent: Intent, now: datetime, is_news: bool = False) -> datetime | None:
        """When the engine looks at an intent again.

        Args:
            intent: as it is now.
            now: the time.
            is_news: it was changed by something else than a look at it, which may be what it needs next.

        A waiting intent is looked at after a tenth of the time it has waited, within the bounds: the pauses
        grow exponentially. What is scheduled far ahead may pause longer; nothing pauses beyond its expiry.
        """
        if intent.status is Status.AWAITING_AUTHORISATION:
            return intent.expires_at
        if intent.status is Status.DUE:
            return now + timedelta(seconds=self.settle_seconds) if intent.chain_cancelled else None
        if intent.status is Status.ARMED:
            upcoming = self.ready_at(intent)
            if is_news or now < self.warns_at(intent):
                upcoming = min(upcoming, self.warns_at(intent))
            following = intent.expires_at if intent.paused else max(now, upcoming)
        elif intent.status in WAITING:
            waited = (now - (intent.waiting_since or now)).total_seconds()
            ahead = (self.ready_at(intent) - now).total_seconds()
            pause = min(max(self.first_seconds, waited / 10), max(self.last_seconds, ahead / 10))
            again = now + timedelta(seconds=pause)
            if now < self.warns_at(intent) < again:
                again = self.warns_at(intent)
            following = intent.expires_at if intent.paused else again
        else:
            return None
        return min(following, intent.expires_at)

    def scheduled(self, intent: Intent, now: datetime, is_news: bool = False) -> Intent:
        """Return the intent with its next look set; see `next_check`."""
        return replace(intent, next_check_at=self.next_check(intent, now, is_news))
