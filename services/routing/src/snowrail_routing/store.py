"""Tables and SQL of routing."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import orjson

from snowrail_kit.database import Connection, Row
from snowrail_kit.unit_of_work import Transaction
from snowrail_routing.domain import Choice, Experience, RailState
from snowrail_routing.settings import RailSettings


@dataclass(frozen=True, slots=True)
class NewDecision:
    """A decision to store; `inputs` is what it was made from."""

    decision_id: UUID
    payment_id: UUID
    attempt: int
    choice: Choice
    context: str
    inputs: dict[str, object]


_INSERT_DECISIONS = """
INSERT INTO decision (decision_id, payment_id, attempt, rail, propensity_millionths, eligible_rails, reason,
                      context, inputs, selected_at)
SELECT decision_id, payment_id, attempt, rail, propensity, eligible::jsonb, reason, context, inputs::jsonb,
       $10
FROM unnest($1::uuid[], $2::uuid[], $3::integer[], $4::text[], $5::integer[], $6::text[], $7::text[],
            $8::text[], $9::text[])
     AS new (decision_id, payment_id, attempt, rail, propensity, eligible, reason, context, inputs)
ON CONFLICT (payment_id, attempt) DO NOTHING
"""

_SAVE_EXPERIENCES = """
INSERT INTO experience (context, rail, successes, trials, latency_seconds, updated_at)
SELECT * FROM unnest($1::text[], $2::text[], $3::float8[], $4::float8[], $5::float8[], $6::timestamptz[])
ON CONFLICT (context, rail) DO UPDATE
SET successes = EXCLUDED.successes, trials = EXCLUDED.trials, latency_seconds = EXCLUDED.latency_seconds,
    updated_at = EXCLUDED.updated_at
"""

_SAVE_RAILS = """
UPDATE rail SET failures = new.failures, opened_at = new.opened_at, open_until = new.open_until,
    pauses = new.pauses, probes = new.probes, probed_at = new.probed_at, changed_at = $8
FROM unnest($1::text[], $2::integer[], $3::timestamptz[], $4::timestamptz[], $5::integer[], $6::integer[],
            $7::timestamptz[]) AS new (rail, failures, opened_at, open_until, pauses, probes, probed_at)
WHERE rail.rail = new.rail
"""

_REWARD = """
UPDATE decision SET rewarded_at = $3, reward_millionths = new.reward
FROM unnest($1::uuid[], $2::integer[]) AS new (decision_id, reward)
WHERE decision.decision_id = new.decision_id
"""


async def ensure_rails(connection: Connection, rails: Sequence[RailSettings], now: datetime) -> None:
    """Add rails that are configured for the first time."""
    await connection.execute(
        "INSERT INTO rail (rail, enabled, changed_at) SELECT rail, enabled, $3"
        " FROM unnest($1::text[], $2::boolean[]) AS new (rail, enabled) ON CONFLICT DO NOTHING",
        [item.rail for item in rails],
        [item.enabled for item in rails],
        now,
    )


def _state(row: Row) -> RailState:
    return RailState(
        enabled=row["enabled"],
        failures=row["failures"],
        opened_at=row["opened_at"],
        open_until=row["open_until"],
        pauses=row["pauses"],
        probes=row["probes"],
        probed_at=row["probed_at"],
    )


async def rail_states(connection: Connection, lock: bool = False) -> dict[str, RailState]:
    """Return switches and breakers by rail."""
    rows = await connection.fetch(f"SELECT * FROM rail ORDER BY rail {'FOR UPDATE' if lock else ''}")
    return {row["rail"]: _state(row) for row in rows}


async def save_rail_states(tx: Transaction, states: dict[str, RailState]) -> None:
    """Write changed breakers back."""
    if not states:
        return
    await tx.execute(
        _SAVE_RAILS,
        list(states),
        [state.failures for state in states.values()],
        [state.opened_at for state in states.values()],
        [state.open_until for state in states.values()],
        [state.pauses for state in states.values()],
        [state.probes for state in states.values()],
        [state.probed_at for state in states.values()],
        tx.now,
    )


async def switch_rail(tx: Transaction, rail: str, enabled: bool) -> bool:
    """Switch a rail on or off, closing its breaker. Returns whether the rail exists."""
    row = await tx.fetch_row(
        "UPDATE rail SET enabled = $2, failures = 0, opened_at = NULL, open_until = NULL, pauses = 0,"
        " probes = 0, probed_at = NULL, changed_at = $3 WHERE rail = $1 RETURNING rail",
        rail,
        enabled,
        tx.now,
    )
    return row is not None


async def experiences(connection: Connection, contexts: Sequence[str]) -> dict[str, dict[str, Experience]]:
    """Return what was learnt, by context and rail."""
    rows = await connection.fetch(
        "SELECT * FROM experience WHERE context = ANY($1::text[])", list(set(contexts))
    )
    found: dict[str, dict[str, Experience]] = {}
    for row in rows:
        found.setdefault(row["context"], {})[row["rail"]] = Experience(
            row["successes"], row["trials"], row["latency_seconds"], row["updated_at"]
        )
    return found


async def save_experiences(tx: Transaction, learnt: dict[tuple[str, str], Experience]) -> None:
    """Write what was learnt, in the order of its key."""
    keys = sorted(learnt)
    await tx.execute(
        _SAVE_EXPERIENCES,
        [context for context, _ in keys],
        [rail for _, rail in keys],
        [learnt[key].successes for key in keys],
        [learnt[key].trials for key in keys],
        [learnt[key].latency_seconds for key in keys],
        [learnt[key].updated_at for key in keys],
    )


async def insert_decisions(tx: Transaction, decisions: Sequence[NewDecision]) -> None:
    """Store decisions; an attempt that has one keeps it."""
    await tx.execute(
        _INSERT_DECISIONS,
        [item.decision_id for item in decisions],
        [item.payment_id for item in decisions],
        [item.attempt for item in decisions],
        [item.choice.rail for item in decisions],
        [item.choice.propensity_millionths for item in decisions],
        [orjson.dumps(item.choice.eligible_rails).decode() for item in decisions],
        [item.choice.reason for item in decisions],
        [item.context for item in decisions],
        [orjson.dumps(item.inputs).decode() for item in decisions],
        tx.now,
    )


async def decisions_of(tx: Transaction, attempts: Sequence[tuple[UUID, int]]) -> dict[tuple[UUID, int], Row]:
    """Return stored decisions by payment and attempt."""
    rows = await tx.fetch(
        "SELECT decision.* FROM decision"
        " JOIN unnest($1::uuid[], $2::integer[]) AS asked (payment_id, attempt) USING (payment_id, attempt)",
        [payment_id for payment_id, _ in attempts],
        [attempt for _, attempt in attempts],
    )
    return {(row["payment_id"], row["attempt"]): row for row in rows}


async def lock_unrewarded(tx: Transaction, payment_ids: Sequence[UUID]) -> list[Row]:
    """Return decisions of payments that were not rewarded yet, locked, in order of attempt."""
    return await tx.fetch(
        "SELECT * FROM decision WHERE payment_id = ANY($1::uuid[]) AND rewarded_at IS NULL"
        " ORDER BY payment_id, attempt FOR UPDATE",
        list(set(payment_ids)),
    )


async def reward(tx: Transaction, rewards: Sequence[tuple[UUID, int | None]]) -> None:
    """Store rewards in millionths; None where the outcome says nothing about the rail."""
    await tx.execute(
        _REWARD, [decision_id for decision_id, _ in rewards], [value for _, value in rewards], tx.now
    )
