"""Sets of payments under names, and their runs."""

from collections.abc import Collection, Sequence
from uuid import UUID

from snowrail_chat.domain.runs import Run, RunPayment, Template
from snowrail_chat.store.views import view_columns, view_of
from snowrail_kit.database import Database, Row
from snowrail_kit.unit_of_work import Transaction

_SAVE = """
INSERT INTO template (user_id, key, name, payments, saved_at)
SELECT user_id, key, name, payments, $5 FROM unnest($1::uuid[], $2::text[], $3::text[], $4::text[])
     AS new (user_id, key, name, payments)
ON CONFLICT (user_id, key) DO UPDATE
SET name = EXCLUDED.name, payments = EXCLUDED.payments, saved_at = EXCLUDED.saved_at
"""

_NAMED = """
SELECT template.user_id, key, name, payments
FROM unnest($1::uuid[], $2::text[]) AS wanted (user_id, key) JOIN template USING (user_id, key)
"""

_DELETE = """
DELETE FROM template USING unnest($1::uuid[], $2::text[]) AS unwanted (user_id, key)
WHERE template.user_id = unwanted.user_id AND template.key = unwanted.key
RETURNING template.user_id, template.key
"""

_START_PAYMENTS = """
INSERT INTO template_payment (run_id, position, line, intent_id, code, detail)
SELECT * FROM unnest($1::uuid[], $2::integer[], $3::text[], $4::uuid[], $5::text[], $6::text[])
"""

_REFUSE = """
UPDATE template_payment SET code = new.code, detail = new.detail
FROM unnest($1::uuid[], $2::text[], $3::text[]) AS new (intent_id, code, detail)
WHERE template_payment.intent_id = new.intent_id
RETURNING template_payment.intent_id
"""

_NEXT_RUNS = """
UPDATE template_run SET card_version = card_version + 1
WHERE run_id IN (SELECT run_id FROM template_payment WHERE intent_id = ANY($1::uuid[]))
RETURNING run_id, user_id, name, card_version
"""

_PAYMENTS = f"""
SELECT run.run_id, run.position, run.line, run.intent_id AS run_intent_id, run.code AS run_code,
       run.detail AS run_detail, {view_columns()}
FROM template_payment AS run LEFT JOIN intent ON intent.intent_id = run.intent_id
LEFT JOIN LATERAL (SELECT * FROM payment WHERE payment.intent_id = intent.intent_id
                   ORDER BY payment.occurrence DESC LIMIT 1) AS latest ON true
WHERE run.run_id = ANY($1::uuid[]) ORDER BY run.run_id, run.position
"""


async def save(tx: Transaction, templates: Collection[Template]) -> None:
    """Store sets, each name at most once; one that is known is replaced."""
    await tx.execute(
        _SAVE,
        [template.user_id for template in templates],
        [template.key for template in templates],
        [template.name for template in templates],
        [template.payments for template in templates],
        tx.now,
    )


async def of_users(tx: Transaction, user_ids: Collection[UUID]) -> dict[UUID, list[Template]]:
    """Return the sets of users, in the order of names."""
    rows = await tx.fetch(
        "SELECT user_id, key, name, payments FROM template WHERE user_id = ANY($1::uuid[]) ORDER BY key",
        list(set(user_ids)),
    )
    found: dict[UUID, list[Template]] = {}
    for row in rows:
        found.setdefault(row["user_id"], []).append(Template(**row))
    return found


async def named(tx: Transaction, wanted: Collection[tuple[UUID, str]]) -> dict[tuple[UUID, str], Template]:
    """Return sets by owner and key."""
    pairs = list(set(wanted))
    rows = await tx.fetch(_NAMED, [user for user, _ in pairs], [key for _, key in pairs])
    return {(row["user_id"], row["key"]): Template(**row) for row in rows}


async def delete(tx: Transaction, unwanted: Collection[tuple[UUID, str]]) -> set[tuple[UUID, str]]:
    """Delete sets. Returns owner and key of those that were there."""
    pairs = list(set(unwanted))
    rows = await tx.fetch(_DELETE, [user for user, _ in pairs], [key for _, key in pairs])
    return {(row["user_id"], row["key"]) for row in rows}


async def suggest(database: Database, user_id: UUID, prefix: str, limit: int) -> list[Row]:
    """Return sets whose name begins with a prefix, in the order of names."""
    return await database.fetch(
        "SELECT name, payments FROM template WHERE user_id = $1 AND starts_with(key, $2)"
        " ORDER BY key LIMIT $3",
        user_id,
        prefix.casefold(),
        limit,
    )


async def start(tx: Transaction, runs: Sequence[Run]) -> None:
    """Store runs, each new."""
    if not runs:
        return
    await tx.execute(
        "INSERT INTO template_run (run_id, user_id, name, started_at)"
        " SELECT *, $4 FROM unnest($1::uuid[], $2::uuid[], $3::text[])",
        [run.run_id for run in runs],
        [run.user_id for run in runs],
        [run.name for run in runs],
        tx.now,
    )
    rows = [(run.run_id, payment) for run in runs for payment in run.payments]
    await tx.execute(
        _START_PAYMENTS,
        [run_id for run_id, _ in rows],
        [payment.position for _, payment in rows],
        [payment.line for _, payment in rows],
        [payment.intent_id for _, payment in rows],
        [payment.code for _, payment in rows],
        [payment.detail for _, payment in rows],
    )


async def refuse(tx: Transaction, refusals: dict[UUID, tuple[str, str]]) -> set[UUID]:
    """Store why intents were refused: code and detail. Returns those that belong to runs."""
    if not refusals:
        return set()
    rows = await tx.fetch(
        _REFUSE,
        list(refusals),
        [code for code, _ in refusals.values()],
        [detail for _, detail in refusals.values()],
    )
    return {row["intent_id"] for row in rows}


async def next_runs(tx: Transaction, intent_ids: Collection[UUID]) -> list[Run]:
    """Return the runs that intents belong to, each with its next card version."""
    runs = {row["run_id"]: row for row in await tx.fetch(_NEXT_RUNS, list(intent_ids))}
    if not runs:
        return []
    payments: dict[UUID, list[RunPayment]] = {}
    for row in await tx.fetch(_PAYMENTS, list(runs)):
        payments.setdefault(row["run_id"], []).append(_payment(row))
    return [
        Run(run_id, row["user_id"], row["name"], row["card_version"], payments[run_id])
        for run_id, row in runs.items()
    ]


def _payment(row: Row) -> RunPayment:
    view = None if row["intent_id"] is None else view_of(row)
    return RunPayment(
        row["position"], row["line"], row["run_intent_id"], row["run_code"], row["run_detail"], view
    )
