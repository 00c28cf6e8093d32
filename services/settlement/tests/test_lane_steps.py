"""Single passes of a lane over a real database, against a node whose every answer the test decides."""

from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import pytest
import pytest_asyncio
from prometheus_client import REGISTRY
from pydantic import SecretStr

from snowrail_chain.addresses import checksum_address
from snowrail_chain.config import ChainConfig, TokenConfig
from snowrail_chain.deploy import write_chains_file
from snowrail_chain.eip712 import Order, order_hash
from snowrail_chain.rpc import RpcTimeout, transaction_hash
from snowrail_chain.send import SendOutcome, SendResult
from snowrail_chain.signer import (
    LocalSigner,
    SignedTransaction,
    SigningFailed,
    Transaction,
    effect_digest,
    read_transaction,
)
from snowrail_events import TransactionFinalV1, TransactionIncludedV1
from snowrail_kit.delivery import Delivery, Envelope
from snowrail_kit.problems import Problem
from snowrail_kit.service import Runtime
from snowrail_settlement.app import compose
from snowrail_settlement.clients import Account, Network
from snowrail_settlement.domain.command import Command
from snowrail_settlement.domain.lane import FactStatus
from snowrail_settlement.metrics import LANE_STUCK
from snowrail_settlement.settings import Settings
from snowrail_settlement.store import items, lanes
from snowrail_settlement.store.items import NewItem
from snowrail_settlement.usecases import facts
from snowrail_settlement.usecases.lane import run_lane
from snowrail_settlement.usecases.operator import Replaced, cancel_nonce, raise_fee_now
from snowrail_settlement.usecases.parts import LaneWorker, Parts
from snowrail_settlement.usecases.upkeep import keep_up
from snowrail_testkit import CreateDatabase, FakeClock, SequentialIds
from snowrail_testkit.escrow import EXECUTOR_KEY

CHAIN_ID = 31337
SIGNER = LocalSigner(bytes.fromhex(EXECUTOR_KEY[2:]), CHAIN_ID).address
PAYER, RECIPIENT, ESCROW, USDC = (checksum_address(bytes([number]) * 20) for number in (1, 2, 3, 4))
FOREIGN = "0x" + "f" * 64
GWEI = 10**9


@dataclass
class FakeNode:
    """A node with one account.

    Attributes:
        known: Hashes it has.
        answers: What it says to the next sent transactions; afterwards it takes them.
        sent: Everything it was sent.
    """

    height: int = 100
    base_fee: int = GWEI
    nonce: int = 0
    pending_nonce: int = 0
    known: set[str] = field(default_factory=set[str])
    answers: list[SendOutcome] = field(default_factory=list[SendOutcome])
    sent: list[bytes] = field(default_factory=list[bytes])
    is_silent: bool = False

    async def network(self) -> Network:
        """See `Node.network`."""
        return Network(self.height, self.base_fee)

    async def account(self, address: str) -> Account:
        """See `Node.account`."""
        if self.is_silent:
            raise RpcTimeout("no answer")
        return Account(self.nonce, self.pending_nonce, 10**20)

    async def knows_any(self, hashes: Sequence[str]) -> bool:
        """See `Node.knows_any`."""
        return not self.known.isdisjoint(hashes)

    async def contracts_among(self, addresses: Sequence[str]) -> set[str]:
        """See `Node.contracts_among`."""
        return set()

    async def send(self, raw: bytes) -> SendResult:
        """See `Node.send`."""
        self.sent.append(raw)
        if self.answers:
            return SendResult(self.answers.pop(0), transaction_hash(raw), "as the test wants")
        self.known.add(transaction_hash(raw))
        return SendResult(SendOutcome.ACCEPTED, transaction_hash(raw))

    async def simulate(
        self, sender: str, escrow: str, calls: Sequence[bytes], gas: int
    ) -> list[bytes | None]:
        """See `Node.simulate`."""
        return [None] * len(calls)

    def suspect(self) -> None:
        """There is no other."""

    async def close(self) -> None:
        """Nothing is open."""


@dataclass
class Bench:
    """A lane in the test's hands."""

    runtime: Runtime[Settings]
    parts: Parts
    worker: LaneWorker
    node: FakeNode
    clock: FakeClock

    async def run(self, seconds: float = 1) -> None:
        """Let time pass, and run passes until the lane has nothing more to do."""
        self.clock.advance(seconds)
        for _ in range(10):
            if not await run_lane(self.parts, self.worker):
                return
        raise AssertionError("the lane never rests")

    async def add(self, **terms: Any) -> None:
        """Add a payment."""
        values: dict[str, Any] = {"max_gas_price": 10**12, "valid_until": 2**40, **terms}
        order = Order(
            payer=PAYER,
            recipient=RECIPIENT,
            token=USDC,
            amount=1,
            valid_after=0,
            safety_buffer=0,
            min_interval=0,
            max_executions=1,
            max_fee=0,
            salt=uuid4().bytes * 2,
            **values,
        )
        command = Command(
            item_id=uuid4(),
            payment_id=uuid4(),
            attempt=1,
            intent_id=uuid4(),
            user_id=uuid4(),
            chain_id=CHAIN_ID,
            escrow=ESCROW,
            order_hash=f"0x{order_hash(order).hex()}",
            occurrence=0,
            order=order,
            signature=bytes(65),
        )
        async with self.runtime.transaction() as tx:
            await items.insert_items(tx, [NewItem(command, None, None)])

    async def tell(
        self, kind: FactStatus, version: int, tx_hash: str, nonce: int = 0, **changes: Any
    ) -> None:
        """Tell a fact without logs about a transaction of the signer."""
        event = {FactStatus.INCLUDED: TransactionIncludedV1, FactStatus.FINAL: TransactionFinalV1}[kind](
            chain_id=CHAIN_ID,
            tx_hash=tx_hash,
            sender=SIGNER,
            nonce=nonce,
            succeeded=False,
            block_number=50,
            block_hash="0x" + "a" * 64,
            block_time=self.clock.now(),
            logs=(),
        )
        envelope = Envelope(uuid4(), type(event).subject, "chain-monitor", version=version)
        async with self.runtime.transaction() as tx:
            await facts.apply_facts([Delivery(envelope, event, b"")], tx, kind)

    async def fetch(self, query: str) -> list[Any]:
        """Read rows."""
        return await self.runtime.database.fetch(query)

    async def lane(self) -> Any:
        """The lane's row."""
        (row,) = await self.fetch("SELECT * FROM lane")
        return row

    async def states(self, table: str = "lane_transaction") -> list[str]:
        """States of transactions or items, oldest first."""
        order = "nonce, max_fee_per_gas" if table == "lane_transaction" else "sequence"
        return [row["state"] for row in await self.fetch(f"SELECT state FROM {table} ORDER BY {order}")]

    async def hashes(self) -> list[str]:
        """Hashes of transactions, oldest first."""
        rows = await self.fetch("SELECT tx_hash FROM lane_transaction ORDER BY nonce, max_fee_per_gas")
        return [row["tx_hash"] for row in rows]


def restart(bench: Bench) -> None:
    """Have the lane begin as in a new process."""
    old = bench.worker
    bench.worker = LaneWorker(old.lane_id, old.chain, old.signer, bench.node)


@pytest_asyncio.fixture(loop_scope="session")
async def bench(
    create_database: CreateDatabase, tmp_path: Path, clock: FakeClock, ids: SequentialIds
) -> AsyncGenerator[Bench]:
    """A lane on a chain whose nodes replace transactions."""
    database = await create_database("snowrail_settlement")
    chain = ChainConfig(
        chain_id=CHAIN_ID,
        name="Test chain",
        rpc_urls=("http://127.0.0.1:1",),
        confirmations=2,
        block_time_seconds=1,
        escrow=ESCROW,
        executors=(SIGNER,),
        tokens=(TokenConfig(symbol="USDC", address=USDC, decimals=6),),
    )
    write_chains_file(tmp_path / "chains.json", [chain])
    settings = Settings(
        database_url=SecretStr(database.url),
        chains_file=tmp_path / "chains.json",
        executor_key=SecretStr(f"{EXECUTOR_KEY},{'77' * 32}"),
        replacement_chains=(CHAIN_ID,),
    )
    runtime = Runtime("settlement", settings, clock, ids, with_database=True)
    await runtime.database.open()
    parts = compose(runtime)
    (worker,) = parts.workers.values()
    node = FakeNode()
    worker.node = node
    bench = Bench(runtime, parts, worker, node, clock)
    await bench.run()
    await bench.run()
    yield bench
    await runtime.database.close()


async def test_a_payment_is_collected_signed_and_sent(bench: Bench) -> None:
    await bench.add()
    await bench.run(0)
    assert await bench.states("item") == ["created"]  # others may still join it
    await bench.run()
    assert (await bench.states("item"), await bench.states()) == (["submitted"], ["broadcast"])
    await bench.run()
    assert len(bench.node.sent) == 1


async def test_everything_that_is_not_final_goes_again_after_a_restart_in_order(bench: Bench) -> None:
    for _ in range(3):
        await bench.add()
        await bench.run()
    first, second, third = await bench.hashes()
    await bench.tell(FactStatus.FINAL, 1, first, nonce=0)
    await bench.tell(FactStatus.INCLUDED, 1, second, nonce=1)
    bench.node.sent.clear()
    restart(bench)
    await bench.run()
    assert [transaction_hash(raw) for raw in bench.node.sent] == [third]  # the node has the second
    bench.node.sent.clear()
    bench.node.known.clear()
    restart(bench)
    await bench.run()
    assert [transaction_hash(raw) for raw in bench.node.sent] == [second, third]
    assert await bench.states() == ["final", "included", "broadcast"]


class SpoiltSigner:
    """A signer that is out of reach.

    Attributes:
        asked: How often it was asked to sign.
    """

    address = SIGNER

    def __init__(self) -> None:
        self.asked = 0

    async def sign_transaction(
        self, transaction: Transaction, *, operator_self_transfer: bool = False
    ) -> SignedTransaction:
        """See `Signer.sign_transaction`."""
        self.asked += 1
        raise SigningFailed("out of reach")


def shown(gauge: str, signer: str) -> float | None:
    """What a gauge of a signer's lane shows."""
    labels = {"chain": str(CHAIN_ID), "signer": signer}
    return REGISTRY.get_sample_value(f"snowrail_lane_{gauge}", labels)


async def test_a_signer_that_is_down_is_asked_ever_more_rarely_and_holds_up_nobody_else(bench: Bench) -> None:
    """It is asked at 0, 1, 2, 4, 8, 16, 32 and 62 s; meanwhile the other signer takes the other payments."""
    signer = bench.worker.signer
    bench.worker.signer = spoilt = SpoiltSigner()
    await bench.add()
    await bench.run()
    asked_at: list[int] = []
    for second in range(1, 70):
        before = spoilt.asked
        await bench.run()
        if spoilt.asked > before:
            asked_at.append(second)
        LANE_STUCK.remove(str(CHAIN_ID), SIGNER)  # as where another replica had the lane until now
    await bench.run(0)
    assert asked_at == [1, 2, 4, 8, 16, 32, 62]
    assert shown("signer_pause_seconds", SIGNER) == 30
    assert shown("stuck", SIGNER) == 1
    (trouble,) = (await bench.lane())["troubles"]
    assert trouble == "nonce 0: the signer does not sign: out of reach"

    other_key = LocalSigner(b"\x77" * 32, CHAIN_ID)
    other = LaneWorker(uuid4(), bench.worker.chain, other_key, FakeNode())
    parts = replace(bench.parts, workers={worker.lane_id: worker for worker in (bench.worker, other)})
    await run_lane(parts, other)  # the lane begins
    await bench.add()
    bench.clock.advance(1)
    for _ in ("sign", "send"):
        await run_lane(parts, other)
    assert await bench.states("item") == ["assigned", "submitted"]
    assert shown("signer_pause_seconds", other_key.address) == 0

    bench.worker.signer = signer
    await bench.run(21)
    assert await bench.states("item") == ["assigned", "submitted"]
    await bench.run()
    assert await bench.states("item") == ["submitted", "submitted"]
    assert shown("signer_pause_seconds", SIGNER) == 0


async def test_a_taken_nonce_is_signed_for_later_and_never_given_to_others(bench: Bench) -> None:
    signer, bench.worker.signer = bench.worker.signer, SpoiltSigner()
    await bench.add()
    await bench.run()
    await bench.add()
    await bench.run(200)
    await keep_up(bench.parts)
    assert await bench.states("item") == ["assigned", "created"]  # nothing signed: nobody is in doubt
    assert await bench.states() == []
    (trouble,) = (await bench.lane())["troubles"]
    assert trouble == "nonce 0: the signer does not sign: out of reach"
    (reserved,) = await bench.fetch("SELECT effect FROM lane_nonce")
    bench.worker.signer = signer
    restart(bench)
    await bench.run()
    first, second = map(read_transaction, bench.node.sent)
    assert (first.nonce, second.nonce, effect_digest(first)) == (0, 1, reserved["effect"])
    assert await bench.states("item") == ["submitted", "submitted"]
    assert await bench.fetch("SELECT * FROM lane_unsigned") == []


async def test_a_taken_nonce_that_somebody_else_uses_up_is_not_signed_for(bench: Bench) -> None:
    signer, bench.worker.signer = bench.worker.signer, SpoiltSigner()
    await bench.add()
    await bench.run()
    await bench.tell(FactStatus.FINAL, 1, FOREIGN)
    assert await bench.states("item") == ["failed"]
    assert (await bench.lane())["state"] == "frozen"
    bench.worker.signer = signer
    await bench.run()
    assert await bench.states() == []
    await bench.fetch("UPDATE lane SET state = 'active'")
    # what can never be signed for takes no place among those in flight
    settings = bench.parts.settings.model_copy(update={"in_flight_transactions": 1})
    bench.parts = replace(bench.parts, settings=settings)
    await bench.add()
    await bench.run()
    (sent,) = map(read_transaction, bench.node.sent)
    assert sent.nonce == 1


async def test_the_signer_refuses_a_second_effect_for_a_nonce_after_a_restart_too(bench: Bench) -> None:
    await bench.fetch(
        f"INSERT INTO signing_ledger VALUES ({CHAIN_ID}, '{SIGNER}', 0, sha256('something else'), now())"
    )
    restart(bench)
    await bench.add()
    await bench.run()
    (trouble,) = (await bench.lane())["troubles"]
    assert trouble == "nonce 0: the signer does not sign: nonce 0 was signed for another effect"
    assert await bench.states("item") == ["assigned"]
    assert bench.node.sent == []


async def test_what_a_nonce_is_signed_for_is_recorded_before(bench: Bench) -> None:
    await bench.add()
    await bench.run()
    (row,) = await bench.fetch(
        "SELECT ledger.effect = slot.effect AS is_same, ledger.recorded_at <= signed.signed_at AS is_before"
        " FROM signing_ledger AS ledger JOIN lane_nonce AS slot USING (chain_id, signer, nonce)"
        " JOIN lane_transaction AS signed USING (chain_id, signer, nonce)"
    )
    assert (row["is_same"], row["is_before"]) == (True, True)


async def test_a_nonce_past_our_own_freezes_the_lane_even_before_any_fact(bench: Bench) -> None:
    bench.node.nonce = 2
    await bench.add()
    await bench.run(20)
    lane = await bench.lane()
    assert (lane["state"], lane["reason"]) == ("frozen", "nonce 0 was used elsewhere")
    assert await bench.states("item") == ["created"]


async def test_a_nonce_that_a_fact_names_is_not_signed_for(bench: Bench) -> None:
    await bench.fetch(
        f"INSERT INTO observation VALUES"
        f" ({CHAIN_ID}, '{FOREIGN}', 1, 'included', '{SIGNER}', 0, true, 5, '0x')"
    )
    await bench.add()
    await bench.run()
    assert await bench.states("item") == ["created"]
    assert (await bench.lane())["troubles"] == ["nonce 0 was used elsewhere"]


async def test_a_lane_paused_in_the_middle_of_a_pass_signs_nothing(bench: Bench) -> None:
    await bench.add()

    async def pause() -> Network:
        await bench.fetch("UPDATE lane SET state = 'paused', reason = 'by hand'")
        return Network(100, GWEI)

    bench.node.network = pause  # type: ignore[method-assign]
    await bench.run()
    assert await bench.states("item") == ["created"]
    assert (await bench.lane())["next_nonce"] == 0


async def test_what_a_node_kept_although_it_refused_the_copy_is_accepted(bench: Bench) -> None:
    await bench.add()
    await bench.run()
    bench.node.answers = [SendOutcome.UNDERPRICED]
    await bench.run(16)
    assert len(bench.node.sent) == 2
    assert await bench.states() == ["broadcast"]
    assert (await bench.lane())["troubles"] == []


async def test_silence_after_silence_is_no_verdict(bench: Bench) -> None:
    await bench.add()
    bench.node.answers = [SendOutcome.UNKNOWN]
    bench.clock.advance(1)
    assert await run_lane(bench.parts, bench.worker)
    bench.node.is_silent = True
    await bench.run(0)
    assert await bench.states() == ["ambiguous"]
    (trouble,) = (await bench.lane())["troubles"]
    assert "then no answer" in trouble
    bench.node.is_silent = False
    await bench.run()
    assert await bench.states() == ["broadcast"]
    assert len(set(bench.node.sent)) == 1


async def test_a_nonce_lost_for_good_is_learnt_even_when_the_fact_came_first(bench: Bench) -> None:
    await bench.add()
    bench.clock.advance(1)
    assert await run_lane(bench.parts, bench.worker)  # signed, not sent
    await bench.fetch(
        f"INSERT INTO observation VALUES ({CHAIN_ID}, '{FOREIGN}', 1, 'final', '{SIGNER}', 0, true, 5, '0x')"
    )
    bench.node.nonce = 1
    bench.node.answers = [SendOutcome.NONCE_TOO_LOW]
    await bench.run(0)
    assert await bench.states() == ["dead"]
    (item,) = await bench.fetch("SELECT state, code FROM item")
    assert (item["state"], item["code"]) == ("failed", "nonce_taken")


async def test_a_bid_too_low_is_raised_and_both_bids_are_remembered(bench: Bench) -> None:
    await bench.add()
    bench.node.answers = [SendOutcome.UNDERPRICED]
    await bench.run()
    bench.node.base_fee = 3 * GWEI
    await bench.run()
    await bench.run()
    first, second = (read_transaction(raw) for raw in (bench.node.sent[0], bench.node.sent[-1]))
    assert second.max_fee_per_gas > first.max_fee_per_gas
    assert (second.nonce, second.data, second.to) == (first.nonce, first.data, first.to)
    assert await bench.states("item") == ["submitted"]


async def test_a_node_that_keeps_what_was_to_be_replaced_holds_nobody_up(bench: Bench) -> None:
    await bench.add()
    await bench.run()
    await bench.run(61)  # the replacement is signed
    bench.node.answers = [SendOutcome.UNDERPRICED]
    await bench.run()
    assert len(await bench.states()) == 2
    await bench.add()
    await bench.run(2)
    assert await bench.states("item") == ["submitted", "submitted"]


async def test_what_a_block_holds_by_now_is_not_replaced(bench: Bench) -> None:
    await bench.add()
    await bench.run()
    (known,) = await bench.hashes()

    async def include() -> Network:
        await bench.tell(FactStatus.INCLUDED, 1, known)
        return Network(100, GWEI)

    bench.node.network = include  # type: ignore[method-assign]
    await bench.run(61)
    assert await bench.states() == ["included"]


async def test_an_old_fact_in_the_same_batch_does_not_hide_a_newer_one(bench: Bench) -> None:
    await bench.add()
    await bench.run()
    (known,) = await bench.hashes()
    deliveries: list[Delivery[Any]] = []
    for version, block in ((5, "b"), (3, "a")):
        event = TransactionIncludedV1(
            chain_id=CHAIN_ID,
            tx_hash=known,
            sender=SIGNER,
            nonce=0,
            succeeded=True,
            block_number=50,
            block_hash="0x" + block * 64,
            block_time=bench.clock.now(),
            logs=(),
        )
        envelope = Envelope(uuid4(), type(event).subject, "chain-monitor", version=version)
        deliveries.append(Delivery(envelope, event, b""))
    async with bench.runtime.transaction() as tx:
        await facts.apply_facts(deliveries, tx, FactStatus.INCLUDED)
    (row,) = await bench.fetch("SELECT version, block_hash FROM observation")
    assert (row["version"], row["block_hash"][2]) == (5, "b")


async def test_an_order_that_expires_unsigned_fails_and_one_that_is_signed_does_not(bench: Bench) -> None:
    soon = int(bench.clock.now().timestamp()) + 30
    await bench.add(valid_until=soon)
    await bench.run()
    await bench.add(valid_until=soon, max_gas_price=1)
    bench.clock.advance(60)
    await keep_up(bench.parts)
    rows = await bench.fetch("SELECT state, code FROM item ORDER BY sequence")
    assert [(row["state"], row["code"]) for row in rows] == [("submitted", None), ("failed", "order_expired")]


@pytest.mark.parametrize("seconds", [0.5, 2.0])
async def test_the_latest_block_is_asked_for_again_after_a_second(bench: Bench, seconds: float) -> None:
    await bench.add()
    await bench.run()
    bench.node.base_fee = 5 * GWEI
    await bench.add()
    await bench.run(seconds)
    fee = read_transaction(bench.node.sent[-1]).max_fee_per_gas
    assert fee == (3 * GWEI if seconds < 1 else 11 * GWEI)


async def test_a_balance_that_full_transactions_would_use_up_is_told(bench: Bench) -> None:
    bench.node.base_fee = 5_000 * GWEI
    await bench.add(max_gas_price=10**14)
    await bench.run(20)
    assert await bench.states("item") == ["submitted"]
    assert any("only 100000000000000000000 wei" in trouble for trouble in (await bench.lane())["troubles"])


async def operate(bench: Bench, act: Any, *arguments: Any) -> Replaced:
    """Do what an administrator does about nonce 0."""
    async with bench.runtime.transaction() as tx:
        lane = await lanes.lock_lane(tx, bench.worker.lane_id)
        assert lane is not None
        return await act(bench.parts, tx, lane, 0, *arguments)


async def test_an_administrator_raises_a_fee_at_once(bench: Bench) -> None:
    with pytest.raises(Problem, match="Nothing is signed"):
        await operate(bench, raise_fee_now)
    await bench.add()
    await bench.run()
    (first,) = await bench.hashes()
    replaced = await operate(bench, raise_fee_now)
    assert replaced.replaced_tx_hash == first
    await bench.run()
    old, new = map(read_transaction, bench.node.sent)
    assert new.max_fee_per_gas == replaced.max_fee_per_gas > old.max_fee_per_gas
    assert effect_digest(new) == effect_digest(old)
    await bench.tell(FactStatus.INCLUDED, 1, first)
    with pytest.raises(Problem, match="A block holds"):
        await operate(bench, raise_fee_now)


async def test_an_administrator_never_pays_more_than_a_payer_allows(bench: Bench) -> None:
    await bench.add(max_gas_price=3 * GWEI)
    await bench.run()
    with pytest.raises(Problem, match="No more than 3000000000 wei"):
        await operate(bench, raise_fee_now)
    assert len(await bench.states()) == 1


async def test_a_cancelled_nonce_fails_its_payments_when_that_is_final_and_not_before(bench: Bench) -> None:
    await bench.add(max_gas_price=3 * GWEI)
    await bench.run()
    cancelled = await operate(bench, cancel_nonce, uuid4())
    await bench.run()
    sent = read_transaction(bench.node.sent[-1])
    assert (sent.nonce, sent.to, sent.value, sent.data) == (0, SIGNER, 0, b"")
    await bench.tell(FactStatus.INCLUDED, 1, cancelled.tx_hash)
    assert await bench.states("item") == ["submitted"]
    await bench.tell(FactStatus.FINAL, 2, cancelled.tx_hash)
    (item,) = await bench.fetch("SELECT state, code FROM item")
    assert (item["state"], item["code"]) == ("failed", "nonce_taken")
    assert await bench.states() == ["dead", "final"]
    assert (await bench.lane())["state"] == "active"
    await bench.add()
    await bench.run()
    assert read_transaction(bench.node.sent[-1]).nonce == 1


async def test_a_cancellation_that_comes_too_late_changes_nothing(bench: Bench) -> None:
    await bench.add()
    await bench.run()
    (first,) = await bench.hashes()
    await operate(bench, cancel_nonce, uuid4())
    with pytest.raises(Problem, match="being cancelled"):
        await operate(bench, raise_fee_now)
    await operate(bench, cancel_nonce, uuid4())
    await bench.run()
    await bench.run(61)
    assert "only an administrator may raise" in (await bench.lane())["troubles"][0]
    await bench.tell(FactStatus.FINAL, 1, first)
    assert await bench.states() == ["final", "dead", "dead"]
    assert (await bench.lane())["state"] == "active"


async def test_what_may_pay_no_more_holds_up_the_lane_and_is_sent_again_all_the_same(bench: Bench) -> None:
    await bench.add(max_gas_price=3 * GWEI)
    await bench.run()
    bench.node.known.clear()  # the node has dropped it without a word
    await bench.add()
    await bench.run(61)
    first, again = bench.node.sent
    assert first == again
    assert any("allows no more than" in trouble for trouble in (await bench.lane())["troubles"])
    await bench.run(1)
    assert await bench.states("item") == ["submitted", "created"]
    assert len(bench.node.sent) == 2


async def test_a_replacement_that_a_cancellation_overtakes_is_not_stored(bench: Bench) -> None:
    await bench.add()
    await bench.run()
    network = bench.node.network

    async def cancel() -> Network:
        bench.node.network = network  # type: ignore[method-assign]
        await operate(bench, cancel_nonce, uuid4())
        return Network(100, 50 * GWEI)

    bench.node.network = cancel  # type: ignore[method-assign]
    await bench.run(61)
    assert len(await bench.states()) == 2
    await bench.run()
    last = read_transaction(bench.node.sent[-1])
    assert (last.to, last.data) == (SIGNER, b"")


async def test_no_node_or_signer_is_a_refusal_that_signs_nothing(bench: Bench) -> None:
    await bench.add()
    await bench.run()
    bench.worker.signer = SpoiltSigner()
    with pytest.raises(Problem, match="Nothing was signed: out of reach") as refused:
        await operate(bench, cancel_nonce, uuid4())
    assert refused.value.status == 503
    assert await bench.fetch("SELECT * FROM lane_cancellation") == []
    bench.parts = replace(bench.parts, workers={})
    with pytest.raises(Problem, match="does not have the key"):
        await operate(bench, cancel_nonce, uuid4())


async def test_the_database_refuses_a_cancellation_that_nobody_approved(bench: Bench) -> None:
    await bench.add()
    await bench.run()
    copy = (
        "INSERT INTO lane_transaction SELECT chain_id, 'other', signer, nonce, {effect}, raw,"
        " max_fee_per_gas + 1, max_priority_fee_per_gas, 'signed', signed_at, NULL, '', true"
        " FROM lane_transaction"
    )
    for effect in ("effect", "sha256('')"):
        with pytest.raises(asyncpg.ForeignKeyViolationError):
            await bench.fetch(copy.format(effect=effect))


async def test_unsigned_items_are_spread_over_lanes_that_can_go_on(bench: Bench) -> None:
    for _ in range(40):
        await bench.add()
    others = [checksum_address(bytes([number]) * 20) for number in (8, 9)]
    for signer in others:
        await bench.fetch(
            "INSERT INTO lane (lane_id, chain_id, signer, state, first_nonce, next_nonce, changed_at)"
            f" VALUES ('{uuid4()}', {CHAIN_ID}, '{signer}', 'active', 0, 0, now())"
        )
    served = [SIGNER, *others]

    async def shares() -> list[set[UUID]]:
        now = bench.clock.now()
        database = bench.runtime.database
        lists = [await items.due_items(database, CHAIN_ID, signer, served, now, 100) for signer in served]
        return [{item.item_id for item in due} for due in lists]

    whole = await shares()
    assert sum(map(len, whole)) == len(set.union(*whole)) == 40
    assert all(whole)
    await bench.fetch(f"UPDATE lane SET state = 'paused' WHERE signer = '{others[0]}'")
    await bench.fetch(f"UPDATE lane SET troubles = '{{stuck}}' WHERE signer = '{others[1]}'")
    assert [len(share) for share in await shares()] == [40, 0, 0]
    await bench.fetch("UPDATE lane SET troubles = '{}'")
    first, paused, second = await shares()
    assert (len(first) + len(second), len(paused)) == (40, 0)
    assert whole[0] <= first  # nobody else's lane changes
    assert whole[2] <= second
    await bench.run()  # the others are not at work here
    assert set(await bench.states("item")) == {"submitted"}
