"""Payments from the accepted confirmation to the client's final event, at the highest rate that holds."""

import statistics

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
    """Three runs of a minute at the highest rate at which completions keep up with what is offered."""
    with measured_stack() as stack:
        uvloop.run(_measure(stack, table))


async def _measure(stack: Stack, table: Table) -> None:
    chain = Chain.of(stack)
    load = PaymentLoad(chain)
    async with crowd(stack, PEOPLE, load.on_frame) as members:
        load.use(members)
        await give_money(chain, members)
        await _run(load, WARM_UP_RATE, WARM_UP_SECONDS)
        rate = await _highest_rate(load)
        outcomes: list[Outcome] = []
        used = 0.0
        for _ in range(RUNS):
            await load.prepare(rate * (WINDOW_SECONDS + LEAD_SECONDS))
            before = processor_seconds(stack.settings)
            outcomes.append(await load.run(rate, WINDOW_SECONDS, LEAD_SECONDS))
            spent = since(before, processor_seconds(stack.settings))
            used += sum(spent.values())
            _show(outcomes[-1], spent)
    table.add(
        "payments end to end, 60 s, median of three",
        statistics.median(outcome.completed_per_second for outcome in outcomes),
        "payments/s",
        ">= 150",
    )
    table.add("payments end to end, rate offered", rate, "payments/s")
    table.add_percentiles(
        "payment, confirmation to final, at that rate",
        [sample for outcome in outcomes for sample in outcome.milliseconds],
    )
    payments = RUNS * rate * (WINDOW_SECONDS + LEAD_SECONDS)
    table.add("payment, processor time of all processes", 1_000 * used / payments, "ms")


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
