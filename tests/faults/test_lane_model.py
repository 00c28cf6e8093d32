"""Every order of events of the nonce lane within bounds: no rule is broken, and each guard is needed.

Bounds are payments, workers, and how often each misfortune and each act of an operator happens. The short
walks take seconds; the long ones, minutes altogether, belong to `make test-faults`.
"""

import functools
import time
from collections.abc import Callable

import pytest

from .lane_explorer import Exploration, explore
from .lane_model import Model
from .lane_model_state import ALL_GUARDS, Budget, Guard, Item, State, Worker

SHORT_LIMIT = 50_000
LONG_LIMIT = 500_000


def begin(
    payments: int = 1,
    workers: int = 2,
    in_flight_limit: int = 2,
    is_replaceable: bool = False,
    **budget: int,
) -> State:
    """A lane with so many payments that are commanded; `budget` is what may happen to it."""
    items = tuple(Item(payment) for payment in range(payments))
    return State(items, (Worker(),) * workers, Budget(**budget), in_flight_limit, is_replaceable)


SHORT: dict[str, State] = {
    "two payments": begin(2),
    "crash and lost answer": begin(1, crashes=1, timeouts=1),
    "replacement and eviction": begin(1, crashes=1, is_replaceable=True, evictions=1),
    "reorganisation and delivery twice": begin(1, crashes=1, reorgs=1, duplicates=1),
    "foreign use and another attempt": begin(1, foreign=1, attempts=1, timeouts=1),
    "revert, another attempt, final block lost": begin(1, workers=1, reverts=1, attempts=1, rollbacks=1),
    "cancellation and another attempt": begin(cancellations=1, attempts=1),
    "cancellation and eviction": begin(workers=1, is_replaceable=True, cancellations=1, evictions=1),
    "fee raised, then cancelled": begin(workers=1, raises=1, cancellations=2),
    "pause": begin(2, workers=1, pauses=1),
    "foreign use and resumption": begin(workers=1, foreign=1, resumes=1, pauses=1),
}
LONG: dict[str, State] = {
    "two payments, crash, lost answer": begin(2, crashes=1, timeouts=1),
    "two payments, reorganisation": begin(2, workers=1, crashes=1, reorgs=1),
    "two payments, eviction, foreign use": begin(2, workers=1, evictions=1, foreign=1, crashes=1),
    "two payments, pause": begin(2, pauses=1, crashes=1),
    "two payments, cancellation": begin(2, in_flight_limit=1, cancellations=1),
    "two payments, cancellation, another attempt": begin(2, workers=1, cancellations=1, attempts=1),
    "two payments, foreign use, resumption": begin(2, workers=1, foreign=1, resumes=1),
    "replacement, eviction, reorganisation, lost answer": begin(
        is_replaceable=True, evictions=1, reorgs=1, timeouts=1
    ),
    "the same delivered twice, crash": begin(
        workers=1, is_replaceable=True, evictions=1, reorgs=1, timeouts=1, duplicates=1, crashes=1
    ),
    "revert, two more attempts, rollback": begin(
        workers=1, reverts=1, attempts=2, rollbacks=1, reorgs=1, crashes=1
    ),
    "cancellation, lost answer, reorganisation": begin(cancellations=1, crashes=1, timeouts=1, reorgs=1),
    "cancellation, another attempt, reorganisation": begin(cancellations=1, attempts=1, reorgs=1, crashes=1),
    "cancellation, another attempt, eviction": begin(
        is_replaceable=True, cancellations=1, attempts=1, evictions=1
    ),
    "raised, cancelled, reorganisation": begin(
        workers=1, is_replaceable=True, raises=1, cancellations=1, reorgs=1, crashes=1
    ),
    "foreign use, cancellation, resumption": begin(
        workers=1, foreign=1, resumes=1, cancellations=1, attempts=1
    ),
    "foreign use, pause, resumptions, reorganisation": begin(
        workers=1, foreign=1, resumes=2, pauses=1, crashes=1, reorgs=1
    ),
}
NEEDED: dict[Guard, State] = {
    Guard.BYTES_BEFORE_BROADCAST: begin(),
    Guard.ONE_TAKER_OF_A_NONCE: begin(2),
    Guard.ITEMS_ARE_CLAIMED: begin(),
    Guard.RESERVATION_IS_KEPT: begin(),
    Guard.TIME_DECIDES_NOTHING: begin(attempts=1),
    Guard.FAILURE_IS_FINAL: begin(reverts=1, reorgs=1, attempts=1),
    Guard.COMMAND_ONCE: begin(duplicates=1),
    Guard.OCCURRENCE_ONCE: begin(attempts=1),
    Guard.SAME_EFFECT: begin(is_replaceable=True),
    Guard.FEE_CEILING: begin(is_replaceable=True),
    Guard.NONCE_ORDER: begin(2),
    Guard.FOREIGN_FREEZES: begin(foreign=1),
    Guard.NEWEST_FACT: begin(reorgs=1),
    Guard.ORPHANS_GO_AGAIN: begin(reorgs=1),
    Guard.QUIET_GOES_AGAIN: begin(evictions=1),
    Guard.IN_FLIGHT_LIMIT: begin(2, in_flight_limit=1),
    Guard.ESCROW_ONCE: begin(workers=1, reverts=1, attempts=1, rollbacks=1),
    Guard.LIMIT_GOES_AGAIN: begin(workers=1, is_replaceable=True, evictions=1),
    Guard.STOPPED_TAKES_NOTHING: begin(pauses=1),
    Guard.PAUSE_HIDES_NO_FREEZE: begin(foreign=1, pauses=1),
    Guard.FOREIGN_IS_FINAL: begin(workers=1, foreign=1, resumes=1, reorgs=1),
    Guard.CANCELLATION_IS_AWAITED: begin(workers=1, cancellations=1, attempts=1),
    Guard.CANCELLATION_MOVES_NOTHING: begin(2, workers=1, in_flight_limit=1, cancellations=1),
    Guard.CANCELLATION_IS_OURS: begin(workers=1, cancellations=1),
    Guard.CANCELLATION_PAYS_NOBODY: begin(workers=1, cancellations=1),
    Guard.CANCELLATION_STANDS: begin(workers=1, is_replaceable=True, cancellations=1),
    Guard.NEWEST_IS_REPLACED: begin(workers=1, is_replaceable=True, cancellations=1),
}
"""For each guard, bounds within which the lane breaks a rule without it."""


@functools.cache
def walk(first: State, guards: frozenset[Guard] = ALL_GUARDS, limit: int = SHORT_LIMIT) -> Exploration:
    """Explore the lane with these guards in place."""
    return explore(first, Model(guards).steps, limit)


def bounds(first: State) -> str:
    """The bounds of a walk, in words."""
    events = {name: count for name, count in first.budget._asdict().items() if count}
    fees = ", replacements" if first.is_replaceable else ""
    return f"{len(first.items)} payments, {len(first.workers)} workers, at most {events}{fees}"


@pytest.mark.parametrize("name", SHORT)
def test_no_order_of_events_breaks_a_rule(name: str) -> None:
    found = walk(SHORT[name])
    print(f"{name}: {bounds(SHORT[name])}: {found}")
    assert not found.violation, str(found)


@pytest.mark.faults
@pytest.mark.parametrize("name", LONG)
def test_no_longer_order_of_events_breaks_a_rule(name: str, tell: Callable[[str], None]) -> None:
    begun = time.monotonic()
    found = walk(LONG[name], limit=LONG_LIMIT)
    tell(f"{name}: {bounds(LONG[name])}: {found}, {time.monotonic() - begun:.0f} s")
    assert not found.violation, str(found)


@pytest.mark.parametrize("guard", Guard, ids=lambda guard: guard.name.lower())
def test_without_any_one_guard_a_rule_is_broken(guard: Guard) -> None:
    intact = walk(NEEDED[guard])
    assert not intact.violation, str(intact)
    found = walk(NEEDED[guard], ALL_GUARDS - {guard})
    print(f"without «{guard}», {bounds(NEEDED[guard])}\n{found}")
    assert found.violation, f"nothing breaks without «{guard}»"
    assert found.trace


def test_walks_are_the_same_every_time() -> None:
    model = Model()
    first, second = (explore(begin(crashes=1, timeouts=1), model.steps, SHORT_LIMIT) for _ in range(2))
    assert (first.states, first.edges) == (second.states, second.edges)
