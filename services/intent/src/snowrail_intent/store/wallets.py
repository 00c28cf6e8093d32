"""Wallets that payments take tokens from, and what payments in flight will take from them."""

from collections.abc import Iterable, Mapping, Sequence
from uuid import UUID

from snowrail_chain.addresses import NATIVE_TOKEN
from snowrail_intent.domain.intents import PayingWallet
from snowrail_kit.database import Connection, Row

_INSERT = """
INSERT INTO wallet (chain_id, address, token, paid_block)
SELECT *, 0 FROM unnest($1::bigint[], $2::text[], $3::text[]) ORDER BY 1, 2, 3
ON CONFLICT DO NOTHING
"""
_FIND = """
SELECT chain_id, address, token, paid_block FROM wallet
WHERE (chain_id, address, token) IN (SELECT * FROM unnest($1::bigint[], $2::text[], $3::text[]))
"""
_LOCK = f"{_FIND} ORDER BY chain_id, address, token FOR UPDATE"
_RAISE = """
INSERT INTO wallet (chain_id, address, token, paid_block)
SELECT chain_id, address, token, max(paid_block)
FROM unnest($1::bigint[], $2::text[], $3::text[], $4::bigint[]) AS paid (chain_id, address, token, paid_block)
GROUP BY chain_id, address, token ORDER BY chain_id, address, token
ON CONFLICT (chain_id, address, token) DO UPDATE
SET paid_block = greatest(wallet.paid_block, EXCLUDED.paid_block)
"""
_FORGET = """
UPDATE wallet SET paid_block = 0
WHERE (chain_id, address, token) IN (SELECT * FROM unnest($1::bigint[], $2::text[], $3::text[]))
"""
_OPEN = """
SELECT asked.chain_id, asked.address, asked.token,
    sum((intent.amount + intent_order.max_fee)
        * CASE WHEN $5 THEN 1 ELSE slots - slot + (intent.status = 'due')::integer END) AS atoms
FROM unnest($1::bigint[], $2::text[], $3::text[], $4::bigint[]) AS asked (chain_id, address, token, block)
JOIN intent ON payer = asked.address AND token_address = asked.token AND intent.chain_id = asked.chain_id
JOIN intent_order USING (order_hash)
WHERE intent.status IN ('armed', 'due', 'delayed', 'awaiting_funds', 'awaiting_approval')
  AND (intent.status = 'due' OR NOT $5) AND intent_order.deposit < intent.amount + intent_order.max_fee
  AND next_occurrence >= (SELECT count(*) FROM escrow_fact AS executed
      WHERE executed.order_hash = intent.order_hash AND executed.name = 'executed' AND executed.state <> 3
        AND executed.block_number <= asked.block)
GROUP BY asked.chain_id, asked.address, asked.token
"""
_UNSIGNED = f"""
SELECT asked.chain_id, asked.address, asked.token,
    sum((intent.amount + intent_order.max_fee) * (slots - slot)) AS atoms
FROM unnest($1::bigint[], $2::text[], $3::text[]) AS asked (chain_id, address, token)
JOIN intent ON payer = asked.address AND token_address = asked.token AND intent.chain_id = asked.chain_id
JOIN intent_order USING (order_hash)
WHERE intent.status = 'awaiting_authorisation' AND intent.token_address <> '{NATIVE_TOKEN}'
GROUP BY asked.chain_id, asked.address, asked.token
"""
_LACKING_APPROVAL = f"""
SELECT intent_id FROM unnest($1::bigint[], $2::text[], $3::text[]) AS asked (chain_id, address, token)
JOIN intent ON payer = asked.address AND token_address = asked.token AND intent.chain_id = asked.chain_id
WHERE intent.status = 'awaiting_authorisation' AND intent.token_address <> '{NATIVE_TOKEN}'
  AND approval_amount > 0
ORDER BY created_at DESC, intent_id LIMIT $4
"""


async def lock(connection: Connection, wallets: Iterable[PayingWallet]) -> dict[PayingWallet, int]:
    """Lock wallets until the transaction ends; returns the newest block in which each is known to have paid.

    Who judges intents by a wallet, or ends payments from it, holds its lock, so that no two of its payments
    count on the same atoms. Intents are locked before wallets.
    """
    columns = _columns(sorted(wallets))
    await connection.execute(_INSERT, *columns)
    rows = await connection.fetch(_LOCK, *columns)
    return {PayingWallet(row["chain_id"], row["address"], row["token"]): row["paid_block"] for row in rows}


async def find_paid_blocks(
    connection: Connection, wallets: Iterable[PayingWallet]
) -> dict[PayingWallet, int]:
    """Return the newest block in which each wallet is known to have paid, unlocked."""
    rows = await connection.fetch(_FIND, *_columns(list(wallets)))
    return {PayingWallet(row["chain_id"], row["address"], row["token"]): row["paid_block"] for row in rows}


async def raise_paid_blocks(connection: Connection, paid: Sequence[tuple[PayingWallet, int]]) -> None:
    """Remember the blocks in which wallets paid."""
    columns = _columns([wallet for wallet, _ in paid])
    await connection.execute(_RAISE, *columns, [block for _, block in paid])


async def forget_paid_blocks(connection: Connection, wallets: Iterable[PayingWallet]) -> None:
    """Forget the blocks in which wallets paid: one left the chain, which may take hours to be as long again.

    Until then no reading would be new enough. What was re-opened counts as in flight instead.
    """
    columns = _columns(sorted(wallets))
    await connection.fetch(_LOCK, *columns)
    await connection.execute(_FORGET, *columns)


async def fetch_in_flight(
    connection: Connection, blocks: Mapping[PayingWallet, int]
) -> dict[PayingWallet, int]:
    """Return the atoms that payments in flight take from wallets after the block each was read at."""
    return await _fetch_open(connection, blocks, only_due=True)


async def fetch_promised(
    connection: Connection, blocks: Mapping[PayingWallet, int]
) -> dict[PayingWallet, int]:
    """Return the atoms that all authorised intents take from wallets after the block each was read at."""
    return await _fetch_open(connection, blocks, only_due=False)


async def fetch_obligations(
    connection: Connection, blocks: Mapping[PayingWallet, int]
) -> dict[PayingWallet, int]:
    """Return the atoms that all open intents take from wallets, those nobody has signed yet included.

    An approval replaces the one before it: one that is offered has to cover all of them.
    """
    promised = await fetch_promised(connection, blocks)
    rows = await connection.fetch(_UNSIGNED, *_columns(list(blocks)))
    unsigned = _atoms(rows)
    return {wallet: promised.get(wallet, 0) + unsigned.get(wallet, 0) for wallet in blocks}


async def find_lacking_approval(
    connection: Connection, wallets: Sequence[PayingWallet], limit: int
) -> list[UUID]:
    """Return intents from wallets that nobody has signed and that offer an approval, the newest first."""
    rows = await connection.fetch(_LACKING_APPROVAL, *_columns(wallets), limit)
    return [row["intent_id"] for row in rows]


async def _fetch_open(
    connection: Connection, blocks: Mapping[PayingWallet, int], only_due: bool
) -> dict[PayingWallet, int]:
    rows = await connection.fetch(_OPEN, *_columns(list(blocks)), list(blocks.values()), only_due)
    return _atoms(rows)


def _atoms(rows: Iterable[Row]) -> dict[PayingWallet, int]:
    return {PayingWallet(row["chain_id"], row["address"], row["token"]): int(row["atoms"]) for row in rows}


def _columns(wallets: Sequence[PayingWallet]) -> tuple[list[int], list[str], list[str]]:
    return (
        [wallet.chain_id for wallet in wallets],
        [wallet.address for wallet in wallets],
        [wallet.token for wallet in wallets],
    )
