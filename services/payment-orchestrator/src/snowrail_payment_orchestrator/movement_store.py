"""Tables and SQL of movements: what counts of an order's events, in the order of the chain."""

from collections.abc import Iterable, Sequence

from snowrail_kit.unit_of_work import Transaction
from snowrail_payment_orchestrator.movements import Movement

_LOCK = """
INSERT INTO moved_order (order_hash, token)
SELECT order_hash, token FROM unnest($1::text[], $2::text[]) AS moved (order_hash, token)
ORDER BY order_hash, token
ON CONFLICT (order_hash, token) DO UPDATE SET token = EXCLUDED.token WHERE false
"""
"""A conflict locks the row although the condition keeps it as it is."""

_FROM_PLACE = """
WITH first AS (
    SELECT DISTINCT ON (order_hash, token) order_hash, token, block_number, log_index
    FROM (SELECT order_hash, token, block_number, log_index
          FROM unnest($1::text[], $2::text[], $3::bigint[], $4::integer[])
               AS added (order_hash, token, block_number, log_index)
          UNION ALL
          SELECT order_hash, token, block_number, log_index
          FROM order_movement WHERE reference = ANY($5::text[])) AS change
    ORDER BY order_hash, token, block_number, log_index
)
SELECT movement.* FROM first CROSS JOIN LATERAL (
    (SELECT known.*, true AS is_before FROM order_movement AS known
     WHERE known.order_hash = first.order_hash AND known.token = first.token
       AND (known.block_number, known.log_index) < (first.block_number, first.log_index)
     ORDER BY block_number DESC, log_index DESC, reference DESC LIMIT 1)
    UNION ALL
    (SELECT known.*, false FROM order_movement AS known
     WHERE known.order_hash = first.order_hash AND known.token = first.token
       AND (known.block_number, known.log_index) >= (first.block_number, first.log_index))
) AS movement
"""

_SAVE = """
INSERT INTO order_movement (reference, order_hash, token, block_number, log_index, atoms, payer, from_deposit,
    left_after, corrections)
SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::bigint[], $5::integer[], $6::numeric[],
                     $7::text[], $8::boolean[], $9::numeric[], $10::integer[])
ON CONFLICT (reference) DO UPDATE SET from_deposit = EXCLUDED.from_deposit,
    left_after = EXCLUDED.left_after, corrections = EXCLUDED.corrections
"""


async def lock_orders(tx: Transaction, orders: Iterable[tuple[str, str]]) -> None:
    """Lock orders, known or not, by (order hash, token): who records movements of one waits for another."""
    wanted = sorted(set(orders))
    if wanted:
        await tx.execute(_LOCK, [order_hash for order_hash, _ in wanted], [token for _, token in wanted])


async def tokens_of(tx: Transaction, order_hashes: Iterable[str]) -> list[tuple[str, str]]:
    """Return (order hash, token) of those orders for which something has moved."""
    wanted = list(order_hashes)
    if not wanted:
        return []
    rows = await tx.fetch(
        "SELECT order_hash, token FROM moved_order WHERE order_hash = ANY($1::text[])", wanted
    )
    return [(row["order_hash"], row["token"]) for row in rows]


async def find(tx: Transaction, references: Sequence[str]) -> dict[str, Movement]:
    """Return movements by reference; those that do not count are left out."""
    if not references:
        return {}
    rows = await tx.fetch("SELECT * FROM order_movement WHERE reference = ANY($1::text[])", list(references))
    return {row["reference"]: Movement(**row) for row in rows}


async def from_first_change(
    tx: Transaction, added: Sequence[Movement], removed: Sequence[str]
) -> tuple[dict[tuple[str, str], int], list[Movement]]:
    """Return of each order what it had before the first of the changes, and its movements from there on.

    Args:
        tx: the orders are locked in it.
        added: movements that are not stored yet.
        removed: references of stored ones.
    """
    rows = await tx.fetch(
        _FROM_PLACE,
        [item.order_hash for item in added],
        [item.token for item in added],
        [item.block_number for item in added],
        [item.log_index for item in added],
        list(removed),
    )
    before: dict[tuple[str, str], int] = {}
    following: list[Movement] = []
    for row in rows:
        movement = Movement(**{name: row[name] for name in Movement.__dataclass_fields__})
        if row["is_before"]:
            before[movement.order] = movement.left_after
        else:
            following.append(movement)
    return before, following


async def save(tx: Transaction, movements: Sequence[Movement]) -> None:
    """Store movements, new ones and others."""
    if not movements:
        return
    columns = [[getattr(item, name) for item in movements] for name in Movement.__dataclass_fields__]
    await tx.execute(_SAVE, *columns)


async def delete(tx: Transaction, references: Sequence[str]) -> None:
    """Forget movements that no longer count; the journals stay."""
    if references:
        await tx.execute("DELETE FROM order_movement WHERE reference = ANY($1::text[])", list(references))
