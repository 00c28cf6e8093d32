"""Where executions took their money, in the real database: any order of news, concurrent recording, forks."""

import asyncio
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from hashlib import sha256
from random import Random
from typing import Any
from uuid import UUID, uuid4

from snowrail_events import (
    Event,
    SettlementExecutedV1,
    SettlementOrphanedV1,
    TransactionFinalV1,
    TransactionOrphanedV1,
)
from snowrail_events.parts import EscrowLog
from snowrail_kit.delivery import Delivery, Envelope, Outcome
from snowrail_kit.unit_of_work import Transaction
from snowrail_payment_orchestrator import reconciliation_store
from snowrail_payment_orchestrator.reconciliation import LedgerFigures
from snowrail_payment_orchestrator.usecases import deposits, outcome
from snowrail_testkit import Builder, RunningService

from .escrow_history import DEPOSIT, PAY, Act, History, history, random_history
from .test_saga import orchestrator

__all__ = ["orchestrator"]

PAYER, RECIPIENT = "0x" + "a" * 40, "0x" + "b" * 40
TOKEN_ADDRESS = "0x" + "1" * 40
CHAIN = 31337
BLOCKS = 30
_HANDLERS: dict[type[Event], Any] = {
    SettlementExecutedV1: outcome.record_executions,
    SettlementOrphanedV1: outcome.record_orphans,
    TransactionFinalV1: deposits.record_deposits,
    TransactionOrphanedV1: deposits.reverse_deposits,
}


def hash_of(*parts: object) -> str:
    """A hash that belongs to these parts."""
    return "0x" + sha256(repr(parts).encode()).hexdigest()


@dataclass
class Order:
    """One order with its history, a payment for each occurrence, and the news of it."""

    build: Builder
    history: History
    chain_id: int = CHAIN
    order_hash: str = field(default_factory=lambda: hash_of(uuid4()))
    payments: dict[int, UUID] = field(default_factory=dict[int, UUID])

    @property
    def token(self) -> str:
        return f"{self.chain_id}:{TOKEN_ADDRESS}"

    async def insert(self, tx: Transaction) -> None:
        """Have a payment under way for every occurrence."""
        acts = (*self.history.stay, *self.history.leave, *self.history.come)
        occurrences = sorted({act.occurrence for act in acts if act.name == PAY})
        self.payments = {occurrence: uuid4() for occurrence in occurrences}
        await tx.execute(
            """
            INSERT INTO payment (payment_id, intent_id, occurrence, user_id, chain_id, escrow, terms,
                order_hash, signature, token, amount, payer, recipient, status, step, attempt, rail,
                requested_at, changed_at)
            SELECT payment_id, gen_random_uuid(), 0, gen_random_uuid(), $2, '', '{}', $3, '', $4, 1, $5, $6,
                   'executing', '', 1, 'evm_escrow', now(), now() FROM unnest($1::uuid[]) AS payment_id
            """,
            list(self.payments.values()),
            self.chain_id,
            self.order_hash,
            self.token,
            PAYER,
            RECIPIENT,
        )
        await tx.execute(
            "INSERT INTO attempt (payment_id, attempt, rail, decision_id, status, opened_at)"
            " SELECT payment_id, 1, 'evm_escrow', gen_random_uuid(), 'LIVE', now()"
            " FROM unnest($1::uuid[]) AS payment_id",
            list(self.payments.values()),
        )

    def news(self) -> list[Delivery[Any]]:
        """What is told of the history: blocks that become final, leave, and come instead."""
        past = self.history
        return [
            *(self.told(act, version=1) for act in past.stay),
            *(self.told(act, version=1) for act in past.leave),
            *(self.told(act, version=2, gone=True) for act in past.leave),
            *(self.told(act, version=3) for act in past.come),
        ]

    def told(self, act: Act, version: int = 1, *, gone: bool = False) -> Delivery[Any]:
        """One piece of news, as settlement or chain-monitor gives it."""
        tx_hash = hash_of(self.order_hash, act.reference)
        place: dict[str, Any] = {"block_hash": hash_of(act.branch, act.block_number), "tx_hash": tx_hash}
        place |= {"chain_id": self.chain_id, "block_number": act.block_number}
        if act.name == PAY:
            fee = 1 if act.atoms > 2 else 0
            place |= {"payment_id": self.payments[act.occurrence], "attempt": 1}
            place |= {"log_index": act.log_index, "amount": act.atoms - fee, "fee": fee}
            return self._delivery(SettlementOrphanedV1 if gone else SettlementExecutedV1, version, place)
        entry = EscrowLog(
            log_index=act.log_index,
            name=act.name,
            order_hash=self.order_hash,
            payer=PAYER,
            token=TOKEN_ADDRESS if act.name == DEPOSIT else None,
            amount=act.atoms,
        )
        place["logs"] = (entry,)
        return self._delivery(TransactionOrphanedV1 if gone else TransactionFinalV1, version, place)

    def _delivery(self, event: type[Event], version: int, fields: dict[str, Any]) -> Delivery[Any]:
        values = {name: value for name, value in fields.items() if name in event.model_fields}
        envelope = Envelope(uuid4(), event.subject, "probe", version=version)
        return Delivery(envelope, self.build(event, **values), b"")


async def handle(batch: Iterable[Delivery[Any]], tx: Transaction, orchestrator: RunningService) -> None:
    """Give each handler all of its news, as the consumer does."""
    groups: dict[type[Event], list[Delivery[Any]]] = {}
    for delivery in batch:
        delivery.outcome = Outcome.DONE
        groups.setdefault(type(delivery.event), []).append(delivery)
    for event, deliveries in groups.items():
        await _HANDLERS[event](deliveries, tx, orchestrator.parts)


async def hear(news: Iterable[Delivery[Any]], orchestrator: RunningService) -> list[Delivery[Any]]:
    """Handle a batch in one transaction, and return the news that wait."""
    batch = list(news)
    async with orchestrator.runtime.transaction() as tx:
        await handle(batch, tx, orchestrator)
    assert all(item.outcome in (Outcome.DONE, Outcome.WAIT) for item in batch)
    return [item for item in batch if item.outcome is Outcome.WAIT]


def left_of(acts: Iterable[Act]) -> int:
    """What an order has in the escrow after these."""
    return sum(
        act.atoms if act.name == DEPOSIT else -act.atoms
        for act in acts
        if act.name != PAY or act.from_deposit
    )


async def check(orders: list[Order], orchestrator: RunningService) -> None:
    """Compare every account of every order, and the figures of reconciliation at every block."""
    database = orchestrator.runtime.database
    rows = await database.fetch(
        "SELECT account, token, sum(atoms) AS atoms FROM posting GROUP BY account, token"
    )
    found = {(row["account"], row["token"]): row["atoms"] for row in rows if row["atoms"]}
    expected: Counter[tuple[str, str]] = Counter()
    for order in orders:
        truth = order.history.truth
        paid = [act.atoms for act in truth if act.name == PAY]
        fees = sum(1 for atoms in paid if atoms > 2)
        expected[f"escrow:{order.order_hash}", order.token] += left_of(truth)
        expected[f"wallet:{PAYER}", order.token] -= left_of(truth) + sum(paid)
        expected[f"wallet:{RECIPIENT}", order.token] += sum(paid) - fees
        expected["platform:fees", order.token] += fees
    assert found == {account: atoms for account, atoms in expected.items() if atoms}
    for block in range(BLOCKS):
        for chain_id in {order.chain_id for order in orders}:
            acts = [
                [act for act in order.history.truth if act.block_number <= block]
                for order in orders
                if order.chain_id == chain_id
            ]
            executed = sum(act.atoms for part in acts for act in part if act.name == PAY)
            ledger = await reconciliation_store.ledger_at(database, chain_id, block)
            figures = ledger.get(f"{chain_id}:{TOKEN_ADDRESS}", LedgerFigures(0, 0))
            assert figures == LedgerFigures(sum(left_of(part) for part in acts), executed), f"block {block}"


async def test_books_follow_the_chain_whatever_is_heard_first(
    orchestrator: RunningService, build: Builder
) -> None:
    """Many orders over two chains, each with a rollback; all news shuffled, in batches of any size."""
    random = Random(20)
    orders = [Order(build, random_history(random)) for _ in range(120)]
    # the same terms may be signed for another chain: same hash, another deposit
    orders += [Order(build, random_history(random), 25, order.order_hash) for order in orders[::3]]
    async with orchestrator.runtime.transaction() as tx:
        for order in orders:
            await order.insert(tx)
    news = [item for order in orders for item in order.news()]
    random.shuffle(news)
    while news:
        batch, news = news[: (size := random.choice((1, 20, 100, 400)))], news[size:]
        news += await hear(batch, orchestrator)
    await check(orders, orchestrator)
    corrections = await orchestrator.runtime.database.fetch("SELECT 1 FROM journal WHERE kind = 'source'")
    assert len(corrections) > 20, "the histories put the rule to the test"


async def test_a_deposit_and_its_execution_that_are_recorded_at_the_same_moment(
    orchestrator: RunningService, build: Builder
) -> None:
    """Whichever transaction is first, the other waits for its commit and sees what it wrote."""
    past = history([(DEPOSIT, 5, 1), (PAY, 5, 1)], [], [])
    orders = [Order(build, past) for _ in range(2)]
    async with orchestrator.runtime.transaction() as tx:
        for order in orders:
            await order.insert(tx)
    for order, is_deposit_first in zip(orders, (True, False), strict=True):
        first, second = (order.told(act) for act in (past.stay if is_deposit_first else past.stay[::-1]))
        async with orchestrator.runtime.transaction() as tx:
            await handle([first], tx, orchestrator)
            other = asyncio.create_task(hear([second], orchestrator))
            await asyncio.sleep(0.1)
            assert not other.done()
        assert await other == []
    await check(orders, orchestrator)


async def test_a_deposit_after_an_execution_is_not_taken_for_its_source(
    orchestrator: RunningService, build: Builder
) -> None:
    """A deposit that is heard of first and came later on the chain covers only what follows it there."""
    past = history([(PAY, 5, 1), (DEPOSIT, 5, 0), (PAY, 5, 1)], [], [])
    order = Order(build, past)
    async with orchestrator.runtime.transaction() as tx:
        await order.insert(tx)
    for act in (past.stay[1], past.stay[0], past.stay[2]):
        await hear([order.told(act)], orchestrator)
    await check([order], orchestrator)
    rows = await orchestrator.runtime.database.fetch(
        "SELECT kind, account FROM journal JOIN posting USING (journal_id)"
        " WHERE kind IN ('payment', 'source') AND line = 1 ORDER BY block_number"
    )
    assert [(row["kind"], row["account"]) for row in rows] == [
        ("payment", f"wallet:{PAYER}"),
        ("payment", f"escrow:{order.order_hash}"),
    ]
