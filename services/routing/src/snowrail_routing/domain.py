"""Eligibility, the choice with its probabilities, and learning. Pure; randomness is an argument.

The choice is a softmax over each rail's value, mixed with a uniform share (an epsilon-softmax policy), whose
probabilities are exact: they are logged as propensities, so that other policies can be judged from the log by
inverse propensity weighting (Dudik, Langford, Li: Doubly Robust Policy Evaluation and Learning, ICML 2011).
Outcomes are discounted exponentially, for rewards that drift (Garivier, Moulines: On Upper-Confidence Bound
Policies for Switching Bandit Problems, ALT 2011).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import exp
from typing import Final

MILLION: Final = 1_000_000
EXPLORATION_SHARE: Final = 0.05
TEMPERATURE: Final = 0.1
HALF_LIFE_SECONDS: Final = 24 * 3600.0
PRIOR_SUCCESSES: Final = 9.0
PRIOR_TRIALS: Final = 10.0
LATENCY_SCALE_SECONDS: Final = 60.0
BREAKER_FAILURES: Final = 5
BREAKER_PAUSE: Final = timedelta(seconds=30)

PAYERS_OWN_CODES: Final = frozenset(
    {
        "insufficient_allowance",
        "insufficient_balance",
        "insufficient_deposit",
        "insufficient_funds",
        "no_eligible_rail",
        "order_cancelled",
        "order_expired",
        "safety_buffer",
        "wrong_signature",
    }
)
"""Failures that say nothing about the rail: no reward, and the breaker does not count them."""


@dataclass(frozen=True, slots=True)
class RailOffer:
    """What a rail can carry, from configuration.

    Attributes:
        tokens: token ids it carries; empty: every token of its chains.
        chain_ids: chains it executes on.
        smallest_atoms, largest_atoms: bounds of an amount, inclusive.
        cost, risk: relative, 0 (none) to 1.
    """

    rail: str
    chain_ids: frozenset[int]
    tokens: frozenset[str]
    smallest_atoms: int
    largest_atoms: int
    cost: float
    risk: float


@dataclass(frozen=True, slots=True)
class RailState:
    """A rail's switch and breaker."""

    enabled: bool
    failures: int
    open_until: datetime | None


@dataclass(frozen=True, slots=True)
class Request:
    """A payment that needs a rail; `amount` in atoms."""

    chain_id: int
    token: str
    amount: int
    excluded_rails: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Experience:
    """Discounted outcomes of a rail in a context."""

    successes: float
    trials: float
    latency_seconds: float
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class Choice:
    """The rail chosen, how likely that was, and why there was none."""

    rail: str | None
    propensity_millionths: int
    eligible_rails: tuple[str, ...]
    reason: str


def context_of(request: Request) -> str:
    """Return what outcomes are learnt for: the token, and the amount's order of magnitude."""
    return f"{request.token}|{len(str(request.amount))}"


def refusal(offer: RailOffer, state: RailState | None, request: Request, now: datetime) -> str | None:
    """Return why a rail cannot carry a payment, or None when it can."""
    if state is None or not state.enabled:
        return "rail_disabled"
    if state.open_until is not None and state.open_until > now:
        return "rail_paused"
    if offer.rail in request.excluded_rails:
        return "rail_excluded"
    if request.chain_id not in offer.chain_ids or (offer.tokens and request.token not in offer.tokens):
        return "token_not_carried"
    if not offer.smallest_atoms <= request.amount <= offer.largest_atoms:
        return "amount_out_of_bounds"
    return None


def value(offer: RailOffer, experience: Experience | None, now: datetime) -> float:
    """Return a rail's worth: expected success less cost, risk and expected latency, each about 0 to 1."""
    successes, trials, latency = PRIOR_SUCCESSES, PRIOR_TRIALS, 0.0
    if experience is not None:
        keep = _kept(experience.updated_at, now)
        successes += experience.successes * keep
        trials += experience.trials * keep
        latency = experience.latency_seconds
    return successes / trials - offer.cost - offer.risk - min(latency / LATENCY_SCALE_SECONDS, 1.0) * 0.1


def probabilities(values: Sequence[float]) -> list[float]:
    """Return the probability of each option: a softmax of the values, mixed with a uniform share."""
    highest = max(values)
    weights = [exp((item - highest) / TEMPERATURE) for item in values]
    total = sum(weights)
    uniform = EXPLORATION_SHARE / len(values)
    return [(1 - EXPLORATION_SHARE) * weight / total + uniform for weight in weights]


def choose(
    request: Request,
    offers: Sequence[RailOffer],
    states: Mapping[str, RailState],
    experiences: Mapping[str, Experience],
    now: datetime,
    draw: float,
) -> Choice:
    """Return the rail of an attempt.

    Args:
        experiences: of this request's context, by rail.
        draw: uniform in [0, 1).
    """
    refusals = {offer.rail: refusal(offer, states.get(offer.rail), request, now) for offer in offers}
    eligible = [offer for offer in offers if refusals[offer.rail] is None]
    if not eligible:
        reasons = sorted({reason for reason in refusals.values() if reason})
        return Choice(None, 0, (), reasons[0] if len(reasons) == 1 else "no_eligible_rail")
    names = tuple(offer.rail for offer in eligible)
    if len(eligible) == 1:
        return Choice(names[0], MILLION, names, "only_eligible_rail")
    chances = probabilities([value(offer, experiences.get(offer.rail), now) for offer in eligible])
    position = _drawn(chances, draw)
    best = max(range(len(chances)), key=chances.__getitem__)
    reason = "best_value" if position == best else "exploration"
    return Choice(names[position], max(1, round(chances[position] * MILLION)), names, reason)


def _drawn(chances: Sequence[float], draw: float) -> int:
    reached = 0.0
    for position, chance in enumerate(chances):
        reached += chance
        if draw < reached:
            return position
    return len(chances) - 1


def learn(before: Experience | None, succeeded: bool, latency_seconds: float, now: datetime) -> Experience:
    """Return the experience after one more outcome; older ones count for less."""
    keep = _kept(before.updated_at, now) if before else 0.0
    successes = (before.successes * keep if before else 0.0) + (1.0 if succeeded else 0.0)
    trials = (before.trials * keep if before else 0.0) + 1.0
    latency = latency_seconds if before is None else 0.9 * before.latency_seconds + 0.1 * latency_seconds
    return Experience(successes, trials, latency, now)


def _kept(since: datetime, now: datetime) -> float:
    return 0.5 ** (max(0.0, (now - since).total_seconds()) / HALF_LIFE_SECONDS)


def after_outcome(state: RailState, succeeded: bool, now: datetime) -> RailState:
    """Return a rail's breaker after an outcome: it opens for a pause after several failures in a row."""
    if succeeded:
        return RailState(state.enabled, 0, None)
    failures = state.failures + 1
    open_until = now + BREAKER_PAUSE if failures >= BREAKER_FAILURES else state.open_until
    return RailState(state.enabled, failures, open_until)
