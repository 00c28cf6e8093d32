"""Payments from the accepted confirmation to the client's final event, at the highest rate that holds."""

import statistics
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import pytest
import uvloop

from snowrail_local.stack import Stack

from .conftest import Table, percentile
from .crowd import Chain, crowd, give_money
from .payments import Outcome, PaymentLoad
from .stacks import measured_stack
from .usage import processor_seconds, since

PEOPLE = 300
FIRST_RATE = 120
RATE_STEP = 40
FINEST_STEP = 10
LAST_RATE = 600
SLOW_RATES = (90, 60, 30)
WARM_UP_RATE, WARM_UP_SECONDS = 50, 10
SEARCH_SECONDS = 30
WINDOW_SECONDS = 60
RUNS = 3
LEAD_SECONDS = 20
"""Before a window: consumers rest longer as load grows, and it takes this long until latency is steady."""
SHARE_THAT_KEEPS_UP = 0.95
"""Of the payments offered in a search's window, those completed: they come block by block, 5 % at a time."""
BOUND_MILLISECONDS = 8_000
"""p95 beyond which a rate does not hold; two confirmations of 1 s blocks alone take 1 to 2 s."""


@pytest.mark.bench
def test_payments_per_second(table: Table) -> None:
    """Three runs of a minute, each in a stack of its own, at the highest rate that keeps up.

    A further run in the stack of the search shows what tens of thousands of payments before it cost.
    """
    with measured_stack() as stack:
        rate, worn = uvloop.run(_search(stack))
    runs: list[Run] = []
    for _ in range(RUNS):
        with measured_stack() as stack:
            runs.append(uvloop.run(_run_alone(stack, rate)))
    table.add(
        "payments end to end, 60 s, median of three",
        statistics.median(run.outcome.completed_per_second for run in runs),
        "payments/s",
        ">= 150",
    )
    table.add("payments end to end, rate offered", rate, "payments/s")
    table.add_percentiles(
        "payment, confirmation to final, at that rate",
        [sample for run in runs for sample in run.outcome.milliseconds],
    )
    table.add(
        "payment, processor time of all processes",
        statistics.median(run.processor_milliseconds for run in runs),
        "ms",
    )
    table.add(
        "payments end to end, 60 s, at that rate after the search",
        worn.outcome.completed_per_second,
        "payments/s",
    )
    table.add("the same, processor time of all processes", worn.processor_milliseconds, "ms")


@dataclass(frozen=True)
class Run:
    """A minute at a rate, and the processor time of all processes for each payment."""

    outcome: Outcome
    processor_milliseconds: float


async def _search(stack: Stack) -> tuple[int, Run]:
    """Find the highest rate that holds, and run once more at it."""
    async with _load(stack) as load:
        rate = await _highest_rate(load)
        return rate, await _run_measured(stack, load, rate)


async def _run_alone(stack: Stack, rate: int) -> Run:
    async with _load(stack) as load:
        return await _run_measured(stack, load, rate)


@asynccontextmanager
async def _load(stack: Stack) -> AsyncGenerator[PaymentLoad]:
    """Lend people with money whose first payments have been made."""
    chain = Chain.of(stack)
    load = PaymentLoad(chain)
    async with crowd(stack, PEOPLE, load.on_frame) as members:
        load.use(members)
        await give_money(chain, members)
        await _run(load, WARM_UP_RATE, WARM_UP_SECONDS)
        yield load


async def _run_measured(stack: Stack, load: PaymentLoad, rate: int) -> Run:
    payments = rate * (WINDOW_SECONDS + LEAD_SECONDS)
    await load.prepare(payments)
    before = processor_seconds(stack.settings)
    outcome = await load.run(rate, WINDOW_SECONDS, LEAD_SECONDS)
    spent = since(before, processor_seconds(stack.settings))
    _show(outcome, spent)
    return Run(outcome, 1_000 * sum(spent.values()) / payments)


async def _highest_rate(load: PaymentLoad) -> int:
    """Raise the rate until it does not hold, then halve the difference between what did and what did not."""
    held = 0
    for rate in range(FIRST_RATE, LAST_RATE + 1, RATE_STEP):
        if not await _holds(load, rate):
            break
        held = rate
    else:
        return held
    if not held:
        return await _lower_rate(load)
    while rate - held > FINEST_STEP:
        between = (held + rate) // 2
        if await _holds(load, between):
            held = between
        else:
            rate = between
    return held


async def _lower_rate(load: PaymentLoad) -> int:
    for rate in SLOW_RATES:
        if await _holds(load, rate):
            return rate
    return SLOW_RATES[-1]


async def _holds(load: PaymentLoad, rate: int) -> bool:
    outcome = await _run(load, rate, SEARCH_SECONDS)
    return (
        outcome.completed_per_second >= SHARE_THAT_KEEPS_UP * rate
        and percentile(outcome.milliseconds, 95) <= BOUND_MILLISECONDS
    )


async def _run(load: PaymentLoad, rate: int, seconds: float) -> Outcome:
    await load.prepare(int(rate * (seconds + LEAD_SECONDS)))
    outcome = await load.run(rate, seconds, LEAD_SECONDS)
    _show(outcome, {})
    return outcome


def _show(outcome: Outcome, spent: dict[str, float]) -> None:
    p50, p95, p99 = (percentile(outcome.milliseconds, percent) for percent in (50, 95, 99))
    print(
        f"\n  offered {outcome.offered_per_second:.0f}/s, completed {outcome.completed_per_second:.1f}/s,"
        f" p50 {p50:.0f} p95 {p95:.0f} p99 {p99:.0f} ms,"
        f" last final {outcome.backlog_seconds:.1f} s after the last confirmation",
        flush=True,
    )
    if spent:
        seconds = ", ".join(f"{name} {value:.1f}" for name, value in spent.items())
        print(f"  processor seconds: {seconds}", flush=True)
