"""Nonce lanes: their nonces, their signed transactions, and foreign use of their keys."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from snowrail_chain.lane import Fees, TransactionState
from snowrail_chain.signer import SignedTransaction
from snowrail_chain.signer import Transaction as ChainTransaction
from snowrail_kit.database import Database, Row
from snowrail_kit.unit_of_work import Transaction
from snowrail_settlement.domain.lane import LaneState


@dataclass(frozen=True, slots=True)
class Lane:
    """A row of `lane`.

    Attributes:
        first_nonce: Nonces below it were used before the lane existed and are none of its business.
        next_nonce: Nonce of its next transaction.
        troubles: What keeps it from going on, for operators.
        account_nonce: Next nonce of the account by the node, when it was last asked.
        balance: Wei that the signer had then.
    """

    lane_id: UUID
    chain_id: int
    signer: str
    state: LaneState
    reason: str
    first_nonce: int
    next_nonce: int
    troubles: tuple[str, ...]
    account_nonce: int | None
    balance: int | None
    changed_at: datetime


@dataclass(frozen=True, slots=True)
class LaneTransaction:
    """A signed transaction of a lane, without its bytes.

    Attributes:
        gas_ceiling: Smallest gas ceiling aboard.
        last_answer: What the node said when it last did not take it.
        cancels: Whether it is an operator's self-transfer, which carries nobody.
    """

    tx_hash: str
    nonce: int
    state: TransactionState
    max_fee_per_gas: int
    max_priority_fee_per_gas: int
    gas_ceiling: int
    item_count: int
    signed_at: datetime
    sent_at: datetime | None
    last_answer: str
    cancels: bool


@dataclass(frozen=True, slots=True)
class ReservedNonce:
    """A nonce that is taken for an effect, and whose transaction is not signed yet.

    Attributes:
        effect: Digest of to, value and data.
        gas_ceiling: Smallest gas ceiling aboard, in wei per gas.
    """

    nonce: int
    to: str
    value: int
    data: bytes
    gas_limit: int
    effect: bytes
    gas_ceiling: int


def _lane(row: Row) -> Lane:
    return Lane(
        lane_id=row["lane_id"],
        chain_id=row["chain_id"],
        signer=row["signer"],
        state=LaneState(row["state"]),
        reason=row["reason"],
        first_nonce=row["first_nonce"],
        next_nonce=row["next_nonce"],
        troubles=tuple(row["troubles"]),
        account_nonce=row["account_nonce"],
        balance=row["balance"],
        changed_at=row["changed_at"],
    )


def _transaction(row: Row) -> LaneTransaction:
    return LaneTransaction(
        tx_hash=row["tx_hash"],
        nonce=row["nonce"],
        state=TransactionState(row["state"]),
        max_fee_per_gas=row["max_fee_per_gas"],
        max_priority_fee_per_gas=row["max_priority_fee_per_gas"],
        gas_ceiling=row["gas_ceiling"],
        item_count=row["item_count"],
        signed_at=row["signed_at"],
        sent_at=row["sent_at"],
        last_answer=row["last_answer"],
        cancels=row["cancels"],
    )


async def all_lanes(database: Database) -> list[Lane]:
    """Return every lane there ever was."""
    return [_lane(row) for row in await database.fetch("SELECT * FROM lane ORDER BY chain_id, signer")]


async def find_lane(reads: Database | Transaction, lane_id: UUID) -> Lane | None:
    """Return a lane."""
    row = await reads.fetch_row("SELECT * FROM lane WHERE lane_id = $1", lane_id)
    return _lane(row) if row else None


async def lock_lane(tx: Transaction, lane_id: UUID) -> Lane | None:
    """Take a lane for this transaction."""
    row = await tx.fetch_row("SELECT * FROM lane WHERE lane_id = $1 FOR UPDATE", lane_id)
    return _lane(row) if row else None


async def create_lane(tx: Transaction, lane_id: UUID, chain_id: int, signer: str, first_nonce: int) -> None:
    """Begin a lane at the account's next nonce."""
    await tx.execute(
        "INSERT INTO lane (lane_id, chain_id, signer, state, first_nonce, next_nonce, changed_at)"
        " VALUES ($1, $2, $3, 'active', $4, $4, $5) ON CONFLICT DO NOTHING",
        lane_id,
        chain_id,
        signer,
        first_nonce,
        tx.now,
    )


async def set_state(tx: Transaction, lane_id: UUID, state: LaneState, reason: str) -> None:
    """Pause, freeze or resume a lane."""
    await tx.execute(
        "UPDATE lane SET state = $2, reason = $3, changed_at = $4 WHERE lane_id = $1",
        lane_id,
        state,
        reason,
        tx.now,
    )


async def set_next_nonce(tx: Transaction, lane_id: UUID, next_nonce: int) -> None:
    """Skip nonces that were used elsewhere."""
    await tx.execute("UPDATE lane SET next_nonce = $2 WHERE lane_id = $1", lane_id, next_nonce)


async def note_troubles(
    tx: Transaction, lane_id: UUID, troubles: Sequence[str], account_nonce: int | None, balance: int | None
) -> None:
    """Remember how a lane is, for operators; unknown numbers keep their last value."""
    await tx.execute(
        "UPDATE lane SET troubles = $2, account_nonce = coalesce($3, account_nonce),"
        " balance = coalesce($4, balance) WHERE lane_id = $1",
        lane_id,
        list(troubles),
        account_nonce,
        balance,
    )


_OPEN = """
SELECT signed.tx_hash, signed.nonce, signed.state, signed.max_fee_per_gas, signed.max_priority_fee_per_gas,
       slot.gas_ceiling, slot.item_count, signed.signed_at, signed.sent_at, signed.last_answer,
       signed.cancels
FROM lane_transaction AS signed JOIN lane_nonce AS slot USING (chain_id, signer, nonce)
WHERE signed.chain_id = $1 AND signed.signer = $2 AND {condition}
ORDER BY signed.nonce, signed.max_fee_per_gas LIMIT $3
"""
_IS_OPEN = """
signed.state IN ('signed', 'broadcast', 'ambiguous', 'orphaned') AND NOT EXISTS (
    SELECT 1 FROM lane_transaction AS sibling
    WHERE sibling.chain_id = signed.chain_id AND sibling.signer = signed.signer
      AND sibling.nonce = signed.nonce AND sibling.state IN ('included', 'final'))
"""
# a nonce that somebody else's final transaction has used is signed for in vain
_IS_RESERVED = """
reserved.chain_id = $1 AND reserved.signer = $2 AND NOT EXISTS (
    SELECT 1 FROM observation AS seen WHERE seen.chain_id = reserved.chain_id
    AND seen.sender = reserved.signer AND seen.nonce = reserved.nonce AND seen.status = 'final')
"""
_IS_NOT_FINAL = f"(signed.state = 'included' OR ({_IS_OPEN}))"


async def open_transactions(
    database: Database, chain_id: int, signer: str, limit: int
) -> list[LaneTransaction]:
    """Return transactions at nonces that no block holds, lowest nonce and lowest fee first."""
    rows = await database.fetch(_OPEN.format(condition=_IS_OPEN), chain_id, signer, limit)
    return [_transaction(row) for row in rows]


async def unfinished_transactions(
    database: Database, chain_id: int, signer: str, limit: int
) -> list[LaneTransaction]:
    """Return transactions that are not final, those in blocks among them, lowest nonce first."""
    rows = await database.fetch(_OPEN.format(condition=_IS_NOT_FINAL), chain_id, signer, limit)
    return [_transaction(row) for row in rows]


async def raw_bytes(database: Database, chain_id: int, tx_hash: str) -> bytes:
    """Return the bytes of a signed transaction."""
    row = await database.fetch_row(
        "SELECT raw FROM lane_transaction WHERE chain_id = $1 AND tx_hash = $2", chain_id, tx_hash
    )
    assert row is not None, "a hash is stored with its bytes"
    return row["raw"]


async def hashes_at(database: Database, chain_id: int, signer: str, nonce: int) -> list[str]:
    """Return every hash that was signed for a nonce."""
    rows = await database.fetch(
        "SELECT tx_hash FROM lane_transaction WHERE chain_id = $1 AND signer = $2 AND nonce = $3",
        chain_id,
        signer,
        nonce,
    )
    return [row["tx_hash"] for row in rows]


async def count_in_flight(reads: Database | Transaction, chain_id: int, signer: str) -> int:
    """Return how many nonces of a lane are taken, or signed for, and in no block."""
    row = await reads.fetch_row(
        "SELECT (SELECT count(DISTINCT nonce) FROM lane_transaction AS signed"
        f"        WHERE chain_id = $1 AND signer = $2 AND {_IS_OPEN})"
        f" + (SELECT count(*) FROM lane_unsigned AS reserved WHERE {_IS_RESERVED}) AS nonces",
        chain_id,
        signer,
    )
    assert row is not None, "an aggregate always returns a row"
    return row["nonces"]


async def reserve_nonce(
    tx: Transaction, lane: Lane, transaction: ChainTransaction, effect: bytes, gas_ceiling: int, items: int
) -> None:
    """Take the lane's next nonce for what a transaction does. It is signed once this is committed.

    Args:
        lane: Locked.
        transaction: With the lane's next nonce; its fees are chosen when it is signed.
        effect: Digest of its to, value and data.
        gas_ceiling: Smallest gas ceiling aboard, in wei per gas.
        items: How many payments are aboard.
    """
    place = (lane.chain_id, lane.signer, lane.next_nonce)
    await tx.execute(
        "INSERT INTO lane_nonce (chain_id, signer, nonce, effect, gas_ceiling, item_count, reserved_at)"
        " VALUES ($1, $2, $3, $4, $5, $6, $7)",
        *place,
        effect,
        gas_ceiling,
        items,
        tx.now,
    )
    await tx.execute(
        "INSERT INTO lane_unsigned (chain_id, signer, nonce, callee, value, data, gas_limit)"
        " VALUES ($1, $2, $3, $4, $5, $6, $7)",
        *place,
        transaction.to,
        transaction.value,
        transaction.data,
        transaction.gas_limit,
    )
    await tx.execute("UPDATE lane SET next_nonce = next_nonce + 1 WHERE lane_id = $1", lane.lane_id)


async def reserved_nonces(database: Database, chain_id: int, signer: str, limit: int) -> list[ReservedNonce]:
    """Return nonces that are taken and not signed for, lowest first.

    One that somebody else's final transaction has used is left out: a signature could not help it.
    """
    rows = await database.fetch(
        "SELECT nonce, callee, value, data, gas_limit, effect, gas_ceiling"
        " FROM lane_unsigned AS reserved JOIN lane_nonce USING (chain_id, signer, nonce)"
        f" WHERE {_IS_RESERVED}"
        " ORDER BY nonce LIMIT $3",
        chain_id,
        signer,
        limit,
    )
    return [
        ReservedNonce(
            nonce=row["nonce"],
            to=row["callee"],
            value=row["value"],
            data=row["data"],
            gas_limit=row["gas_limit"],
            effect=row["effect"],
            gas_ceiling=row["gas_ceiling"],
        )
        for row in rows
    ]


async def end_reservation(tx: Transaction, lane: Lane, nonce: int) -> bool:
    """Forget what was to be signed for a nonce, as it is signed now. Returns whether it still was to be."""
    row = await tx.fetch_row(
        "DELETE FROM lane_unsigned WHERE chain_id = $1 AND signer = $2 AND nonce = $3 RETURNING nonce",
        lane.chain_id,
        lane.signer,
        nonce,
    )
    return row is not None


async def newest_at(tx: Transaction, lane: Lane, nonce: int) -> LaneTransaction:
    """Return the transaction with the highest fee that is signed for a nonce; there is one."""
    condition = "signed.nonce = $4"
    rows = await tx.fetch(_OPEN.format(condition=condition), lane.chain_id, lane.signer, 500, nonce)
    return _transaction(rows[-1])


async def approve_cancellation(
    tx: Transaction, lane: Lane, nonce: int, effect: bytes, approved_by: UUID
) -> None:
    """Remember that an administrator lets a nonce be used by a self-transfer."""
    await tx.execute(
        "INSERT INTO lane_cancellation (chain_id, signer, nonce, effect, approved_by, approved_at)"
        " VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT DO NOTHING",
        lane.chain_id,
        lane.signer,
        nonce,
        effect,
        approved_by,
        tx.now,
    )


async def insert_transaction(
    tx: Transaction,
    lane: Lane,
    nonce: int,
    effect: bytes,
    signed: SignedTransaction,
    fees: Fees,
    *,
    cancels: bool = False,
) -> None:
    """Store the bytes of a transaction.

    The database refuses another effect than the nonce was taken for, and an unapproved cancellation.
    """
    await tx.execute(
        "INSERT INTO lane_transaction (chain_id, tx_hash, signer, nonce, effect, raw, max_fee_per_gas,"
        " max_priority_fee_per_gas, state, signed_at, cancels)"
        " VALUES ($1, $2, $3, $4, $5, $6, $7, $8, 'signed', $9, $10)",
        lane.chain_id,
        signed.hash,
        lane.signer,
        nonce,
        effect,
        signed.raw,
        fees.max_fee_per_gas,
        fees.max_priority_fee_per_gas,
        tx.now,
        cancels,
    )


async def effect_at(tx: Transaction, lane: Lane, nonce: int) -> bytes:
    """Return the digest of the effect that a nonce was taken for."""
    row = await tx.fetch_row(
        "SELECT effect FROM lane_nonce WHERE chain_id = $1 AND signer = $2 AND nonce = $3",
        lane.chain_id,
        lane.signer,
        nonce,
    )
    assert row is not None, "a replacement needs something to replace"
    return row["effect"]


async def lock_states(tx: Transaction, chain_id: int, hashes: Sequence[str]) -> dict[str, TransactionState]:
    """Lock transactions in a fixed order and return their states by hash."""
    rows = await tx.fetch(
        "SELECT tx_hash, state FROM lane_transaction WHERE chain_id = $1 AND tx_hash = ANY($2::text[])"
        " ORDER BY tx_hash FOR UPDATE",
        chain_id,
        list(hashes),
    )
    return {row["tx_hash"]: TransactionState(row["state"]) for row in rows}


async def save_sent(
    tx: Transaction, chain_id: int, tx_hash: str, state: TransactionState, answer: str
) -> None:
    """Remember that bytes were sent and what the node said."""
    await tx.execute(
        "UPDATE lane_transaction SET state = $3, sent_at = $4, last_answer = $5"
        " WHERE chain_id = $1 AND tx_hash = $2",
        chain_id,
        tx_hash,
        state,
        tx.now,
        answer,
    )


@dataclass(frozen=True, slots=True)
class AtNonce:
    """A signed transaction at a nonce that a fact is about."""

    chain_id: int
    tx_hash: str
    signer: str
    nonce: int
    state: TransactionState


async def lock_at_nonces(tx: Transaction, nonces: Sequence[tuple[int, str, int]]) -> list[AtNonce]:
    """Lock every transaction signed for these nonces (chain, signer, nonce), in a fixed order."""
    rows = await tx.fetch(
        "SELECT signed.chain_id, signed.tx_hash, signed.signer, signed.nonce, signed.state"
        " FROM lane_transaction AS signed"
        " WHERE (signed.chain_id, signed.signer, signed.nonce) IN"
        " (SELECT * FROM unnest($1::bigint[], $2::text[], $3::bigint[]))"
        " ORDER BY signed.chain_id, signed.tx_hash FOR UPDATE",
        [chain_id for chain_id, _, _ in nonces],
        [signer for _, signer, _ in nonces],
        [nonce for _, _, nonce in nonces],
    )
    return [
        AtNonce(row["chain_id"], row["tx_hash"], row["signer"], row["nonce"], TransactionState(row["state"]))
        for row in rows
    ]


async def save_states(tx: Transaction, changes: Sequence[tuple[AtNonce, TransactionState]]) -> None:
    """Write what facts made of transactions."""
    if changes:
        await tx.execute(
            "UPDATE lane_transaction AS signed SET state = new.state"
            " FROM unnest($1::bigint[], $2::text[], $3::text[]) AS new (chain_id, tx_hash, state)"
            " WHERE signed.chain_id = new.chain_id AND signed.tx_hash = new.tx_hash",
            [known.chain_id for known, _ in changes],
            [known.tx_hash for known, _ in changes],
            [state for _, state in changes],
        )


async def freeze_for_foreign(
    tx: Transaction, used: Sequence[tuple[int, str, str, int]]
) -> list[tuple[UUID, int, str]]:
    """Freeze lanes whose nonces somebody else has used.

    Args:
        used: Chain, transaction hash, sender and nonce of transactions that are none of ours.

    Returns:
        Lane, nonce and hash of each that was not known before.
    """
    rows = await tx.fetch(
        "INSERT INTO foreign_transaction (chain_id, tx_hash, signer, nonce, seen_at)"
        " SELECT used.chain_id, used.tx_hash, used.signer, used.nonce, $5"
        " FROM unnest($1::bigint[], $2::text[], $3::text[], $4::bigint[])"
        " AS used (chain_id, tx_hash, signer, nonce)"
        " JOIN lane ON lane.chain_id = used.chain_id AND lane.signer = used.signer"
        " WHERE used.nonce >= lane.first_nonce"
        " ON CONFLICT DO NOTHING RETURNING chain_id, tx_hash, signer, nonce",
        [chain_id for chain_id, _, _, _ in used],
        [tx_hash for _, tx_hash, _, _ in used],
        [signer for _, _, signer, _ in used],
        [nonce for _, _, _, nonce in used],
        tx.now,
    )
    if not rows:
        return []
    frozen = await tx.fetch(
        "UPDATE lane SET state = 'frozen', changed_at = $4,"
        " reason = 'nonce ' || used.nonce || ' was used by ' || used.tx_hash || ', which is none of ours'"
        " FROM (SELECT DISTINCT ON (chain_id, signer) chain_id, signer, nonce, tx_hash"
        "       FROM unnest($1::bigint[], $2::text[], $3::bigint[], $5::text[])"
        "       AS used (chain_id, signer, nonce, tx_hash) ORDER BY chain_id, signer, nonce) AS used"
        " WHERE lane.chain_id = used.chain_id AND lane.signer = used.signer"
        " RETURNING lane.lane_id, used.nonce, used.tx_hash",
        [row["chain_id"] for row in rows],
        [row["signer"] for row in rows],
        [row["nonce"] for row in rows],
        tx.now,
        [row["tx_hash"] for row in rows],
    )
    return [(row["lane_id"], row["nonce"], row["tx_hash"]) for row in frozen]


async def acknowledge_foreign(tx: Transaction, lane: Lane) -> int:
    """Accept that a lane's key was used elsewhere so far. Returns how many transactions that were."""
    rows = await tx.fetch(
        "UPDATE foreign_transaction SET acknowledged_at = $3"
        " WHERE chain_id = $1 AND signer = $2 AND acknowledged_at IS NULL RETURNING tx_hash",
        lane.chain_id,
        lane.signer,
        tx.now,
    )
    return len(rows)
