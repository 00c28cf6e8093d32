"""Eligibility, the choice with its probabilities, and learning. Pure; randomness is an argument.

The choice is a softmax over each rail's value, mixed with a uniform share (an epsilon-softmax policy), whose
probabilities are exact: they are logged as propensities, so that other policies can be judged from the log by
inverse propensity weighting (Dudik, Langford, Li: Doubly Robust Policy Evaluation and Learning, ICML 2011).
Outcomes are discounted exponentially, for rewards that drift (Garivier, Moulines: On Upper-Confidence Bound
Policies for Switching Bandit Problems, ALT 2011).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
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
FIRST_PAUSE: Final = timedelta(seconds=10)
LONGEST_PAUSE: Final = timedelta(minutes=5)
PROBES: Final = 3
"""Attempts a rail is tried with after a pause, before one of their outcomes is known."""
PROBE_PATIENCE: Final = timedelta(seconds=30)
"""How long the outcomes of probes are waited for before more are sent."""

RAIL_PAUSED: Final = "rail_paused"
RAILS_OWN_CODES: Final = frozenset(
    {
        "chain_not_supported",
        "escrow_paused",
        "escrow_unknown",
        "evidence_lost_unsent",
        "executor_not_authorised",
        "insufficient_gas",
        "nonce_taken",
        "transaction_reverted",
    }
)
"""Failures that are the rail's. Every other one a payer or a recipient can bring about: it teaches nothing,
and nobody can stop a rail for everybody by failing on purpose."""


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
    """A rail's switch and breaker.

    The breaker is closed without `open_until`, open before it, and half-open after it: then a few attempts
    probe the rail, until one of them succeeds.

    Attributes:
        failures: in a row.
        opened_at: when the breaker last opened; outcomes of earlier choices say nothing about the rail now.
        pauses: how often it opened in a row; each pause is twice as long as the one before.
        probes: attempts sent since the pause ended, or since patience with the last ones did.
        probed_at: when the last of them was sent.
    """

    enabled: bool
    failures: int = 0
    opened_at: datetime | None = None
    open_until: datetime | None = None
    pauses: int = 0
    probes: int = 0
    probed_at: datetime | None = None

    def admits(self, now: datetime) -> bool:
        """Whether the breaker lets an attempt through."""
        if self.open_until is None:
            return True
        if now < self.open_until:
            return False
        return self.probes < PROBES or self.probed_at is None or now - self.probed_at >= PROBE_PATIENCE


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
    if offer.rail in request.excluded_rails:
        return "rail_excluded"
    if request.chain_id not in offer.chain_ids or (offer.tokens and request.token not in offer.tokens):
        return "token_not_carried"
    if not offer.smallest_atoms <= request.amount <= offer.largest_atoms:
        return "amount_out_of_bounds"
    return None if state.admits(now) else RAIL_PAUSED


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
        reasons = {reason for reason in refusals.values() if reason}
        if RAIL_PAUSED in reasons:
            return Choice(None, 0, (), RAIL_PAUSED)
        return Choice(None, 0, (), reasons.pop() if len(reasons) == 1 else "no_eligible_rail")
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


def after_choice(state: RailState, now: datetime) -> RailState:
    """Return a rail's breaker after an attempt was sent its way: a half-open one counts its probes."""
    if state.open_until is None:
        return state
    is_new_round = state.probes >= PROBES
    return replace(state, probes=1 if is_new_round else state.probes + 1, probed_at=now)


def after_outcome(state: RailState, succeeded: bool, selected_at: datetime, now: datetime) -> RailState:
    """Return a rail's breaker after the outcome of a choice.

    It opens after several failures in a row, and at once when a probe fails; a probe that succeeds closes it.
    """
    if state.opened_at is not None and selected_at < state.opened_at:
        return state
    if succeeded:
        return RailState(state.enabled)
    failures = state.failures + 1
    if state.open_until is None and failures < BREAKER_FAILURES:
        return replace(state, failures=failures)
    pause = min(FIRST_PAUSE * 2 ** min(state.pauses, 10), LONGEST_PAUSE)
    return RailState(state.enabled, failures, now, now + pause, state.pauses + 1)
