"""Choose rails for a batch of attempts; learn from payments that ended."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from snowrail_events import PaymentFailedV1, PaymentSucceededV1, RouteSelectedV1, RouteSelectV1
from snowrail_kit.audit import Act, append
from snowrail_kit.auth import Identity
from snowrail_kit.delivery import Delivery
from snowrail_kit.ids import derived_id
from snowrail_kit.inbox import wake_parked
from snowrail_kit.problems import Problem, not_found
from snowrail_kit.unit_of_work import Transaction
from snowrail_routing import domain, store
from snowrail_routing.domain import Choice, RailState, Request
from snowrail_routing.parts import Parts
from snowrail_routing.store import NewDecision

RAILS_KEY = "rails"
"""What attempts wait for while rails are paused."""


async def select_routes(deliveries: list[Delivery[RouteSelectV1]], tx: Transaction, parts: Parts) -> None:
    """Decide for each attempt, once; an attempt that asks again gets its first answer.

    While every rail that could carry a payment is paused, its attempt waits: nothing has failed yet.
    """
    requests = {(item.event.payment_id, item.event.attempt): _request(item.event) for item in deliveries}
    stored = await store.decisions_of(tx, list(requests))
    fresh = {key: request for key, request in requests.items() if key not in stored}
    if fresh:
        await store.insert_decisions(tx, await _decide(fresh, tx, parts))
        stored = await store.decisions_of(tx, list(requests))
    for delivery in deliveries:
        row = stored.get((delivery.event.payment_id, delivery.event.attempt))
        if row is None:
            delivery.wait_for(RAILS_KEY, "every rail that could carry it is paused")
            continue
        tx.emit(
            RouteSelectedV1(
                payment_id=row["payment_id"],
                attempt=row["attempt"],
                decision_id=row["decision_id"],
                rail=row["rail"],
                propensity_millionths=row["propensity_millionths"],
                eligible_rails=tuple(row["eligible_rails"]),
                reason=row["reason"],
                selected_at=row["selected_at"],
            ),
            cause=delivery,
        )


async def _decide(
    requests: Mapping[tuple[UUID, int], Request], tx: Transaction, parts: Parts
) -> list[NewDecision]:
    """Return decisions for attempts that have none; for those that have to wait, none."""
    states = await store.rail_states(tx.connection)
    if any(state.open_until is not None for state in states.values()):
        states = await store.rail_states(tx.connection, lock=True)  # probes are counted over all replicas
    before = dict(states)
    learnt = await store.experiences(tx.connection, [domain.context_of(item) for item in requests.values()])
    decisions: list[NewDecision] = []
    for (payment_id, attempt), request in requests.items():
        context = domain.context_of(request)
        known = learnt.get(context, {})
        choice = domain.choose(request, parts.offers, states, known, tx.now, parts.draw())
        if choice.reason == domain.RAIL_PAUSED:
            continue
        if choice.rail is not None:
            states[choice.rail] = domain.after_choice(states[choice.rail], tx.now)
        inputs: dict[str, object] = {
            "chain_id": request.chain_id,
            "token": request.token,
            "amount": str(request.amount),
            "excluded_rails": request.excluded_rails,
            "experience": {
                rail: [item.successes, item.trials, item.latency_seconds] for rail, item in known.items()
            },
        }
        decision_id = derived_id("decision", payment_id, attempt)
        decisions.append(NewDecision(decision_id, payment_id, attempt, choice, context, inputs))
    await store.save_rail_states(tx, _changed(before, states))
    return decisions


def _changed(before: Mapping[str, RailState], after: Mapping[str, RailState]) -> dict[str, RailState]:
    return {rail: state for rail, state in after.items() if state != before[rail]}


def _request(event: RouteSelectV1) -> Request:
    return Request(event.chain_id, event.token, event.amount, event.excluded_rails)


async def preview_route(parts: Parts, request: Request) -> Choice:
    """Return what would be chosen now. Nothing is stored."""
    async with parts.database.connection() as connection:
        states = await store.rail_states(connection)
        context = domain.context_of(request)
        learnt = await store.experiences(connection, [context])
    return domain.choose(
        request, parts.offers, states, learnt.get(context, {}), parts.clock.now(), parts.draw()
    )


@dataclass(frozen=True, slots=True)
class Ending:
    """How a payment ended, as far as its rails are concerned."""

    attempt: int
    succeeded: bool
    counts: bool
    ended_at: datetime


async def learn_from_successes(
    deliveries: list[Delivery[PaymentSucceededV1]], tx: Transaction, _: Parts
) -> None:
    """Reward the decision that succeeded; those before it failed."""
    await _learn(
        tx,
        {
            item.event.payment_id: Ending(item.event.attempt, True, True, item.event.succeeded_at)
            for item in deliveries
        },
    )


async def learn_from_failures(deliveries: list[Delivery[PaymentFailedV1]], tx: Transaction, _: Parts) -> None:
    """Count failures against their rails, where they are the rails' own."""
    await _learn(
        tx,
        {
            item.event.payment_id: Ending(
                item.event.attempt,
                False,
                item.event.code in domain.RAILS_OWN_CODES,
                item.event.failed_at,
            )
            for item in deliveries
        },
    )


async def _learn(tx: Transaction, endings: dict[UUID, Ending]) -> None:
    rows = await store.lock_unrewarded(tx, list(endings))
    if not rows:
        return
    states = await store.rail_states(tx.connection, lock=True)
    before = dict(states)
    learnt = {
        (context, rail): item
        for context, rails in (
            await store.experiences(tx.connection, [row["context"] for row in rows])
        ).items()
        for rail, item in rails.items()
    }
    rewards: list[tuple[UUID, int | None]] = []
    for row in rows:
        ending = endings[row["payment_id"]]
        rail: str | None = row["rail"]
        is_last = row["attempt"] >= ending.attempt
        if rail is None or (is_last and not ending.counts):
            rewards.append((row["decision_id"], None))
            continue
        succeeded = is_last and ending.succeeded
        latency_seconds = max(0.0, (ending.ended_at - row["selected_at"]).total_seconds())
        key = (row["context"], rail)
        learnt[key] = domain.learn(learnt.get(key), succeeded, latency_seconds, tx.now)
        if rail in states:
            states[rail] = domain.after_outcome(states[rail], succeeded, row["selected_at"], tx.now)
        rewards.append((row["decision_id"], domain.MILLION if succeeded else 0))
    await store.reward(tx, rewards)
    await store.save_experiences(tx, learnt)
    changed = _changed(before, states)
    await store.save_rail_states(tx, changed)
    if any(state.open_until is None for state in changed.values()):
        tx.wake(RAILS_KEY)


async def switch_rail(
    tx: Transaction, parts: Parts, rail: str, enabled: bool, reason: str, by: Identity
) -> None:
    """Switch a rail on or off, and record who did it and why.

    Raises:
        Problem: 404 for an unknown rail, 409 for one that nothing carries yet.
    """
    if enabled and any(item.rail == rail and not item.available for item in parts.rails):
        raise Problem(409, "rail_not_available", f"Nothing carries payments over {rail} yet.")
    if not await store.switch_rail(tx, rail, enabled):
        raise not_found("rail")
    await wake_parked(tx.connection, {RAILS_KEY}, tx.now)
    act = Act(str(by.user_id), "rail.switched", rail, {"enabled": enabled, "reason": reason})
    await append(tx.connection, [act], tx.now)


async def first_rails(parts: Parts) -> None:
    """Make the configured rails known."""
    async with parts.database.transaction() as connection:
        await store.ensure_rails(connection, parts.rails, parts.clock.now())
