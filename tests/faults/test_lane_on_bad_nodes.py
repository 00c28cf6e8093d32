"""The nonce lane on nodes that misbehave, killed at steps of its event loop in each of their modes.

While the node misbehaves, each payment is either made or its lane says what keeps it: in its row, which is
what operators see, in its metric and in the log. Once the node is honest again everything is paid, each
payment once, by nonces without a gap.

The short campaign kills at a few steps per mode. The long one, of `make test-faults`, kills at every seventh,
beginning at another one in each mode; `SNOWRAIL_LANE_KILL_EVERY=1` has it kill at every step, and
`SNOWRAIL_LANE_KILL_FIRST` says at which to begin, so that a stride's parts can run one by one.
"""

import asyncio
import itertools
import os
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from prometheus_client import REGISTRY
from structlog.testing import capture_logs

from snowrail_kit.service import Runtime
from snowrail_settlement.settings import Settings
from snowrail_testkit import Broker, CreateDatabase, DevChain, eventually
from snowrail_testkit.emulators.node import Mode, RunningNode
from snowrail_testkit.plugin import StartNodeEmulator

from .lane_campaign import EXECUTED_TOPIC, RECIPIENT, Lane, Until, are_paid, check_chain, running_lane

IMPATIENT: dict[str, Any] = {
    "retry_seconds": 0.05,
    "resend_after_seconds": 0.3,
    "replace_after_seconds": 0.3,
    "reconcile_every_seconds": 0.2,
    "stuck_after_seconds": 0.5,
    "foreign_after_seconds": 0.4,
    "rpc_timeout_seconds": 2,
    "replacement_chains": (31337,),
}
ALARM_LIMIT_SECONDS = 20
"""How long a lane on a bad node may neither pay nor say why."""
POINTS_PER_HEALING = 4
ROLLED_BACK_BLOCKS = 12
KILL_EVERY_STEPS = int(os.environ.get("SNOWRAIL_LANE_KILL_EVERY", "7"))
KILL_FIRST_STEP = int(os.environ.get("SNOWRAIL_LANE_KILL_FIRST", "0"))
SHORT_POINTS_PERCENT = (25, 55, 80)


@dataclass(frozen=True)
class Misery:
    """What a node does wrong in one part of the campaign.

    Attributes:
        times: How often at each second kill; at the others, for as long as it takes to pay or to alarm.
        mines_every_seconds: Blocks come at this pace.
        is_instant: Whether blocks come with each transaction as well.
        rolled_back_blocks: How many blocks the chain loses before each kill.
    """

    name: str
    modes: tuple[Mode, ...] = ()
    times: int = 1
    mines_every_seconds: float | None = None
    is_instant: bool = True
    rolled_back_blocks: int = 0


MISERIES = (
    Misery("strict nonces", (Mode.STRICT_NONCE,)),
    Misery(
        "no replacement",
        (Mode.STRICT_NONCE, Mode.NO_REPLACEMENT),
        mines_every_seconds=0.5,
        is_instant=False,
    ),
    Misery("silent eviction", (Mode.EVICTING,)),
    Misery("lag", (Mode.LAGGING,), times=30),
    Misery("lies: never took it", (Mode.FORGETTING,)),
    Misery("lies: wrong nonces", (Mode.WRONG_NONCE,)),
    Misery("lies: wrong receipts", (Mode.WRONG_RECEIPT,)),
    Misery("rate limit", (Mode.RATE_LIMITED,), times=3),
    Misery("rate limit per call", (Mode.CALL_LIMITED,), times=3),
    Misery("reply lost", (Mode.LOST_REPLY,)),
    Misery("error after acceptance", (Mode.FAILING_AFTERWARDS,)),
    Misery("deep rollback", mines_every_seconds=0.2, rolled_back_blocks=ROLLED_BACK_BLOCKS),
)


@dataclass
class Suffering:
    """A lane behind a node that misbehaves, and how its runs ended.

    Attributes:
        first_block: Newest block before the lane began: the chain is not rolled back further.
    """

    lane: Lane
    node: RunningNode
    misery: Misery
    first_block: int
    killed: int = 0
    alarmed: int = 0
    paid: int = 0

    @property
    def chain(self) -> DevChain:
        """The chain behind the node."""
        return self.lane.world.chain

    async def kill_at(self, step: int, times: int | None) -> None:
        """Command payments, have the node misbehave, and kill the lane at a step."""
        await self.lane.command()
        self.node.emulator.misbehave(*self.misery.modes, times=times)
        blocks = min(self.misery.rolled_back_blocks, self.chain.block_number() - self.first_block)
        if blocks > 0:
            await self.node.emulator.rollback(blocks)
        await self._forget_alarms()
        self.killed += (await self.lane.run(step, self.paid_or_alarmed(needs_alarm=False))).killed

    async def suffer(self) -> None:
        """Run the lane unkilled on the bad node until all is paid, or it says why not."""
        await self._forget_alarms()
        await self.lane.run(None, self.paid_or_alarmed(needs_alarm=True))
        (row,) = await self.lane.rows("SELECT troubles FROM lane")
        self.alarmed += bool(alarms(row["troubles"]))
        self.paid += not alarms(row["troubles"])

    async def heal(self) -> None:
        """Have the node be honest and an operator resume the lane; then everything is paid."""
        self.node.emulator.misbehave()
        await self.lane.rows("UPDATE lane SET state = 'active', changed_at = now() WHERE state = 'frozen'")
        await self.lane.run(None, self.paid_on_chain)

    async def paid_on_chain(self, runtime: Runtime[Settings]) -> bool:
        """Whether everything commanded is paid, by the rows and by the chain."""
        self._mine()
        commanded = len(self.lane.commands)
        return await are_paid(runtime, self.chain, commanded) and self._executions() == commanded

    def paid_or_alarmed(self, needs_alarm: bool) -> Until:
        """The end of a run on a bad node.

        Args:
            needs_alarm: Whether the metric and the log are to say what the row says.
        """
        deadline: list[float] = []
        logs: list[Any] = []
        capturing = capture_logs()

        async def is_over(runtime: Runtime[Settings]) -> bool:
            if not deadline:
                deadline.append(time.monotonic() + ALARM_LIMIT_SECONDS)
                logs.append(capturing.__enter__())  # for as long as this process lives
            if await self.paid_on_chain(runtime):
                return True
            lane = await runtime.database.fetch_row("SELECT chain_id, signer, troubles FROM lane")
            if lane is not None and alarms(lane["troubles"]):
                labels = {"chain": str(lane["chain_id"]), "signer": lane["signer"]}
                is_measured = REGISTRY.get_sample_value("snowrail_lane_stuck", labels) == 1
                is_logged = any(entry["log_level"] in ("warning", "error") for entry in logs[0])
                if (is_measured and is_logged) or not needs_alarm:
                    return True
            assert time.monotonic() < deadline[0], "neither paid nor any alarm"
            return False

        return is_over

    def _mine(self) -> None:
        pace = self.misery.mines_every_seconds
        if pace is None:
            return
        newest = self.chain.call("eth_getBlockByNumber", "latest", False)
        if time.time() - _MINED.get(newest["hash"], 0.0) >= pace:
            self.chain.mine()
            _MINED[self.chain.block_hash(self.chain.block_number())] = time.time()

    def _executions(self) -> int:
        query = {"address": self.lane.world.config.escrow, "fromBlock": "0x0", "topics": [EXECUTED_TOPIC]}
        return len(self.chain.call("eth_getLogs", query))

    async def _forget_alarms(self) -> None:
        await self.lane.rows("UPDATE lane SET troubles = '{}'")


def alarms(troubles: Sequence[str]) -> list[str]:
    """Those troubles that somebody has to look after."""
    return [trouble for trouble in troubles if not trouble.endswith("a replacement is on its way")]


_MINED: dict[str, float] = {}
"""When the newest block was mined, by its hash."""


@pytest_asyncio.fixture(loop_scope="session")
async def suffering(
    request: pytest.FixtureRequest,
    broker: Broker,
    create_database: CreateDatabase,
    start_chain: Callable[..., DevChain],
    start_node_emulator: StartNodeEmulator,
    tmp_path: Path,
) -> AsyncIterator[Suffering]:
    """A lane that reaches the chain through a node that misbehaves as the test's parameter says."""
    chain = await asyncio.to_thread(start_chain)
    node = await start_node_emulator(chain.url)
    async with running_lane(broker, create_database, chain, tmp_path, node.url, **IMPATIENT) as lane:
        misery: Misery = request.param
        suffering = Suffering(lane, node, misery, chain.block_number())
        await lane.command()
        await lane.run(None)
        chain.mine()
        chain.set_automine(misery.is_instant)
        yield suffering


async def campaign(suffering: Suffering, steps: Sequence[int]) -> None:
    """Kill at each of these steps, heal from time to time, and look at what came of it."""
    turns = itertools.cycle((None, suffering.misery.times))
    for start in range(0, len(steps), POINTS_PER_HEALING):
        for step in steps[start : start + POINTS_PER_HEALING]:
            await suffering.kill_at(step, next(turns) if suffering.misery.modes else None)
        suffering.node.emulator.misbehave(*suffering.misery.modes)
        await suffering.suffer()
        await suffering.heal()
    await check(suffering)


async def check(suffering: Suffering) -> None:
    """Every payment was made once, by dense nonces, and the rows say what the chain has."""
    lane = suffering.lane

    async def is_settled() -> bool:
        states = await lane.rows("SELECT DISTINCT state FROM lane_transaction")
        return {row["state"] for row in states} <= {"final", "dead"}

    async def mine_and_look() -> bool:
        await asyncio.to_thread(suffering.chain.mine)
        await lane.run(None)
        return await is_settled()

    await eventually(mine_and_look, timeout_seconds=120)
    items = await lane.rows("SELECT * FROM item")
    wanted = Counter((command.payment_id, command.attempt) for command in lane.commands)
    assert Counter((row["payment_id"], row["attempt"]) for row in items) == wanted
    assert {row["state"] for row in items} == {"executed"}
    transactions = await lane.rows("SELECT * FROM lane_transaction WHERE state = 'final' ORDER BY nonce")
    await asyncio.to_thread(check_chain, lane, transactions, items)
    assert await lane.world.balance(RECIPIENT, "USDC") == len(lane.commands)
    assert not await lane.rows("SELECT * FROM lane_unsigned")
    assert not await lane.rows("SELECT * FROM dead_letter")
    assert [row["state"] for row in await lane.rows("SELECT state FROM lane")] == ["active"]


async def steps_of_a_run(suffering: Suffering) -> int:
    """How many steps an unkilled run on the honest node takes."""
    await suffering.lane.command()
    return (await suffering.lane.run(None, suffering.paid_on_chain)).steps


@pytest.mark.parametrize("suffering", MISERIES, indirect=True, ids=lambda misery: misery.name)
async def test_a_lane_on_a_bad_node_pays_once_or_alarms(
    suffering: Suffering, tell: Callable[[str], None]
) -> None:
    steps = await steps_of_a_run(suffering)
    await campaign(suffering, [steps * percent // 100 for percent in SHORT_POINTS_PERCENT])


@pytest.mark.faults
@pytest.mark.parametrize("suffering", MISERIES, indirect=True, ids=lambda misery: misery.name)
async def test_a_lane_on_a_bad_node_killed_anywhere_pays_once_or_alarms(
    suffering: Suffering, tell: Callable[[str], None]
) -> None:
    steps, begun = await steps_of_a_run(suffering), time.monotonic()
    first = KILL_FIRST_STEP or 1 + MISERIES.index(suffering.misery) % KILL_EVERY_STEPS
    await campaign(suffering, range(first, steps + 1, KILL_EVERY_STEPS))
    tell(
        f"{suffering.misery.name}: killed {suffering.killed} times within {steps} steps, every"
        f" {KILL_EVERY_STEPS} from {first}; unkilled runs"
        f" paid {suffering.paid} times and alarmed {suffering.alarmed} times;"
        f" {len(suffering.lane.commands)} payments, {time.monotonic() - begun:.0f} s"
    )
    assert suffering.killed
