"""What one transaction does to intents: gathered while a batch is judged, written with one statement a table.

Events follow from the difference between what was locked and what is written, so no use case can forget one.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from uuid import UUID

from snowrail_events import IntentLowBalanceV1
from snowrail_events.parts import UnsignedTransaction
from snowrail_intent.clients import ChainReading, Readings
from snowrail_intent.domain.evaluation import Evaluation, Inputs, SeenPrice, Verdict, evaluate, record
from snowrail_intent.domain.intents import Intent, PayingWallet
from snowrail_intent.domain.limits import Budget, LevelLimits, Payments, find_exceeded
from snowrail_intent.domain.next_steps import next_step
from snowrail_intent.domain.payments import Occurrence, OccurrenceStatus, open_occurrence, skip_occurrence
from snowrail_intent.domain.states import Status
from snowrail_intent.parts import Parts
from snowrail_intent.store import intents as intent_store
from snowrail_intent.store import occurrences as occurrence_store
from snowrail_intent.store import projections
from snowrail_intent.store import wallets as wallet_store
from snowrail_intent.store.projections import SpendingChange
from snowrail_intent.usecases import outgoing
from snowrail_intent.usecases.readings import as_read
from snowrail_kit.delivery import Delivery
from snowrail_kit.unit_of_work import Transaction


@dataclass(frozen=True, slots=True)
class _Answer:
    """Something to say about an intent beyond its state."""

    intent_id: UUID
    request_id: UUID | None
    step: UnsignedTransaction | None
    refunded: int | None


class Work:
    """The intents that a transaction has locked, as they are becoming."""

    def __init__(self, tx: Transaction, parts: Parts) -> None:
        self._tx = tx
        self._parts = parts
        self._pace = parts.pace
        self._locked: dict[UUID, Intent] = {}
        self.intents: dict[UUID, Intent] = {}
        self._unchanged_checks: dict[UUID, Intent] = {}
        self._due: list[Occurrence] = []
        self._missed: list[Occurrence] = []
        self._warnings: list[IntentLowBalanceV1] = []
        self._occurrences: dict[UUID, Occurrence] = {}
        self._evaluations: list[Evaluation] = []
        self._answers: list[_Answer] = []
        self._paid_blocks: dict[PayingWallet, int] = {}
        self._in_flight: dict[PayingWallet, int] = {}
        self._obligations: dict[PayingWallet, int] = {}
        self._prices: dict[str, SeenPrice] = {}
        self._limits: dict[UUID, LevelLimits | None] = {}
        self._budget = Budget()
        self._spending: list[SpendingChange] = []
        self._causes: dict[UUID, Delivery[Any]] = {}

    @property
    def now(self) -> datetime:
        """The time of this transaction."""
        return self._tx.now

    async def lock(self, intent_ids: Iterable[UUID]) -> None:
        """Lock intents, waiting for whoever holds them."""
        self._take(await intent_store.lock(self._tx.connection, set(intent_ids)))

    async def lock_free(self, intent_ids: Iterable[UUID]) -> None:
        """Lock those of the intents that nobody else holds."""
        self._take(await intent_store.lock_free(self._tx.connection, set(intent_ids)))

    def _take(self, intents: dict[UUID, Intent]) -> None:
        self._locked.update(intents)
        self.intents.update(intents)

    async def look_around(self, intents: Sequence[Intent], readings: Readings | None = None) -> None:
        """See what these intents are judged by beyond themselves: wallets, the limits of users, prices.

        Intents are locked before wallets, and wallets before users.
        """
        if readings is not None:
            await self._lock_wallets(intents, readings)
        await self._lock_limits(intents)
        if any(intent.condition and intent.condition.token for intent in intents):
            self._prices = await projections.fetch_prices(self._tx.connection)

    async def _lock_limits(self, intents: Iterable[Intent]) -> None:
        today = self.now.date()
        users = {
            intent.user_id
            for intent in intents
            if intent.counted_on != today and self.now >= self._pace.ready_at(intent)
        }
        if not users:
            return
        accounts = await projections.lock_users(self._tx.connection, users)
        self._limits = {
            user_id: self._parts.limits.get(account.kyc_level) for user_id, account in accounts.items()
        }
        self._budget = await projections.fetch_budget(self._tx.connection, users, [today])

    async def _lock_wallets(self, intents: Sequence[Intent], readings: Readings) -> None:
        """Lock the wallets that intents take tokens from, and see what their payments in flight take.

        Where an allowance does not suffice, see also for how much the next approval has to be.
        """
        wallets = {intent.wallet for intent in intents if intent.taken_from_wallet and not intent.is_native}
        if not wallets:
            return
        self._paid_blocks = await wallet_store.lock(self._tx.connection, wallets)
        blocks = {
            wallet: reading.block_number
            for wallet in wallets
            if (reading := readings.of(wallet.chain_id)) is not None
        }
        self._in_flight = await wallet_store.fetch_in_flight(self._tx.connection, blocks)
        lacking = {
            intent.wallet: blocks[intent.wallet]
            for intent in intents
            if intent.wallet in blocks and _lacks_allowance(intent, readings)
        }
        if lacking:
            self._obligations = await wallet_store.fetch_obligations(self._tx.connection, lacking)

    def inputs_of(self, intent: Intent, reading: ChainReading) -> Inputs:
        """Return what an intent is judged by, of what was read of its chain."""
        wallet = as_read(intent.wallet)
        return replace(
            self.inputs_beside_wallet(intent, reading.gas_price),
            balance=reading.balances.get(wallet),
            allowance=reading.allowances.get(wallet),
            in_flight=self._in_flight.get(intent.wallet, 0),
            obligations=self._obligations.get(intent.wallet, 0),
            is_stale=reading.block_number < self._paid_blocks.get(intent.wallet, 0),
        )

    def inputs_beside_wallet(self, intent: Intent, gas_price: int | None) -> Inputs:
        """Return what an intent is judged by when its payer's wallet was not read."""
        symbol = intent.condition.token if intent.condition else None
        return Inputs(
            now=self.now,
            gas_price=gas_price,
            price=self._prices.get(symbol) if symbol else None,
            exceeded=self._exceeded(intent),
        )

    def _exceeded(self, intent: Intent) -> str | None:
        """Return the limit that a payment today would exceed; none where it is counted today already."""
        today = self.now.date()
        if intent.counted_on == today:
            return None
        payment = Payments(intent.order.amount, intent.estimated_gas)
        spent = self._budget.spent(intent.user_id, today, intent.token)
        spent = spent.without(intent.order.amount, intent.counted_on, today)
        return find_exceeded(self._limits.get(intent.user_id), intent.token, payment, spent)

    def put(
        self,
        intent: Intent,
        cause: Delivery[Any] | None = None,
        is_news: bool = True,
        moves_spending: bool = True,
    ) -> Intent:
        """Take over a changed intent and set when the engine looks at it next.

        Args:
            intent: as it has become.
            cause: the message that changed it.
            is_news: the engine has not judged it as it is now.
            moves_spending: what it becomes decides what counts as spent.
        """
        scheduled = self._pace.scheduled(intent, self._tx.now, is_news)
        if moves_spending:
            self._spending += _spending(self.intents[intent.intent_id], scheduled)
        self.intents[intent.intent_id] = scheduled
        if cause is not None:
            self._causes[intent.intent_id] = cause
        return scheduled

    def answer(
        self,
        intent_id: UUID,
        request_id: UUID | None = None,
        step: UnsignedTransaction | None = None,
        refunded: int | None = None,
    ) -> None:
        """Say more about an intent than its state: whose request it answers, what to send, what came back."""
        self._answers.append(_Answer(intent_id, request_id, step, refunded))

    def keep(self, occurrence: Occurrence) -> None:
        """Store what an occurrence has become."""
        self._occurrences[occurrence.payment_id] = occurrence

    def judge(self, intent: Intent, inputs: Inputs) -> Intent:
        """Evaluate an intent, record it, and open its occurrence where it is due."""
        verdict = evaluate(intent, inputs, self._pace)
        following = intent
        if verdict.events:
            changes = self._changes(intent, verdict)
            following = intent.after(inputs.now, *verdict.events, reason=verdict.reason, **changes)
        self._evaluations.append(record(following, inputs, following.reason, verdict.slot))
        if _says_the_same(intent, following):
            unchanged = self._pace.scheduled(intent, inputs.now, is_news=inputs.is_stale)
            self._unchanged_checks[intent.intent_id] = unchanged
            if intent.version != self._locked[intent.intent_id].version:
                self.intents[intent.intent_id] = unchanged
            return intent
        self._missed.extend(skip_occurrence(intent, slot, inputs.now) for slot in verdict.missed)
        if verdict.is_due:
            self._open(intent, verdict)
        if verdict.warning is not None:
            self._warnings.append(outgoing.low_balance(following, verdict.warning, inputs.now))
        return self.put(following, is_news=False)

    def _changes(self, intent: Intent, verdict: Verdict) -> dict[str, Any]:
        """Return what an evaluation changes of an intent beside its state."""
        changes: dict[str, Any] = {"approval_amount": verdict.approval_amount}
        if verdict.missed:
            changes |= intent.past(verdict.missed[-1])
            changes |= {
                "missed": intent.missed + len(verdict.missed),
                "last_result": OccurrenceStatus.SKIPPED.value,
                "last_result_at": self.now,
            }
        if verdict.is_due:
            assert verdict.slot is not None, "what is due is an occurrence"
            changes |= intent.past(verdict.slot)
            changes["counted_on"] = self.now.date()
        if verdict.warning is not None:
            assert verdict.slot is not None, "a warning is about an occurrence"
            changes["warned_slot"] = verdict.slot.number
        return changes

    def _open(self, intent: Intent, verdict: Verdict) -> None:
        assert verdict.slot is not None, "what is due is an occurrence"
        self._due.append(open_occurrence(intent, verdict.slot, self.now))
        taken = self._in_flight.get(intent.wallet, 0) + intent.taken_from_wallet
        self._in_flight[intent.wallet] = taken
        today = self.now.date()
        if intent.counted_on != today:
            self._budget.add(intent.user_id, today, intent.token, intent.order.amount, intent.estimated_gas)

    def look_later(self, intent: Intent, evaluation: Evaluation | None = None) -> None:
        """Leave an intent as it is, with the record of why, and look again after its pause."""
        self._unchanged_checks[intent.intent_id] = self._pace.scheduled(intent, self._tx.now, is_news=True)
        if evaluation is not None:
            self._evaluations.append(evaluation)

    async def write(self) -> None:
        """Store everything and say what changed. Nothing is written for what stayed as it was."""
        connection = self._tx.connection
        changed = [
            intent for key, intent in self.intents.items() if intent.version != self._locked[key].version
        ]
        if changed:
            await intent_store.update(
                connection, changed, [self._locked[intent.intent_id].version for intent in changed]
            )
        unchanged = [
            intent
            for key, intent in self._unchanged_checks.items()
            if self.intents[key].version == self._locked[key].version
        ]
        if unchanged:
            await intent_store.delay_check(connection, unchanged)
        if self._due or self._missed:
            await occurrence_store.insert(connection, [*self._missed, *self._due])
        if self._occurrences:
            await occurrence_store.update(connection, list(self._occurrences.values()))
        if self._evaluations:
            await occurrence_store.record_evaluations(connection, self._evaluations)
        if self._spending:
            await projections.add_spending(connection, self._spending)
        self._announce(changed)

    def _announce(self, changed: list[Intent]) -> None:
        answered = {answer.intent_id for answer in self._answers}
        for answer in self._answers:
            self._emit_update(answer)
        for intent in changed:
            if intent.intent_id not in answered:
                self._emit_update(_Answer(intent.intent_id, None, None, None))
            if _is_newly_cancelled(self._locked[intent.intent_id], intent):
                self._tx.emit(
                    outgoing.cancelled(intent),
                    cause=self._causes.get(intent.intent_id),
                    version=intent.version,
                    traceparent=intent.traceparent,
                )
        for warning in self._warnings:
            self._tx.emit(warning, traceparent=self.intents[warning.intent_id].traceparent)
        for occurrence in self._due:
            intent = self.intents[occurrence.intent_id]
            self._tx.emit(
                outgoing.due(intent, occurrence),
                cause=self._causes.get(intent.intent_id),
                version=intent.version,
                traceparent=intent.traceparent,
            )

    def _emit_update(self, answer: _Answer) -> None:
        intent = self.intents[answer.intent_id]
        step = answer.step or next_step(intent, self._tx.now)
        self._tx.emit(
            outgoing.updated(intent, answer.request_id, step, answer.refunded),
            cause=self._causes.get(intent.intent_id),
            version=intent.version,
            traceparent=intent.traceparent,
        )


def _lacks_allowance(intent: Intent, readings: Readings) -> bool:
    reading = readings.of(intent.chain_id)
    allowance = reading.allowances.get(as_read(intent.wallet), 0) if reading else 0
    return allowance < intent.taken_from_wallet


def _says_the_same(before: Intent, after: Intent) -> bool:
    return (before.status, before.reason, before.approval_amount, before.slot, before.warned_slot) == (
        after.status,
        after.reason,
        after.approval_amount,
        after.slot,
        after.warned_slot,
    )


def _is_newly_cancelled(before: Intent, after: Intent) -> bool:
    if after.status is not Status.CANCELLED:
        return False
    return before.status is not Status.CANCELLED or (after.chain_cancelled and not before.chain_cancelled)


def _spending(before: Intent, after: Intent) -> list[SpendingChange]:
    """Return what a change adds to the payer's use of limits and gives back, by day.

    What was paid stays counted on its day, also when it is opened again: it is given back when that fails.
    """
    paid = after.next_occurrence - before.next_occurrence
    ends_unpaid = paid == 0 or (paid < 0 and before.status is Status.DUE)
    is_not_counted_yet = paid == 0 or (paid > 0 and before.counted_on is None)
    given_back = before.counted_on if ends_unpaid else None
    taken = after.counted_on if is_not_counted_yet else None
    if given_back == taken:
        return []
    return [
        SpendingChange(
            user_id=after.user_id,
            day=day,
            token=after.token,
            amount=sign * after.order.amount,
            gas=sign * after.estimated_gas,
        )
        for day, sign in ((given_back, -1), (taken, 1))
        if day is not None
    ]
