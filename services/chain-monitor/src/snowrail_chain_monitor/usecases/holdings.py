"""What the escrow holds, owes and has paid at a final block: the chain's side of reconciliation."""

from collections.abc import Sequence
from dataclasses import dataclass

from snowrail_chain.config import ChainConfig
from snowrail_chain.rpc import RpcError
from snowrail_chain_monitor.clients import EscrowBalance
from snowrail_chain_monitor.escrow_book import EscrowBook, KnownBook
from snowrail_chain_monitor.store import positions, transactions
from snowrail_chain_monitor.usecases.parts import Follower, Parts
from snowrail_kit.consumer import Unavailable

_BLOCKS_PER_READ = 500


@dataclass(frozen=True, slots=True)
class AssetHolding:
    """One token at a block, in atoms.

    Attributes:
        held: What the contract has, by the word of every node that answers.
        fees: What of that are fees that were taken and not withdrawn.
        owed: What orders still have in it, by its events.
        executed: What executions have moved from wallets and deposits, fees included, by its events.
    """

    token: str
    held: int
    fees: int
    owed: int
    executed: int
    executions: int


@dataclass(frozen=True, slots=True)
class Holdings:
    """All configured tokens of a chain at one final block, and the version of the newest fact by then."""

    chain_id: int
    block_number: int
    block_hash: str
    version: int
    assets: list[AssetHolding]


async def holdings(parts: Parts, follower: Follower) -> Holdings:
    """Return what the escrow holds, owes and has paid at the newest final block.

    Raises:
        Unavailable: Nothing is final yet, the chain is frozen or moves, or nodes do not agree.
        IncompleteBook: Events below the start block are missing.
    """
    chain = follower.config
    async with follower.book_lock:
        cursor = await positions.cursor(parts.database, chain.chain_id, parts.clock.now())
        number = cursor.final_number
        if cursor.frozen_reason is not None:
            raise Unavailable(f"chain {chain.chain_id} is frozen: {cursor.frozen_reason}")
        if number < chain.start_block:
            raise Unavailable(f"nothing of chain {chain.chain_id} is final yet")
        block_hash = await _hash_of(parts, chain.chain_id, number)
        book = await _book(parts, follower, number, cursor.last_version)
        balances = await _balances(parts, chain, number, block_hash)
        after = await positions.cursor(parts.database, chain.chain_id, parts.clock.now())
        changed = await transactions.has_changed(parts.database, chain.chain_id, number, cursor.last_version)
        if changed or after.final_number < number:
            raise Unavailable(f"chain {chain.chain_id} went back while its holdings were read")
    owed = book.owed()
    return Holdings(
        chain_id=chain.chain_id,
        block_number=number,
        block_hash=block_hash,
        version=cursor.last_version,
        assets=[
            AssetHolding(
                token=balance.token,
                held=balance.held,
                fees=balance.fees,
                owed=owed[balance.token],
                executed=book.executed[balance.token],
                executions=book.executions[balance.token],
            )
            for balance in balances
        ],
    )


async def _hash_of(parts: Parts, chain_id: int, number: int) -> str:
    stored = await positions.stored_hashes(parts.database, chain_id, [number])
    if number not in stored:
        raise Unavailable(f"block {number} of chain {chain_id} is not stored")
    return stored[number]


async def _book(parts: Parts, follower: Follower, number: int, version: int) -> EscrowBook:
    """Return the book up to a block, continued from the last time unless something below has changed."""
    chain_id = follower.config.chain_id
    known = follower.book
    if known.block_number > number or await transactions.has_changed(
        parts.database, chain_id, known.block_number, known.version
    ):
        known = KnownBook()
    follower.book = KnownBook()  # an error half way leaves nothing half made
    while page := await transactions.final_logs(
        parts.database, chain_id, known.block_number, number, _BLOCKS_PER_READ
    ):
        known.book.take(log for _, log in page)
        known.block_number = page[-1][0]
    known.block_number, known.version = number, version
    follower.book = known
    return known.book


async def _balances(
    parts: Parts, chain: ChainConfig, number: int, block_hash: str
) -> Sequence[EscrowBalance]:
    reader = parts.readers[chain.chain_id]
    tokens = [token.address for token in chain.tokens]
    try:
        own, *elsewhere = await reader.escrow_balances(tokens, number, block_hash)
    except RpcError as problem:
        reader.suspect()
        raise Unavailable(f"no node of chain {chain.chain_id} answers: {problem}") from problem
    assert not isinstance(own, RpcError), "the node in use answers, or its error is raised"
    if any(other != own for other in elsewhere if not isinstance(other, RpcError)):
        raise Unavailable(f"nodes of chain {chain.chain_id} do not agree on what the escrow holds")
    return own
