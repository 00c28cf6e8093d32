"""One whole payment, every service of which dies before and after every database, bus and HTTP call it makes.

The calls are not listed here: they are recorded while payments are made. What services also call while nobody
pays is told apart by recording a quiet time. Then payments follow one another, in each of which every service
dies once, at a point of its own: it is started again, the payment becomes final, and from time to time the
independent checker compares chain and databases.

`SNOWRAIL_KILL_POINTS=all` also takes each repetition of a call within a payment, and calls of quiet times.
"""

import asyncio
import os
import shutil
import tempfile
import time
from collections import Counter, deque
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import pytest_asyncio

from snowrail_testkit import eventually
from snowrail_testkit.call_board import Call, KillPoint, Order, Side

from .mortal_platform import MortalStack, Platform, settings_on_free_ports

pytestmark = pytest.mark.faults

CHOICE_VARIABLE = "SNOWRAIL_KILL_POINTS"
QUIET_SECONDS = 20.0
RECORDED_PAYMENTS = 3
CHECKED_EVERY_PAYMENTS = 10
TRIES_PER_POINT = 3
FAILED_PAYMENTS_LIMIT = 3
FIRST_ATOMS = 100_000
TAIL_SECONDS = 2.0
"""How long after a payment is final its last calls may take."""
LEAST_POINTS = 300
LEAST_REACHED_PERCENT = 98


@dataclass
class Campaign:
    """Points to die at by service, and what became of those that were tried."""

    waiting: dict[str, deque[KillPoint]]
    recorded: int
    tries: Counter[tuple[str, KillPoint]] = field(default_factory=Counter[tuple[str, KillPoint]])
    reached: int = 0
    missed: list[tuple[str, KillPoint]] = field(default_factory=list[tuple[str, KillPoint]])
    payments: int = 0
    failures: list[str] = field(default_factory=list[str])
    unchecked: list[str] = field(default_factory=list[str])
    """Payments and their kills since the checker last looked."""

    def next_kills(self) -> dict[str, KillPoint]:
        """Take one point of each service that still has any."""
        return {service: points.popleft() for service, points in self.waiting.items() if points}

    def settle(self, service: str, point: KillPoint, has_ended: bool) -> None:
        """Count a point that was tried; one that was not reached is tried again, but not for ever."""
        self.tries[service, point] += 1
        if has_ended:
            self.reached += 1
        elif self.tries[service, point] < TRIES_PER_POINT:
            self.waiting[service].append(point)
        else:
            self.missed.append((service, point))

    def summary(self, seconds: float) -> str:
        """Return how far the campaign has come."""
        return (
            f"whole payment: {self.recorded} points recorded, {self.reached} died at, {len(self.missed)} not"
            f" reached; {self.payments} payments, {len(self.failures)} not final; {seconds:.0f} s"
        )


@pytest_asyncio.fixture(loop_scope="session")
async def platform() -> AsyncIterator[Platform]:
    """A platform of this test alone."""
    folder = Path(tempfile.mkdtemp(prefix="snowrail-mortal-"))
    stack = MortalStack(settings_on_free_ports(folder))
    await asyncio.to_thread(stack.start)
    running = Platform(stack)
    try:
        await running.prepare()
        yield running
    finally:
        await running.close()
        await asyncio.to_thread(stack.stop)
        await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)


async def record(platform: Platform) -> tuple[int, list[int]]:
    """Record a quiet time, then payments. Returns the number of the quiet run and those of the payments."""
    # nobody's first payment: it would ask about people who are not known yet
    await asyncio.gather(*(pay(platform, -number) for number in range(len(platform.payers))))
    await asyncio.sleep(TAIL_SECONDS)
    quiet, *paying = range(1, 2 + RECORDED_PAYMENTS)
    platform.board.give(Order(quiet, is_recording=True))
    await asyncio.sleep(QUIET_SECONDS)
    for run in paying:
        platform.board.give(Order(run, is_recording=True))
        await pay(platform, run)
        await asyncio.sleep(TAIL_SECONDS)
    return quiet, paying


async def pay(platform: Platform, run: int) -> None:
    """Make a payment that differs from every other, until it is final."""
    payers = platform.payers
    payer, recipient = payers[run % len(payers)], payers[(run + 1) % len(payers)]
    await payer.pay(recipient, f"1.{FIRST_ATOMS + run:06d}")


def points_of(quiet: Iterable[Call], payments: Iterable[list[Call]], everything: bool) -> list[KillPoint]:
    """Return where a service dies.

    Args:
        quiet: What it called while nobody paid.
        payments: What it called during each recorded payment. What is not in all of them is chance.
        everything: Each repetition of a call, and calls of quiet times; otherwise each call once.
    """
    in_quiet = {_after(call, 1) for call in quiet} | {_before(call, 1) for call in quiet}
    of_payments: list[dict[KillPoint, None]] = []
    for calls in payments:
        found: dict[KillPoint, None] = {}
        for call in calls:
            found[_before(call, call.occurrence if everything else 1)] = None
            found[_after(call, call.occurrence_of_outcome if everything else 1)] = None
        of_payments.append(found)
    common = [point for point in of_payments[0] if all(point in found for found in of_payments)]
    own = [point for point in common if KillPoint(point.label, point.side, point.outcome) not in in_quiet]
    return own + sorted(in_quiet, key=str) if everything else own


def _before(call: Call, occurrence: int) -> KillPoint:
    return KillPoint(call.label, Side.BEFORE, "", occurrence)


def _after(call: Call, occurrence: int) -> KillPoint:
    return KillPoint(call.label, Side.AFTER, call.outcome, occurrence)


async def pay_and_die(platform: Platform, campaign: Campaign, run: int, tell: Callable[[str], None]) -> None:
    """Make one payment in which every service dies once, at its next point."""
    kills = campaign.next_kills()
    platform.board.give(Order(run, kills=kills))
    described = "; ".join(f"{service} {point}" for service, point in kills.items())
    campaign.unchecked.append(f"payment {run}: {described}")
    try:
        await pay(platform, run)
    except TimeoutError:
        campaign.failures.append(f"payment {run} is not final: {described}")
        tell(campaign.failures[-1])
    campaign.payments += 1

    async def have_all_ended() -> bool:
        return all(platform.board.has_ended(run, service) for service in kills)

    with suppress(TimeoutError):
        await eventually(have_all_ended, TAIL_SECONDS)
    for service, point in kills.items():
        campaign.settle(service, point, platform.board.has_ended(run, service))


async def test_a_payment_survives_the_death_of_every_service_at_every_call(
    platform: Platform, tell: Callable[[str], None]
) -> None:
    begun = time.monotonic()
    everything = os.environ.get(CHOICE_VARIABLE) == "all"
    quiet, paying = await record(platform)
    waiting: dict[str, deque[KillPoint]] = {}
    for service in platform.services:
        of_payments = [platform.board.calls(run, service) for run in paying]
        waiting[service] = deque(points_of(platform.board.calls(quiet, service), of_payments, everything))
    campaign = Campaign(waiting, sum(len(points) for points in waiting.values()))
    tell(", ".join(f"{service} {len(points)} points" for service, points in waiting.items()))
    assert campaign.recorded >= LEAST_POINTS
    run = paying[-1]
    while any(waiting.values()) and len(campaign.failures) < FAILED_PAYMENTS_LIMIT:
        run += 1
        await pay_and_die(platform, campaign, run, tell)
        if campaign.payments % CHECKED_EVERY_PAYMENTS == 0 or not any(waiting.values()):
            violations = await platform.violations()
            tell(campaign.summary(time.monotonic() - begun))
            assert not violations, "\n".join((violations, *campaign.unchecked))
            campaign.unchecked.clear()
    for service, point in campaign.missed:
        tell(f"not reached: {service} {point}")
    assert not campaign.failures, "\n".join(campaign.failures)
    # a repetition of a call is not the same in every payment, so that not each of them can be reached
    assert everything or campaign.reached * 100 >= campaign.recorded * LEAST_REACHED_PERCENT
