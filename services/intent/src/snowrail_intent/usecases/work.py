"""What one transaction does to intents: gathered while a batch is judged, written with one statement a table.

Events follow from the difference between what was locked and what is written, so no use case can forget one.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from snowrail_events.parts import UnsignedTransaction
from snowrail_intent.clients import ChainReading, Readings
from snowrail_intent.domain.evaluation import Evaluation, Inputs, evaluate, record
from snowrail_intent.domain.intents import Intent, Pace, PayingWallet, counts_against_limits
from snowrail_intent.domain.next_steps import next_step
from snowrail_intent.domain.payments import Occurrence, open_occurrence
from snowrail_intent.domain.states import Status
from snowrail_intent.store import intents as intent_store
from snowrail_intent.store import occurrences as occurrence_store
from snowrail_intent.store import wallets as wallet_store
from snowrail_intent.store.projections import SpendingChange, add_spending
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

    def __init__(self, tx: Transaction, pace: Pace) -> None:
        self._tx = tx
        self._pace = pace
        self._locked: dict[UUID, Intent] = {}
        self.intents: dict[UUID, Intent] = {}
        self._unchanged_checks: dict[UUID, Intent] = {}
        self._due: list[Occurrence] = []
        self._occurrences: dict[UUID, Occurrence] = {}
        self._evaluations: list[Evaluation] = []
        self._answers: list[_Answer] = []
        self._paid_blocks: dict[PayingWallet, int] = {}
        self._in_flight: dict[PayingWallet, int] = {}
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

    async def lock_wallets(self, intents: Iterable[Intent], readings: Readings) -> None:
        """Lock the wallets that intents take tokens from, and see what their payments in flight take."""
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

    def inputs_of(self, intent: Intent, reading: ChainReading) -> Inputs:
        """Return what an intent is judged by, of what was read of its chain."""
        wallet = as_read(intent.wallet)
        return Inputs(
            now=self.now,
            balance=reading.balances.get(wallet),
            allowance=reading.allowances.get(wallet),
            gas_price=reading.gas_price,
            in_flight=self._in_flight.get(intent.wallet, 0),
            is_stale=reading.block_number < self._paid_blocks.get(intent.wallet, 0),
        )

    def put(self, intent: Intent, cause: Delivery[Any] | None = None) -> Intent:
        """Take over a changed intent and set when the engine looks at it next."""
        scheduled = self._pace.scheduled(intent, self._tx.now)
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
            following = intent.after(
                inputs.now, *verdict.events, reason=verdict.reason, approval_amount=verdict.approval_amount
            )
        self._evaluations.append(record(following, inputs, following.reason))
        if _says_the_same(intent, following):
            self._unchanged_checks[intent.intent_id] = self._pace.scheduled(intent, inputs.now)
            return intent
        if verdict.is_due:
            self._due.append(open_occurrence(following, inputs.now))
            taken = self._in_flight.get(intent.wallet, 0) + intent.taken_from_wallet
            self._in_flight[intent.wallet] = taken
        return self.put(following)

    def look_later(self, intent: Intent, evaluation: Evaluation | None = None) -> None:
        """Leave an intent as it is, with the record of why, and look again after its pause."""
        self._unchanged_checks[intent.intent_id] = self._pace.scheduled(intent, self._tx.now)
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
        if self._due:
            await occurrence_store.insert(connection, self._due)
        if self._occurrences:
            await occurrence_store.update(connection, list(self._occurrences.values()))
        if self._evaluations:
            await occurrence_store.record_evaluations(connection, self._evaluations)
        spending = [
            change for intent in changed if (change := _spending(self._locked[intent.intent_id], intent))
        ]
        if spending:
            await add_spending(connection, spending)
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


def _says_the_same(before: Intent, after: Intent) -> bool:
    return (before.status, before.reason, before.approval_amount) == (
        after.status,
        after.reason,
        after.approval_amount,
    )


def _is_newly_cancelled(before: Intent, after: Intent) -> bool:
    if after.status is not Status.CANCELLED:
        return False
    return before.status is not Status.CANCELLED or (after.chain_cancelled and not before.chain_cancelled)


def _spending(before: Intent, after: Intent) -> SpendingChange | None:
    counted, counts = counts_against_limits(before.status), counts_against_limits(after.status)
    if counted == counts:
        return None
    sign = 1 if counts else -1
    return SpendingChange(
        user_id=after.user_id,
        day=after.created_at.date(),
        token=after.token,
        amount=sign * after.order.amount,
        gas=sign * after.estimated_gas,
    )
