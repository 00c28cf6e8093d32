"""Chain against ledger: the comparison, and what a difference does to payments of the asset."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import datetime
from itertools import permutations
from typing import Any
from uuid import UUID, uuid4

import orjson
import pytest
import pytest_asyncio
from aiohttp import web
from aiohttp.test_utils import TestServer
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import REGISTRY

from snowrail_events import (
    PaymentUpdatedV1,
    RouteSelectedV1,
    SettlementExecuteV1,
    TransactionFinalV1,
    TransactionOrphanedV1,
)
from snowrail_events.parts import EscrowLog
from snowrail_kit.audit import verify
from snowrail_kit.auth import Identity
from snowrail_payment_orchestrator.app import service
from snowrail_payment_orchestrator.domain import (
    PLATFORM_FEES,
    Posting,
    escrow_account,
    payment_postings,
    reversed_postings,
    transfer_postings,
    wallet_account,
)
from snowrail_payment_orchestrator.metrics import HALTED
from snowrail_payment_orchestrator.reconciliation import (
    ChainFigures,
    Difference,
    LedgerFigures,
    compare,
)
from snowrail_payment_orchestrator.settings import Settings
from snowrail_testkit import Broker, Builder, CreateDatabase, RunningService, eventually, running_service

from .test_saga import Saga

TOKEN = "31337:0x" + "11" * 20
NATIVE = "0x" + "0" * 40
TX = "0x" + "a1" * 32

figures = st.integers(0, 10**24)
acts = st.lists(
    st.tuples(st.sampled_from(["deposit", "pay", "refund"]), st.sampled_from("abc"), st.integers(1, 10**6)),
    max_size=40,
)


def play(history: list[tuple[str, str, int]], takes_back: set[int]) -> tuple[ChainFigures, LedgerFigures]:
    """Let orders be funded, paid and refunded on a model of the escrow, and in the ledger's own postings.

    Acts whose number is in `takes_back` happened in blocks that left the chain again.
    """
    deposits: dict[str, int] = {}
    held = executed = fees = 0
    journals: list[tuple[bool, tuple[Posting, ...]]] = []
    for number, (name, order, atoms) in enumerate(history):
        account, left = escrow_account(order), deposits.get(order, 0)
        fee = atoms // 100
        if number in takes_back:
            lines = transfer_postings(wallet_account("p"), account, TOKEN, atoms)
            journals += [(False, lines), (False, reversed_postings(lines))]
        elif name == "deposit":
            deposits[order] = left + atoms
            held += atoms
            journals.append((False, transfer_postings(wallet_account("p"), account, TOKEN, atoms)))
        elif name == "refund" and left:
            deposits[order] = 0
            held -= left
            journals.append((False, transfer_postings(account, wallet_account("p"), TOKEN, left)))
        elif name == "pay":
            source = account if left >= atoms + fee else wallet_account("p")
            if source == account:
                deposits[order] = left - atoms - fee
                held -= atoms
            else:
                held += fee
            fees += fee
            executed += atoms + fee
            journals.append((True, payment_postings(source, "r", TOKEN, atoms, fee)))
    lines = [line for _, postings in journals for line in postings]
    paid = [line for is_payment, postings in journals if is_payment for line in postings]
    chain = ChainFigures(held, fees, sum(deposits.values()), executed)
    ledger = LedgerFigures(
        sum(line.atoms for line in lines if line.account.startswith("escrow:")),
        sum(line.atoms for line in paid if line.atoms > 0),
    )
    assert sum(line.atoms for line in lines if line.account == PLATFORM_FEES) == fees
    return chain, ledger


@given(acts, st.sets(st.integers(0, 40)))
def test_whatever_happens_chain_and_ledger_agree(
    history: list[tuple[str, str, int]], takes_back: set[int]
) -> None:
    comparison = compare(*play(history, takes_back))
    assert comparison.agrees
    assert comparison.unsolicited == 0


@given(acts, st.integers(1, 10**6))
def test_money_that_leaves_without_an_event_is_a_deficit_whatever_happened_before(
    history: list[tuple[str, str, int]], stolen: int
) -> None:
    chain, ledger = play(history, set())
    found = compare(ChainFigures(chain.held - stolen, chain.fees, chain.owed, chain.executed), ledger)
    assert found.differences == {Difference.DEFICIT: -stolen}


@given(acts, st.integers(1, 10**6))
def test_money_that_nobody_asked_for_halts_nothing(history: list[tuple[str, str, int]], gift: int) -> None:
    chain, ledger = play(history, set())
    found = compare(ChainFigures(chain.held + gift, chain.fees, chain.owed, chain.executed), ledger)
    assert found.agrees
    assert found.unsolicited == gift


@given(figures, figures, figures, figures, figures, figures)
def test_every_other_figure_must_be_equal(
    held: int, fees: int, owed: int, executed: int, ledger_owed: int, ledger_executed: int
) -> None:
    found = compare(ChainFigures(held, fees, owed, executed), LedgerFigures(ledger_owed, ledger_executed))
    assert (Difference.DEFICIT in found.differences) == (held - fees < owed)
    assert found.differences.get(Difference.DEPOSITS, 0) == owed - ledger_owed
    assert found.differences.get(Difference.EXECUTIONS, 0) == executed - ledger_executed
    assert found.agrees == (not found.explain())


@dataclass
class Monitor:
    """Stands for chain-monitor's internal interface; figures are those of the token."""

    url: str = ""
    held: int = 0
    owed: int = 0
    executed: int = 0
    block_number: int = 100
    changed: bool = False
    is_away: bool = False
    reads: int = 0
    extra: dict[str, Any] = field(default_factory=dict[str, Any])

    async def handle(self, request: web.Request) -> web.Response:
        """Answer as chain-monitor does."""
        if self.is_away:
            return web.Response(status=503)
        if request.path == "/internal/chains":
            return web.json_response([31337])
        if request.path.endswith("/changed"):
            return web.json_response(self.changed)
        self.reads += 1
        asset = {
            "token": TOKEN,
            "held": str(self.held),
            "fees": "0",
            "owed": str(self.owed),
            "executed": str(self.executed),
            "executions": 0,
        }
        body = {"chain_id": 31337, "block_number": self.block_number, "block_hash": "0x", "version": 7}
        return web.Response(body=orjson.dumps({**body, "assets": [asset]}))


@pytest_asyncio.fixture(loop_scope="session")
async def monitor() -> AsyncIterator[Monitor]:
    """A chain whose escrow is empty at first."""
    found = Monitor()
    application = web.Application()
    application.router.add_get("/{path:.*}", found.handle)
    async with TestServer(application) as server:
        found.url = str(server.make_url(""))
        yield found


@pytest.fixture
def patience_seconds() -> float:
    """After so long a difference halts a token; a test in which none may takes longer."""
    return 1


@pytest_asyncio.fixture(loop_scope="session")
async def orchestrator(
    broker: Broker, create_database: CreateDatabase, monitor: Monitor, patience_seconds: float
) -> AsyncIterator[RunningService]:
    """The orchestrator, comparing several times a second."""
    database = await create_database("snowrail_payment_orchestrator")
    settings = broker.settings(
        Settings,
        "payment-orchestrator",
        database,
        chain_monitor_url=monitor.url,
        reconcile_every_seconds=60,
        reconcile_check_seconds=0.1,
        reconcile_patience_seconds=patience_seconds,
        halted_retry_seconds=0.2,
    )
    async with running_service(service, settings) as running:

        class Everybody:
            def verify(self, token: str, now: datetime) -> Identity:
                roles = frozenset(token.split(","))
                return Identity(UUID(int=7), "alice", "0x", roles, UUID(int=8), UUID(int=9), now)

        running.runtime.verifier = Everybody()
        yield running


async def comparison(orchestrator: RunningService) -> dict[str, Any] | None:
    """The token's comparison as administrators see it."""
    answer = await orchestrator.http.get("/ledger/reconciliation", headers={"Authorization": "Bearer admin"})
    assert answer.status_code == 200, answer.text
    found = answer.json()
    return found[0] if found else None


async def halted(orchestrator: RunningService) -> dict[str, Any]:
    """Wait until the token is halted."""

    async def is_halted() -> Any:
        found = await comparison(orchestrator)
        return found if found and found["halted_reason"] else None

    return await eventually(is_halted)


async def resume(orchestrator: RunningService, key: str, roles: str = "admin") -> Any:
    """Have somebody resume the token."""
    headers = {"Authorization": f"Bearer {roles}", "Idempotency-Key": key}
    body = {"token": TOKEN, "reason": "looked at it"}
    return await orchestrator.http.post("/ledger/assets/resume", json=body, headers=headers)


def funded(saga: Saga, atoms: int, block_number: int) -> dict[str, Any]:
    """A final deposit."""
    log = EscrowLog(
        log_index=3,
        name="funded",
        order_hash=saga.due.order_hash,
        payer=saga.due.order.payer,
        token=TOKEN.partition(":")[2],
        amount=atoms,
    )
    return {"logs": (log,), "tx_hash": TX, "block_hash": "0x" + "b1" * 32, "block_number": block_number}


@pytest.mark.parametrize("patience_seconds", [60])
async def test_a_ledger_that_is_late_is_waited_for(
    broker: Broker, build: Builder, orchestrator: RunningService, monitor: Monitor
) -> None:
    saga = Saga(broker, build, orchestrator, TOKEN)
    monitor.held = monitor.owed = 50
    await eventually(lambda: _differs(orchestrator))
    monitor.block_number, monitor.held, monitor.owed = 200, 80, 80
    await saga.publish(TransactionFinalV1, **funded(saga, 50, 100))

    async def agrees() -> bool:
        found = await comparison(orchestrator)
        return found is not None and not found["differences"] and found["owed_in_ledger"] == "50"

    await eventually(agrees)
    found = await comparison(orchestrator)
    assert found is not None
    assert (found["block_number"], found["halted_reason"]) == (100, None)
    assert monitor.reads >= 1


async def _differs(orchestrator: RunningService) -> bool:
    found = await comparison(orchestrator)
    return found is not None and found["differs_since"] is not None


async def test_postings_of_later_blocks_are_left_out(
    broker: Broker, build: Builder, orchestrator: RunningService, monitor: Monitor
) -> None:
    saga = Saga(broker, build, orchestrator, TOKEN)
    monitor.is_away = True
    await saga.publish(TransactionFinalV1, **funded(saga, 50, 101))

    async def recorded() -> bool:
        return await saga.balance(f"escrow:{saga.due.order_hash}") == 50

    await eventually(recorded)
    monitor.is_away = False
    found = await eventually(lambda: comparison(orchestrator))
    assert (found["differences"], found["owed_in_ledger"]) == ({}, "0")


async def test_a_difference_that_stays_halts_the_asset_until_somebody_resumes_it(
    broker: Broker, build: Builder, orchestrator: RunningService, monitor: Monitor
) -> None:
    monitor.executed = 9  # something was executed that the ledger knows nothing of
    found = await halted(orchestrator)
    assert found["differences"] == {"executions": "9"}
    assert "executions: +9 atoms" in found["halted_reason"]

    async def is_shown() -> bool:
        metrics = (await orchestrator.http.get("/metrics")).text
        return f'snowrail_asset_halted{{token="{TOKEN}"}} 1.0' in metrics

    await eventually(is_shown)
    saga = Saga(broker, build, orchestrator, TOKEN)
    await saga.probe.publish(saga.due)
    await saga.assess("allow")
    (updated,) = await broker.probe.collect(PaymentUpdatedV1, 1)
    assert (updated.status, updated.step, updated.reasons) == ("approved", "asset_halted", ("asset_halted",))
    row = await saga.database.fetch_row("SELECT code, status FROM payment")
    assert row is not None
    assert (row["code"], row["status"]) == ("asset_halted", "approved")
    await saga.publish(RouteSelectedV1, attempt=1, rail="evm_escrow", decision_id=uuid4())
    assert (await resume(orchestrator, "a", roles="user")).status_code == 403
    assert await broker.probe.count(SettlementExecuteV1) == 0
    monitor.executed, monitor.changed = 0, True
    await eventually(lambda: _agrees(orchestrator))
    found = await comparison(orchestrator)
    assert found is not None
    assert found["halted_reason"], "nothing but a person resumes"
    HALTED.remove(TOKEN)  # as where another replica has compared until now, and nothing is due

    async def is_shown_again() -> bool:
        return REGISTRY.get_sample_value("snowrail_asset_halted", {"token": TOKEN}) == 1

    await eventually(is_shown_again)
    answer = await resume(orchestrator, "b")
    assert answer.status_code == 200, answer.text
    assert (await resume(orchestrator, "b")).json() == answer.json()
    assert (await resume(orchestrator, "c")).json()["code"] == "asset_not_halted"
    await saga.route()
    assert await broker.probe.count(SettlementExecuteV1) == 1
    acts = await saga.database.fetch("SELECT actor, action, subject FROM audit_entry ORDER BY position")
    assert [(row["action"], row["subject"]) for row in acts] == [
        ("asset.halted", TOKEN),
        ("asset.resumed", TOKEN),
    ]
    assert [row["actor"] for row in acts] == ["payment-orchestrator", str(UUID(int=7))]
    assert (await verify(saga.database)).broken_at is None


async def _agrees(orchestrator: RunningService) -> bool:
    found = await comparison(orchestrator)
    return found is not None and not found["differences"]


async def test_a_deficit_halts_at_once_and_other_tokens_go_on(
    broker: Broker, build: Builder, orchestrator: RunningService, monitor: Monitor
) -> None:
    monitor.owed, monitor.held = 10, 9
    found = await halted(orchestrator)
    assert found["differences"]["deficit"] == "-1"
    saga = Saga(broker, build, orchestrator, f"31337:{NATIVE}")
    await saga.reach_executing()


async def test_without_chain_monitor_nothing_is_judged(
    orchestrator: RunningService, monitor: Monitor
) -> None:
    monitor.is_away = True
    monitor.owed = 10

    async def asked_again() -> bool:
        return monitor.reads == 0

    await eventually(asked_again)
    found = await comparison(orchestrator)
    assert found is None or found["halted_reason"] is None


@pytest.mark.parametrize("order", list(permutations((1, 2, 3))))
async def test_a_block_that_returns_counts_again_and_once_in_whatever_order_it_is_heard(
    broker: Broker, build: Builder, orchestrator: RunningService, order: tuple[int, ...]
) -> None:
    """Final in version 1, gone in version 2, back and final in version 3: the newest version decides."""
    saga = Saga(broker, build, orchestrator, TOKEN)
    deposit = funded(saga, 50, 100)
    heard: list[int] = []
    for version in order:
        event = TransactionOrphanedV1 if version == 2 else TransactionFinalV1
        fields = {**deposit, "chain_id": 31337}
        await broker.probe.publish(build(event, **fields), version=version)
        heard.append(version)
        expected = 0 if max(heard) == 2 else 50

        async def counts(version: int = version, expected: int = expected) -> bool:
            row = await saga.database.fetch_row("SELECT max(version) AS newest FROM chain_credit")
            assert row is not None
            is_heard = row["newest"] is not None and row["newest"] >= version
            return is_heard and await saga.balance(f"escrow:{saga.due.order_hash}") == expected

        await eventually(counts)
    await asyncio.sleep(0.3)
    assert await saga.balance(f"escrow:{saga.due.order_hash}") == 50
    row = await saga.database.fetch_row("SELECT left_after FROM order_movement")
    assert row is not None
    assert row["left_after"] == 50


async def test_a_deposit_that_is_heard_of_after_its_execution_halts_nothing(
    broker: Broker, build: Builder, orchestrator: RunningService, monitor: Monitor
) -> None:
    monitor.is_away = True
    saga = Saga(broker, build, orchestrator, TOKEN)
    amount, payer = saga.due.order.amount, f"wallet:{saga.due.order.payer}"
    monitor.executed = amount
    await saga.reach_executing()
    await saga.executed(block_number=90)
    await saga.until("succeeded")
    assert await saga.balance(payer) == -amount, "no deposit is known of yet"
    await saga.publish(TransactionFinalV1, **funded(saga, amount, 89))

    async def recorded() -> bool:
        return len(await saga.database.fetch("SELECT 1 FROM journal WHERE kind = 'funded'")) == 1

    await eventually(recorded)
    assert await saga.balance(f"escrow:{saga.due.order_hash}") == 0
    assert await saga.balance(payer) == -amount
    assert await saga.balance(f"wallet:{saga.due.order.recipient}") == amount
    monitor.is_away = False
    found = await eventually(lambda: comparison(orchestrator))
    assert (found["differences"], found["executed_in_ledger"]) == ({}, str(amount))
