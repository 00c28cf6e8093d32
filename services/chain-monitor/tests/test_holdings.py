"""What the escrow holds, owes and has paid: the fold of its events, and a real contract at a final block."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from snowrail_chain.abi import Execution, cancel_calldata, execute_many_calldata, transfer_calldata
from snowrail_chain.addresses import NATIVE_TOKEN
from snowrail_chain_monitor.escrow_book import EscrowBook, IncompleteBook
from snowrail_events import TransactionFinalV1
from snowrail_events.parts import EscrowLog
from snowrail_testkit import Broker, RunningService, eventually
from snowrail_testkit.escrow import EscrowWorld

from .conftest import RunMonitor
from .test_facts import caught_up

TOKEN = "0x" + "11" * 20
ORDERS = ["0x" + digit * 64 for digit in "abc"]


def entry(name: str, order: str, amount: int, token: str = TOKEN, fee: int = 0) -> EscrowLog:
    """An event of the escrow."""
    return EscrowLog(log_index=0, name=name, order_hash=order, token=token, amount=amount, fee=fee)


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["funded", "executed", "cancelled", "execution_failed"]),
            st.sampled_from(ORDERS),
            st.integers(1, 50),
        ),
        max_size=60,
    )
)
def test_money_is_owed_to_whom_it_was_taken_from_and_nobody_else(
    acts: list[tuple[str, str, int]],
) -> None:
    """Against a model that keeps the contract's balance and each order's deposit apart."""
    book, contract, executed = EscrowBook(), 0, 0
    deposits = dict.fromkeys(ORDERS, 0)
    for name, order, amount in acts:
        if name == "funded":
            deposits[order] += amount
            contract += amount
        elif name == "executed":
            executed += amount
            if deposits[order] >= amount:
                deposits[order] -= amount
                contract -= amount
        elif name == "cancelled":
            amount = deposits[order]
            contract -= amount
            deposits[order] = 0
        book.take([entry(name, order, amount)])
        assert book.owed()[TOKEN] == contract
        assert book.executed[TOKEN] == executed
        assert book.deposits == {key: value for key, value in deposits.items() if value}


@pytest.mark.parametrize(
    "lost", [entry("executed", ORDERS[0], 5, NATIVE_TOKEN), entry("returned", ORDERS[0], 5)]
)
def test_money_that_leaves_an_order_never_funded_means_that_events_are_missing(lost: EscrowLog) -> None:
    with pytest.raises(IncompleteBook):
        EscrowBook().take([lost])


async def holdings_at_the_tip(running: RunningService, world: EscrowWorld) -> dict[str, dict[str, Any]]:
    """Holdings by symbol, once everything there is, is final."""
    world.chain.mine(2)
    await caught_up(running, world)
    target = world.chain.block_number() - 1

    async def read() -> Any:
        answer = await running.http.get("/internal/holdings", params={"chain_id": 31337})
        return answer.json() if answer.is_success and answer.json()["block_number"] >= target else None

    found = await eventually(read)
    symbols = {world.config.token_id(token.symbol): token.symbol for token in world.config.tokens}
    return {symbols[asset.pop("token")]: asset for asset in found["assets"]}


async def test_holdings_follow_deposits_executions_refunds_and_rollbacks(
    broker: Broker, world: EscrowWorld, run_monitor: RunMonitor
) -> None:
    payer, recipient = world.payers[0], world.payers[1].address
    first, second = (world.order(payer, recipient, "CRO", amount=amount) for amount in (700, 50))
    token_order = world.order(payer, recipient, "USDC", amount=9)
    async with run_monitor(world) as running:
        assert (await running.http.get("/internal/chains")).json() == [31337]
        await world.fund(first)
        await world.fund(second)
        found = await holdings_at_the_tip(running, world)
        assert found["CRO"] == {"held": "750", "fees": "0", "owed": "750", "executed": "0", "executions": 0}
        items = [Execution(second, 0, b""), Execution(token_order, 0, world.sign(token_order))]
        await world.send(world.executor, world.config.escrow, execute_many_calldata(items), gas=3_000_000)
        await world.send(payer.address, world.config.escrow, cancel_calldata(first))
        found = await holdings_at_the_tip(running, world)
        assert found["CRO"] == {"held": "0", "fees": "0", "owed": "0", "executed": "50", "executions": 1}
        assert found["USDC"] == {"held": "0", "fees": "0", "owed": "0", "executed": "9", "executions": 1}
        usdc = world.config.token("USDC").address
        await world.send(payer.address, usdc, transfer_calldata(world.config.escrow, 4))
        found = await holdings_at_the_tip(running, world)
        assert (found["USDC"]["held"], found["USDC"]["owed"]) == ("4", "0")
        world.chain.reorg(7)  # the execution, the cancellation and the gift are gone
        await broker.probe.collect(TransactionFinalV1, 4)
        found = await holdings_at_the_tip(running, world)
        assert found["CRO"] == {"held": "750", "fees": "0", "owed": "750", "executed": "0", "executions": 0}
        assert found["USDC"]["executed"] == "0"
        answer = await running.http.get("/internal/holdings", params={"chain_id": 5})
        assert (answer.status_code, answer.json()["code"]) == (422, "unknown_chain")


async def test_a_book_without_its_beginning_is_refused(world: EscrowWorld, run_monitor: RunMonitor) -> None:
    order = world.order(world.payers[0], world.payers[1].address, "CRO")
    await world.fund(order)
    world.config = world.config.model_copy(update={"start_block": world.chain.block_number() + 1})
    async with run_monitor(world) as running:
        await world.send(world.payers[0].address, world.config.escrow, cancel_calldata(order))
        world.chain.mine(3)

        async def refused() -> Any:
            answer = await running.http.get("/internal/holdings", params={"chain_id": 31337})
            return answer if answer.status_code == 409 else None

        assert (await eventually(refused)).json()["code"] == "incomplete_book"
