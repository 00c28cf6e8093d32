"""How far each chain has been followed, and its recent blocks."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from snowrail_chain.cursor import BlockLink
from snowrail_chain_monitor.domain import Block
from snowrail_kit.database import Database, Row
from snowrail_kit.unit_of_work import Transaction

_PRUNE_ROWS = 5_000


@dataclass(frozen=True, slots=True)
class Cursor:
    """How far a chain has been followed.

    Attributes:
        tip: Last block stored; nothing before the first one.
        tip_time: When it was produced.
        final_number: Height up to which every transaction of ours was told as final.
        head_number: Newest height a node has named.
        last_version: Version of the newest fact.
        frozen_reason: Why the chain is not followed any further, if so.
        held_reason: Why nothing above `held_block` becomes final, if so.
        endpoints_answering: Nodes whose word was heard when finality was last decided.
        accepted_depth: Depth of a rollback that an operator has accepted, in blocks.
    """

    chain_id: int
    tip: BlockLink | None
    tip_time: datetime | None
    final_number: int
    head_number: int
    last_version: int
    checked_at: datetime | None
    frozen_reason: str | None = None
    frozen_at: datetime | None = None
    held_reason: str | None = None
    held_block: int | None = None
    held_at: datetime | None = None
    endpoints_answering: int = 0
    accepted_depth: int | None = None


@dataclass(frozen=True, slots=True)
class StoredBlock:
    """A block that was followed."""

    link: BlockLink
    time: datetime


class CursorMoved(Exception):
    """Another replica has followed the chain in the meantime."""


_CURSOR = """
SELECT cursor.*, block.parent_hash FROM chain_cursor AS cursor
LEFT JOIN chain_block AS block ON block.chain_id = cursor.chain_id AND block.number = cursor.tip_number
"""


def _cursor(row: Row) -> Cursor:
    tip = None
    if row["tip_number"] is not None:
        tip = BlockLink(row["tip_number"], row["tip_hash"], row["parent_hash"] or "")
    return Cursor(
        chain_id=row["chain_id"],
        tip=tip,
        tip_time=row["tip_time"],
        final_number=row["final_number"],
        head_number=row["head_number"],
        last_version=row["last_version"],
        checked_at=row["checked_at"],
        frozen_reason=row["frozen_reason"],
        frozen_at=row["frozen_at"],
        held_reason=row["held_reason"],
        held_block=row["held_block"],
        held_at=row["held_at"],
        endpoints_answering=row["endpoints_answering"],
        accepted_depth=row["accepted_depth"],
    )


async def cursors(database: Database) -> list[Cursor]:
    """Return how far every chain has been followed."""
    return [_cursor(row) for row in await database.fetch(f"{_CURSOR} ORDER BY cursor.chain_id")]


async def cursor(database: Database, chain_id: int, now: datetime) -> Cursor:
    """Return how far a chain has been followed, beginning to follow it if need be."""
    query = f"{_CURSOR} WHERE cursor.chain_id = $1"
    row = await database.fetch_row(query, chain_id)
    if row is None:
        await database.fetch_row(
            "INSERT INTO chain_cursor (chain_id, checked_at) VALUES ($1, $2) ON CONFLICT DO NOTHING",
            chain_id,
            now,
        )
        row = await database.fetch_row(query, chain_id)
    assert row is not None, "the row was just inserted"
    return _cursor(row)


async def lock_cursor(tx: Transaction, known: Cursor) -> None:
    """Take a chain for this transaction.

    Raises:
        CursorMoved: It is not where it was when the work began.
    """
    row = await tx.fetch_row(
        "SELECT tip_number, tip_hash, last_version FROM chain_cursor WHERE chain_id = $1 FOR UPDATE",
        known.chain_id,
    )
    tip = known.tip
    expected = (tip.number if tip else None, tip.hash if tip else None, known.last_version)
    if row is None or (row["tip_number"], row["tip_hash"], row["last_version"]) != expected:
        raise CursorMoved


async def lock_final(tx: Transaction, chain_id: int) -> tuple[int, int]:
    """Take a chain for this transaction; return its final height and the version of its newest fact."""
    row = await tx.fetch_row(
        "SELECT final_number, last_version FROM chain_cursor WHERE chain_id = $1 FOR UPDATE", chain_id
    )
    assert row is not None, "the chain is followed"
    return row["final_number"], row["last_version"]


async def note_head(database: Database, chain_id: int, head_number: int, now: datetime) -> None:
    """Remember what a node named as its newest block, and when."""
    await database.fetch_row(
        "UPDATE chain_cursor SET head_number = $2, checked_at = $3 WHERE chain_id = $1",
        chain_id,
        head_number,
        now,
    )


async def advance(
    tx: Transaction, chain_id: int, tip: Block | StoredBlock, head_number: int, last_version: int
) -> None:
    """Set the tip of a chain, which is thereby not frozen."""
    await tx.execute(
        "UPDATE chain_cursor SET tip_number = $2, tip_hash = $3, tip_time = $4, head_number = $5,"
        " last_version = $6, checked_at = $7, frozen_reason = NULL, frozen_at = NULL WHERE chain_id = $1",
        chain_id,
        tip.link.number,
        tip.link.hash,
        tip.time,
        head_number,
        last_version,
        tx.now,
    )


async def set_final(tx: Transaction, chain_id: int, final_number: int, last_version: int) -> None:
    """Set the height up to which everything was told as final."""
    await tx.execute(
        "UPDATE chain_cursor SET final_number = $2, last_version = $3 WHERE chain_id = $1",
        chain_id,
        final_number,
        last_version,
    )


async def note_finality(
    database: Database, chain_id: int, held: tuple[int, str] | None, answering: int, now: datetime
) -> None:
    """Remember why nothing above a height becomes final, if so, and how many nodes answer."""
    await database.fetch_row(
        "UPDATE chain_cursor SET held_block = $2, held_reason = $3, endpoints_answering = $4,"
        " held_at = CASE WHEN $3::text IS NULL THEN NULL ELSE coalesce(held_at, $5::timestamptz) END"
        " WHERE chain_id = $1",
        chain_id,
        held[0] if held else None,
        held[1] if held else None,
        answering,
        now,
    )


async def freeze(tx: Transaction, chain_id: int, reason: str) -> bool:
    """Stop following a chain. Returns whether it was not frozen for this reason before."""
    row = await tx.fetch_row(
        "UPDATE chain_cursor SET frozen_reason = $2, frozen_at = coalesce(frozen_at, $3)"
        " WHERE chain_id = $1 AND frozen_reason IS DISTINCT FROM $2 RETURNING chain_id",
        chain_id,
        reason,
        tx.now,
    )
    return row is not None


@dataclass(frozen=True, slots=True)
class FrozenChain:
    """A chain that is not followed any further, and why."""

    tip_number: int | None
    reason: str


async def lock_frozen(tx: Transaction, chain_id: int) -> FrozenChain | None:
    """Take a frozen chain for this transaction; nothing when it is not frozen."""
    row = await tx.fetch_row(
        "SELECT tip_number, frozen_reason FROM chain_cursor"
        " WHERE chain_id = $1 AND frozen_reason IS NOT NULL FOR UPDATE",
        chain_id,
    )
    return FrozenChain(row["tip_number"], row["frozen_reason"]) if row else None


async def forget_tip(tx: Transaction, chain_id: int, last_version: int) -> None:
    """Begin a chain anew from its start block; it is thereby not frozen."""
    await tx.execute(
        "UPDATE chain_cursor SET tip_number = NULL, tip_hash = NULL, tip_time = NULL, last_version = $2,"
        " frozen_reason = NULL, frozen_at = NULL WHERE chain_id = $1",
        chain_id,
        last_version,
    )


async def accept_rollback(tx: Transaction, chain_id: int, depth: int | None) -> None:
    """Remember how deep a rollback an operator accepts, in blocks; nothing once it is used up."""
    await tx.execute("UPDATE chain_cursor SET accepted_depth = $2 WHERE chain_id = $1", chain_id, depth)


async def thaw(database: Database, chain_id: int) -> None:
    """Follow a frozen chain again, because its tip is on the chain after all."""
    await database.fetch_row(
        "UPDATE chain_cursor SET frozen_reason = NULL, frozen_at = NULL WHERE chain_id = $1", chain_id
    )


async def insert_blocks(tx: Transaction, chain_id: int, blocks: Sequence[Block], keep_above: int) -> None:
    """Store blocks, and forget those at or below a height, a bounded number at a time."""
    await tx.execute(
        "INSERT INTO chain_block (chain_id, number, hash, parent_hash, block_time, base_fee)"
        " SELECT $1, number, hash, parent_hash, block_time, base_fee"
        " FROM unnest($2::bigint[], $3::text[], $4::text[], $5::timestamptz[], $6::numeric[])"
        " AS block (number, hash, parent_hash, block_time, base_fee)",
        chain_id,
        [block.link.number for block in blocks],
        [block.link.hash for block in blocks],
        [block.link.parent_hash for block in blocks],
        [block.time for block in blocks],
        [block.base_fee for block in blocks],
    )
    await tx.execute(
        "DELETE FROM chain_block WHERE chain_id = $1 AND number IN"
        " (SELECT number FROM chain_block WHERE chain_id = $1 AND number <= $2 ORDER BY number LIMIT $3)",
        chain_id,
        keep_above,
        _PRUNE_ROWS,
    )


async def stored_hashes(database: Database, chain_id: int, numbers: Sequence[int]) -> dict[int, str]:
    """Return the hashes of stored blocks by height."""
    rows = await database.fetch(
        "SELECT number, hash FROM chain_block WHERE chain_id = $1 AND number = ANY($2::bigint[])",
        chain_id,
        list(numbers),
    )
    return {row["number"]: row["hash"] for row in rows}


async def stored_block(database: Database, chain_id: int, number: int) -> StoredBlock | None:
    """Return a stored block."""
    row = await database.fetch_row(
        "SELECT * FROM chain_block WHERE chain_id = $1 AND number = $2", chain_id, number
    )
    if row is None:
        return None
    return StoredBlock(BlockLink(row["number"], row["hash"], row["parent_hash"]), row["block_time"])


async def lowest_stored(database: Database, chain_id: int) -> int | None:
    """Return the height of the lowest stored block."""
    row = await database.fetch_row(
        "SELECT min(number) AS lowest FROM chain_block WHERE chain_id = $1", chain_id
    )
    assert row is not None, "an aggregate always returns a row"
    return row["lowest"]


async def delete_blocks_above(tx: Transaction, chain_id: int, number: int) -> None:
    """Forget blocks that left the chain."""
    await tx.execute("DELETE FROM chain_block WHERE chain_id = $1 AND number > $2", chain_id, number)
