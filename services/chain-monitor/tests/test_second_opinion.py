"""Finality by the word of two nodes, one of which lies, lags, or is away."""

import asyncio
from collections.abc import AsyncGenerator
from typing import Any

import pytest
import pytest_asyncio
from hypothesis import given
from hypothesis import strategies as st

from snowrail_chain_monitor.second_opinion import (
    LogEvidence,
    Opinion,
    Ruling,
    Window,
    first_difference,
    weigh,
)
from snowrail_events import TransactionFinalV1, TransactionIncludedV1, TransactionOrphanedV1
from snowrail_events.parts import EscrowLog
from snowrail_testkit import Broker, RunningService, eventually
from snowrail_testkit.escrow import EscrowWorld

from .conftest import RunMonitor
from .lying_node import (
    LyingNode,
    inflate_deposits,
    leave_out_logs,
    lying_node,
    other_blocks_above,
    stuck_at,
)

LOG = EscrowLog(log_index=0, name="funded", order_hash="0x" + "ab" * 32, amount=5)
LOGS: dict[int, LogEvidence] = {3: frozenset({("h3", "t", LOG)})}
WINDOW = Window(2, 5, {3: "h3", 5: "h5"}, LOGS)
SAME = Opinion({3: "h3", 5: "h5"}, LOGS)
INVENTED = Opinion(SAME.hashes, {**LOGS, 4: frozenset({("h4", "u", LOG)})})
LEFT_OUT = Opinion(SAME.hashes, {})
REPLACED = Opinion({3: "h3", 5: "other"}, LOGS)
BEHIND = Opinion({3: "h3", 5: None}, LOGS)


@pytest.mark.parametrize(
    ("own", "others", "ruling", "agreed_to"),
    [
        (SAME, [], Ruling.AGREED, 5),
        (SAME, [SAME], Ruling.AGREED, 5),
        (SAME, [SAME, None], Ruling.AGREED, 5),
        (SAME, [SAME, BEHIND], Ruling.AGREED, 5),
        (SAME, [None], Ruling.LACKING, 1),
        (SAME, [BEHIND], Ruling.LACKING, 1),
        (SAME, [None, BEHIND], Ruling.LACKING, 1),
        (BEHIND, [SAME], Ruling.LACKING, 1),
        (SAME, [INVENTED], Ruling.DISPUTED, 3),
        (SAME, [LEFT_OUT], Ruling.DISPUTED, 2),
        (SAME, [REPLACED], Ruling.DISPUTED, 4),
        (SAME, [SAME, LEFT_OUT], Ruling.DISPUTED, 2),
        (LEFT_OUT, [SAME], Ruling.DISPUTED, 2),
        (LEFT_OUT, [INVENTED], Ruling.DISPUTED, 2),
        (LEFT_OUT, [None], Ruling.DISPUTED, 1),
        (INVENTED, [INVENTED], Ruling.MISREAD, 3),
        (INVENTED, [INVENTED, None], Ruling.MISREAD, 3),
        (LEFT_OUT, [], Ruling.MISREAD, 2),
        (REPLACED, [REPLACED], Ruling.MOVED, 4),
    ],
)
def test_every_way_in_which_nodes_can_differ(
    own: Opinion, others: list[Opinion | None], ruling: Ruling, agreed_to: int
) -> None:
    verdict = weigh(WINDOW, own, others, go_on_without=False)
    assert (verdict.ruling, verdict.agreed_to) == (ruling, agreed_to)
    assert (verdict.problem is None) == (ruling is Ruling.AGREED)


@pytest.mark.parametrize(("others", "agreed_to"), [([None], 5), ([BEHIND], 5), ([LEFT_OUT], 2)])
def test_one_word_may_be_enough_while_others_are_away_but_never_against_another(
    others: list[Opinion | None], agreed_to: int
) -> None:
    assert weigh(WINDOW, SAME, others, go_on_without=True).agreed_to == agreed_to


evidence = st.dictionaries(
    st.integers(2, 5),
    st.frozensets(st.tuples(st.sampled_from(["h", "g"]), st.just("t"), st.just(LOG)), min_size=1),
)
opinions = st.builds(
    Opinion, st.fixed_dictionaries({3: st.sampled_from(["h3", None, "x"]), 5: st.just("h5")}), evidence
)


@given(opinions, st.lists(st.none() | opinions, max_size=3), st.booleans())
def test_nothing_is_agreed_that_anybody_heard_denies(
    own: Opinion, others: list[Opinion | None], go_on_without: bool
) -> None:
    verdict = weigh(WINDOW, own, others, go_on_without=go_on_without)
    heard = [opinion for opinion in (own, *others) if opinion is not None and not opinion.is_behind]
    for opinion in heard:
        difference = first_difference(WINDOW, opinion)
        assert difference is None or verdict.agreed_to < difference
    if len(heard) < min(2, len(others) + 1) and not go_on_without:
        assert verdict.agreed_to == WINDOW.first - 1


@pytest_asyncio.fixture(loop_scope="session")
async def liar(world: EscrowWorld) -> AsyncGenerator[LyingNode]:
    """A second node of the world's chain, configured first; it tells the truth until told otherwise."""
    async with lying_node(world.chain.url) as node:
        world.config = world.config.model_copy(update={"rpc_urls": (node.url, world.chain.url)})
        yield node


async def status_of(running: RunningService) -> dict[str, Any]:
    """The status of the only chain."""
    (status,) = (await running.http.get("/status")).json()
    return status


async def held(running: RunningService) -> dict[str, Any]:
    """Wait until finality is held and return the status."""

    async def is_held() -> dict[str, Any] | None:
        status = await status_of(running)
        return status if status["held_reason"] else None

    return await eventually(is_held)


async def shown(running: RunningService, name: str, value: float) -> None:
    """Wait until a metric of the chain has a value."""

    async def is_shown() -> bool:
        text = (await running.http.get("/metrics")).text
        return f'{name}{{chain="31337"}} {value}' in text.splitlines()

    await eventually(is_shown)


async def test_a_deposit_that_one_node_inflates_is_never_credited(
    broker: Broker, world: EscrowWorld, liar: LyingNode, run_monitor: RunMonitor
) -> None:
    liar.lies = [inflate_deposits]
    async with run_monitor(world) as running:
        order = world.order(world.payers[0], world.payers[1].address, "CRO")
        await world.fund(order)
        await broker.probe.collect(TransactionIncludedV1, 1)
        world.chain.mine(3)
        status = await held(running)
        assert "do not agree" in status["held_reason"]
        assert status["second_opinion"] == "compared"
        await shown(running, "snowrail_chain_nodes_disagree", 1.0)
        await shown(running, "snowrail_chain_finality_held", 1.0)
        assert await broker.probe.count(TransactionFinalV1) == 0
        liar.lies = []  # what it said is taken back, read again, and credited once with the true amount
        (final,) = await broker.probe.collect(TransactionFinalV1, 1)
        assert final.logs[0].amount == order.amount
        included = await broker.probe.collect(TransactionIncludedV1, 1)
        assert included[0].logs[0].amount == 1_000 * order.amount
        assert await broker.probe.count(TransactionOrphanedV1) == 1

        async def is_released() -> bool:
            return (await status_of(running))["held_reason"] is None

        await eventually(is_released)
        await shown(running, "snowrail_chain_nodes_disagree", 0.0)


async def test_a_deposit_that_one_node_leaves_out_is_missed_by_nobody(
    broker: Broker, world: EscrowWorld, liar: LyingNode, run_monitor: RunMonitor
) -> None:
    liar.lies = [leave_out_logs]
    async with run_monitor(world) as running:
        await world.fund(world.order(world.payers[0], world.payers[1].address, "CRO"))
        world.chain.mine(3)
        status = await held(running)
        assert await broker.probe.count(TransactionIncludedV1) == 0
        assert status["held_block"] < world.chain.block_number() - 3
        liar.lies = []
        (final,) = await broker.probe.collect(TransactionFinalV1, 1)
        assert final.logs[0].name == "funded"


async def test_blocks_that_only_one_node_has_are_not_final(
    broker: Broker, world: EscrowWorld, liar: LyingNode, run_monitor: RunMonitor
) -> None:
    liar.lies = [other_blocks_above(world.chain.block_number())]
    async with run_monitor(world) as running:
        transaction_hash = await world.fund(world.order(world.payers[0], world.payers[1].address, "CRO"))
        world.chain.mine(3)
        await held(running)
        assert await broker.probe.count(TransactionFinalV1) == 0
        liar.lies = []
        (final,) = await broker.probe.collect(TransactionFinalV1, 1)
        assert final.tx_hash == transaction_hash
        assert final.block_hash == world.chain.block_hash(final.block_number)


async def test_one_node_alone_cannot_take_back_what_was_final(
    broker: Broker, world: EscrowWorld, liar: LyingNode, run_monitor: RunMonitor
) -> None:
    before = world.chain.block_number()
    async with run_monitor(world) as running:
        await world.fund(world.order(world.payers[0], world.payers[1].address, "CRO"))
        world.chain.mine(3)
        await broker.probe.collect(TransactionFinalV1, 1)
        liar.lies = [other_blocks_above(before)]
        world.chain.mine(1)
        status = await held(running)
        assert "still has it" in status["held_reason"]
        await asyncio.sleep(0.5)
        assert await broker.probe.count(TransactionOrphanedV1) == 0
        liar.lies = []
        world.chain.mine(3)

        async def goes_on() -> bool:
            status = await status_of(running)
            return status["held_reason"] is None and status["final"] > status["tip"] - 3

        await eventually(goes_on)
        assert await broker.probe.count(TransactionFinalV1) == 1


async def test_a_node_that_lags_is_waited_for_without_an_alarm(
    broker: Broker, world: EscrowWorld, liar: LyingNode, run_monitor: RunMonitor
) -> None:
    world.config = world.config.model_copy(update={"rpc_urls": (world.chain.url, liar.url)})
    liar.lies = [stuck_at(world.chain.block_number())]
    async with run_monitor(world) as running:
        await world.fund(world.order(world.payers[0], world.payers[1].address, "CRO"))
        await broker.probe.collect(TransactionIncludedV1, 1)
        world.chain.mine(3)
        await asyncio.sleep(0.5)
        assert await broker.probe.count(TransactionFinalV1) == 0
        assert (await status_of(running))["held_reason"] is None
        await shown(running, "snowrail_chain_endpoints_missing", 1.0)
        liar.lies = []
        await broker.probe.collect(TransactionFinalV1, 1)


@pytest.mark.parametrize("policy", ["hold", "proceed"])
async def test_a_node_that_is_away_holds_finality_unless_told_otherwise(
    broker: Broker, world: EscrowWorld, liar: LyingNode, run_monitor: RunMonitor, policy: str
) -> None:
    world.config = world.config.model_copy(update={"rpc_urls": (world.chain.url, liar.url)})
    liar.is_away = True
    options = {"missing_opinion": policy, "missing_opinion_after_seconds": 0.5}
    async with run_monitor(world, **options) as running:
        await world.fund(world.order(world.payers[0], world.payers[1].address, "CRO"))
        world.chain.mine(3)
        if policy == "proceed":
            await broker.probe.collect(TransactionFinalV1, 1)
        else:
            assert "must" in (await held(running))["held_reason"]
            await asyncio.sleep(0.7)
            assert await broker.probe.count(TransactionFinalV1) == 0
            liar.is_away = False
            await broker.probe.collect(TransactionFinalV1, 1)
            return
        await shown(running, "snowrail_chain_endpoints_missing", 1.0)
        assert (await status_of(running))["endpoints_answering"] == 1


async def test_a_chain_with_one_node_says_so(world: EscrowWorld, run_monitor: RunMonitor) -> None:
    async with run_monitor(world) as running:
        status = await status_of(running)
        assert (status["endpoints"], status["second_opinion"]) == (1, "single_endpoint")


async def test_ranges_shrink_where_the_node_refuses_that_many_logs(
    broker: Broker, world: EscrowWorld, liar: LyingNode, run_monitor: RunMonitor
) -> None:
    def refuse(method: str, parameters: list[Any]) -> dict[str, Any] | None:
        if method != "eth_getLogs" or "fromBlock" not in parameters[0]:
            return None
        span = int(parameters[0]["toBlock"], 16) - int(parameters[0]["fromBlock"], 16) + 1
        return {"code": -32005, "message": "query returned more than 10000 results"} if span > 7 else None

    liar.refuse = refuse
    for _ in range(5):
        await world.fund(world.order(world.payers[0], world.payers[1].address, "CRO"))
        world.chain.mine(20)
    async with run_monitor(world) as running:
        await broker.probe.collect(TransactionFinalV1, 5)
        await shown(running, "snowrail_chain_node_up", 1.0)
