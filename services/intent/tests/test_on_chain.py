"""The orders that the service makes, on the real escrow: funded, signed, executed, cancelled."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest_asyncio

from snowrail_chain.abi import (
    ESCROW_TOPICS,
    Cancelled,
    Executed,
    Execution,
    ExecutionFailed,
    Funded,
    decode_escrow_log,
    execute_many_calldata,
)
from snowrail_chain.addresses import checksum_address
from snowrail_events import (
    GasPriceUpdatedV1,
    IntentCancelledV1,
    IntentDueV1,
    IntentUpdatedV1,
    TransactionFinalV1,
)
from snowrail_events.parts import EscrowLog, UnsignedTransaction
from snowrail_testkit import Builder, DevChain
from snowrail_testkit.escrow import EscrowWorld

from .conftest import RunIntent, World, order_of
from .test_series import DAY, succeed

RECIPIENT = "0xa0Ee7A142d267C1f36714E4a8F75612F20a79720"


class OnChain:
    """The service beside a chain with the escrow, and a wallet that sends what the service offers."""

    def __init__(self, world: World, escrow: EscrowWorld) -> None:
        self.world = world
        self.escrow = escrow
        self.payer = escrow.payers[0]

    async def send(self, offered: UnsignedTransaction) -> None:
        """Send an offered transaction as the payer, and tell the service what became of it."""
        data = bytes.fromhex(offered.data[2:])
        await self.tell(await self.escrow.send(self.payer.address, offered.to, data, offered.value))

    async def execute(self, due: IntentDueV1) -> list[Any]:
        """Execute a due occurrence as settlement would, and return the escrow's events."""
        execution = Execution(order_of(due.order), due.occurrence, bytes.fromhex(due.signature[2:]))
        data = execute_many_calldata([execution])
        return await self.tell(await self.escrow.send(self.escrow.executor, due.escrow, data))

    async def pass_time(self, seconds: int) -> None:
        """Move the time of the chain and of the service."""
        await self.escrow.call("evm_increaseTime", seconds)
        await self.escrow.call("evm_mine")
        await self.world.pass_time(seconds)

    async def tell(self, transaction_hash: str) -> list[Any]:
        """Publish what chain-monitor would say of a final transaction; return the escrow's events."""
        receipt = await self.escrow.call("eth_getTransactionReceipt", transaction_hash)
        events: list[Any] = []
        logs: list[EscrowLog] = []
        for raw in receipt["logs"]:
            if raw["topics"][0] not in ESCROW_TOPICS:
                continue
            event = decode_escrow_log(raw, self.escrow.config.escrow)
            assert event is not None, "the topic is the escrow's"
            events.append(event)
            logs.append(_told(event, int(raw["logIndex"], 16)))
        await self.world.publish(
            self.world.fact(
                TransactionFinalV1,
                *logs,
                sender=checksum_address(bytes.fromhex(receipt["from"][2:])),
                tx_hash=transaction_hash,
                block_hash=receipt["blockHash"],
                succeeded=receipt["status"] == "0x1",
            )
        )
        return events


def _told(event: Any, log_index: int) -> EscrowLog:
    names = {
        Funded: "funded", Executed: "executed", ExecutionFailed: "execution_failed", Cancelled: "cancelled",
    }  # fmt: skip
    return EscrowLog(
        log_index=log_index,
        name=names[type(event)],
        order_hash=f"0x{event.order_hash.hex()}",
        amount=getattr(event, "amount", getattr(event, "refunded", None)),
        fee=getattr(event, "fee", None),
    )


@pytest_asyncio.fixture(loop_scope="session")
async def on_chain(
    start_chain: Callable[..., DevChain], run_intent: RunIntent, tmp_path: Path
) -> AsyncGenerator[OnChain]:
    """The service, reading balances from a chain on which everything is deployed."""
    chain = await asyncio.to_thread(start_chain)
    escrow = await EscrowWorld.create(chain, tmp_path)
    async with run_intent(chain=escrow.config, order_clock_skew_seconds=3_600) as world:
        world.monitor.world = escrow
        now = int((await escrow.call("eth_getBlockByNumber", "latest", False))["timestamp"], 16)
        world.clock.set(world.clock.now().fromtimestamp(now, world.clock.now().tzinfo))
        await world.register(payer=escrow.payers[0])
        price = int(await escrow.call("eth_gasPrice"), 16)
        await world.publish(
            GasPriceUpdatedV1(
                chain_id=escrow.config.chain_id,
                block_number=1,
                gas_price=price,
                base_fee=0,
                observed_at=world.clock.now(),
            )
        )
        yield OnChain(world, escrow)


async def test_a_signed_token_payment_is_executed_by_the_escrow(on_chain: OnChain) -> None:
    world, escrow = on_chain.world, on_chain.escrow
    created = await world.created(payer=on_chain.payer.address, recipient=RECIPIENT)
    assert created.approval is None
    await world.publish(world.authorise(created, on_chain.payer))
    (due,) = await world.collect(IntentDueV1)
    (executed,) = await on_chain.execute(due)
    assert isinstance(executed, Executed)
    assert f"0x{executed.order_hash.hex()}" == due.order_hash
    assert await escrow.balance(RECIPIENT, "USDC") == 1_000


async def test_a_missing_approval_is_sent_as_offered(on_chain: OnChain) -> None:
    world, escrow = on_chain.world, on_chain.escrow
    await escrow.approve(on_chain.payer, "USDC", 0)
    created = await world.created(payer=on_chain.payer.address, recipient=RECIPIENT)
    assert created.approval is not None
    await world.publish(world.authorise(created, on_chain.payer))
    await world.status(created.intent_id, "awaiting_approval", "approval_missing")
    await on_chain.send(created.approval)
    await world.pass_time(2)
    (due,) = await world.collect(IntentDueV1)
    assert isinstance((await on_chain.execute(due))[0], Executed)


async def test_a_native_payment_is_funded_and_executed(on_chain: OnChain) -> None:
    world, escrow = on_chain.world, on_chain.escrow
    before = await escrow.balance(RECIPIENT, "CRO")
    created = await world.created("CRO", payer=on_chain.payer.address, recipient=RECIPIENT)
    assert created.transaction is not None
    await on_chain.send(created.transaction)
    (due,) = await world.collect(IntentDueV1)
    assert isinstance((await on_chain.execute(due))[0], Executed)
    assert await escrow.balance(RECIPIENT, "CRO") == before + 1_000


async def test_a_cancelled_order_gives_its_deposit_back_and_never_executes(on_chain: OnChain) -> None:
    world, escrow = on_chain.world, on_chain.escrow
    created = await world.created("CRO", payer=on_chain.payer.address, recipient=RECIPIENT)
    assert created.transaction is not None
    await on_chain.send(created.transaction)
    (due,) = await world.collect(IntentDueV1)
    await world.publish(world.cancel(created.intent_id))
    row = await world.status(created.intent_id, "due", "cancel_on_chain_only")
    offered = (await world.collect(IntentUpdatedV1, row["version"] - 2))[-1].next_step
    assert offered is not None
    await on_chain.send(offered)
    await world.status(created.intent_id, "due", "cancellation_seen")
    assert isinstance((await on_chain.execute(due))[0], ExecutionFailed)
    await world.pass_time(15)
    (cancelled,) = await world.collect(IntentCancelledV1)
    assert cancelled.on_chain
    assert await escrow.balance(escrow.config.escrow, "CRO") == 0


async def test_a_token_deposited_by_the_payer_needs_no_signature(on_chain: OnChain) -> None:
    world = on_chain.world
    created = await world.created(payer=on_chain.payer.address, recipient=RECIPIENT)
    path = f"/internal/intents/{created.intent_id}/transactions?purpose=deposit&amount=1000"
    answer = (await world.running.http.get(path)).json()
    (deposit,) = answer["transactions"]
    await on_chain.send(UnsignedTransaction.model_validate(deposit))
    (due,) = await world.collect(IntentDueV1)
    assert due.signature == "0x"
    assert isinstance((await on_chain.execute(due))[0], Executed)


async def test_a_series_deposited_ahead_is_executed_in_its_time_and_the_rest_comes_back(
    on_chain: OnChain, build: Builder
) -> None:
    world, escrow = on_chain.world, on_chain.escrow
    before = await escrow.balance(RECIPIENT, "CRO")
    start = world.clock.now() + timedelta(seconds=600)
    daily = {"kind": "daily", "time_zone": "UTC", "start_at": start, "count": 3}
    created = await world.created("CRO", payer=on_chain.payer.address, recipient=RECIPIENT, recurrence=daily)
    assert created.transaction is not None
    await on_chain.send(created.transaction)
    await world.status(created.intent_id, "armed")
    await on_chain.pass_time(603)
    (first,) = await world.collect(IntentDueV1)
    assert isinstance((await on_chain.execute(first))[0], Executed)
    await succeed(world, build, first)
    early = first.model_copy(update={"occurrence": 1})
    assert isinstance((await on_chain.execute(early))[0], ExecutionFailed)  # the chain keeps the period
    await on_chain.pass_time(2 * DAY)  # the second is missed
    third = (await world.collect(IntentDueV1, 2))[-1]
    assert third.occurrence == 1
    assert isinstance((await on_chain.execute(third))[0], Executed)
    await succeed(world, build, third)
    assert await escrow.balance(RECIPIENT, "CRO") == before + 2_000
    row = await world.status(created.intent_id, "completed")
    assert (row["next_occurrence"], row["missed"]) == (2, 1)
    shown = (await world.running.http.get(f"/internal/intents/{created.intent_id}")).json()
    assert (shown["deposit"], shown["next_step"]["purpose"]) == ("1000", "cancel")
    await on_chain.send(UnsignedTransaction.model_validate(shown["next_step"]))
    assert await escrow.balance(escrow.config.escrow, "CRO") == 0
