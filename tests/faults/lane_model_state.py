"""What the model of the nonce lane is made of: rows, workers, node and chain as values, and its guards."""

from enum import StrEnum
from typing import NamedTuple

from snowrail_chain.lane import OPEN_STATES, FeePolicy, TransactionEvent, TransactionState
from snowrail_chain.send import SendOutcome
from snowrail_settlement.domain.item import Basis, ItemState
from snowrail_settlement.domain.lane import FactStatus, LaneState, Timing

FOREIGN = -1
CEILING = 130
HIGHEST_FEE = 10 * CEILING
BASE_FEE = 50
RISEN_BASE_FEE = 60
POLICY = FeePolicy(base_fee_percent=200, least_base_fee_percent=125, priority_fee=0, replacement_percent=115)
TIMING = Timing(retry_seconds=1, resend_after_seconds=15, replace_after_seconds=60, foreign_after_seconds=30)
LONG_SECONDS = 1_000.0


class Guard(StrEnum):
    """What keeps the lane safe or going, each by itself."""

    BYTES_BEFORE_BROADCAST = "signed bytes are stored before they are sent"
    ONE_TAKER_OF_A_NONCE = "the lane's row is locked, and a nonce is taken once"
    ITEMS_ARE_CLAIMED = "an item goes aboard only while it is created, decided under its lock"
    RESERVATION_IS_KEPT = "a nonce that was taken is signed for what it was taken for"
    TIME_DECIDES_NOTHING = "silence makes an item unknown, never failed"
    FAILURE_IS_FINAL = "an item fails by a final transaction only"
    COMMAND_ONCE = "a command counts once, whatever is delivered twice"
    OCCURRENCE_ONCE = "an attempt is refused while an earlier one is not proven failed"
    SAME_EFFECT = "a replacement does what it replaces"
    FEE_CEILING = "a replacement's fee stays below the smallest ceiling aboard"
    NONCE_ORDER = "nothing is sent above a nonce that is held up"
    FOREIGN_FREEZES = "a nonce used elsewhere freezes the lane"
    NEWEST_FACT = "an older fact does not undo a newer one"
    ORPHANS_GO_AGAIN = "what left the chain is sent again"
    QUIET_GOES_AGAIN = "what is in no block for long is sent again"
    IN_FLIGHT_LIMIT = "no more in flight than allowed"
    ESCROW_ONCE = "the escrow executes an occurrence once"
    LIMIT_GOES_AGAIN = "what may pay no more is sent again as it is"
    STOPPED_TAKES_NOTHING = "a stopped lane takes no nonce, decided while its row is locked"
    PAUSE_HIDES_NO_FREEZE = "a frozen lane is not paused"
    FOREIGN_IS_FINAL = "a nonce used elsewhere is left out only once that is final"
    CANCELLATION_IS_AWAITED = "what was cancelled fails once its cancellation is final, not before"
    CANCELLATION_MOVES_NOTHING = "a second effect for a nonce moves nothing"
    CANCELLATION_IS_OURS = "a cancellation is one of its nonce's own transactions"
    CANCELLATION_PAYS_NOBODY = "a cancellation is not taken for the payments' transaction"
    CANCELLATION_STANDS = "only an administrator raises a cancellation"
    NEWEST_IS_REPLACED = "only the newest transaction of a nonce is replaced, decided under its lock"


ALL_GUARDS = frozenset(Guard)


class Item(NamedTuple):
    """A row of `item`; `nonce` once it is aboard, `basis` once the chain has spoken."""

    payment: int
    state: ItemState = ItemState.CREATED
    nonce: int | None = None
    basis: Basis | None = None


class Signed(NamedTuple):
    """A transaction.

    `cargo`: payments aboard; `is_stored`: in the database; `was_sent`: left once; `cancels`: an operator's
    transfer of nothing to the signer itself.
    """

    nonce: int
    cargo: tuple[int, ...]
    fee: int
    state: TransactionState = TransactionState.SIGNED
    was_refused: bool = False
    is_recent: bool = False
    is_stored: bool = True
    was_sent: bool = False
    cancels: bool = False


class Block(NamedTuple):
    """A block of the chain with the signer's transaction at its own height's nonce."""

    tx: int
    number: int
    succeeded: bool
    paid: tuple[int, ...]


class Fact(NamedTuple):
    """What chain-monitor says of a transaction; higher versions are newer."""

    tx: int
    nonce: int
    version: int
    status: FactStatus
    block: int
    succeeded: bool
    paid: tuple[int, ...]


class Doing(StrEnum):
    """What a worker is about to do with what it has read."""

    NOTHING = "nothing"
    SEND = "send"
    RECORD = "record"
    REPLACE = "replace"
    TAKE = "take"
    SIGN = "sign"
    STORE = "store"


class Worker(NamedTuple):
    """A process; a crash makes it forget all of this."""

    doing: Doing = Doing.NOTHING
    about: int = 0
    event: TransactionEvent | None = None
    refused: bool = False
    nonce: int = 0


class Budget(NamedTuple):
    """How often each misfortune, and each act of an operator, may still happen. A paused lane may always be
    resumed; `resumes` are those of a frozen one."""

    crashes: int = 0
    timeouts: int = 0
    evictions: int = 0
    reorgs: int = 0
    rollbacks: int = 0
    reverts: int = 0
    foreign: int = 0
    duplicates: int = 0
    attempts: int = 0
    raises: int = 0
    cancellations: int = 0
    pauses: int = 0
    resumes: int = 0

    def spend(self, name: str) -> "Budget":
        """Return the budget with one misfortune less."""
        return self._replace(**{name: getattr(self, name) - 1})


class State(NamedTuple):
    """Everything: rows, workers, pool, chain, and facts on their way.

    `foreign`: nonces of transactions that were seen and are none of ours; `acknowledged`: those of them that
    an operator has accepted.
    """

    items: tuple[Item, ...]
    workers: tuple[Worker, ...]
    budget: Budget
    in_flight_limit: int
    is_replaceable: bool = False
    lane: LaneState = LaneState.ACTIVE
    next_nonce: int = 0
    reserved: tuple[tuple[int, tuple[int, ...]], ...] = ()
    txs: tuple[Signed, ...] = ()
    pool: frozenset[int] = frozenset()
    chain: tuple[Block, ...] = ()
    final: int = 0
    known: tuple[Fact, ...] = ()
    news: tuple[Fact, ...] = ()
    facts: int = 0
    blocks: int = 0
    foreign: frozenset[int] = frozenset()
    acknowledged: frozenset[int] = frozenset()
    was_rolled_back: bool = False
    took_while_stopped: bool = False


def basis_of(fact: Fact) -> Basis:
    """Where on chain a fact was read."""
    return Basis(str(fact.tx), str(fact.block))


def with_item(state: State, number: int, item: Item) -> State:
    """Write an item's row."""
    return state._replace(items=(*state.items[:number], item, *state.items[number + 1 :]))


def with_attempt(state: State, payment: int) -> State:
    """Accept another item of a payment."""
    return state._replace(items=(*state.items, Item(payment)))


def with_tx(state: State, number: int, signed: Signed) -> State:
    """Write a transaction's row."""
    return state._replace(txs=(*state.txs[:number], signed, *state.txs[number + 1 :]))


def told(state: State, nonce: int, status: FactStatus) -> State:
    """Have chain-monitor say something of the block at a nonce."""
    block = state.chain[nonce]
    fact = Fact(block.tx, nonce, state.facts, status, block.number, block.succeeded, block.paid)
    return state._replace(news=(*state.news, fact), facts=state.facts + 1)


def orphaned(state: State, budget: Budget) -> State:
    """Have the newest block leave the chain; its transaction is in no pool."""
    nonce = len(state.chain) - 1
    state = told(state, nonce, FactStatus.ORPHANED)
    return state._replace(chain=state.chain[:-1], final=min(state.final, nonce), budget=budget)


def given_up(state: State, nonce: int) -> State:
    """What must never be done: forget what a nonce was taken for, and let its items go aboard again."""
    items = tuple(
        Item(item.payment) if item.nonce == nonce and item.state is ItemState.ASSIGNED else item
        for item in state.items
    )
    reserved = tuple(entry for entry in state.reserved if entry[0] != nonce)
    return state._replace(items=items, reserved=reserved)


def lost_for_good(state: State) -> frozenset[int]:
    """Nonces that somebody else's final transaction has used, by the facts."""
    return frozenset(
        fact.nonce for fact in state.known if fact.tx == FOREIGN and fact.status is FactStatus.FINAL
    )


def reserved_nonces(state: State) -> list[int]:
    """Nonces that are taken and still worth a signature, lowest first."""
    lost = lost_for_good(state)
    return [nonce for nonce, _ in state.reserved if nonce not in lost]


def is_signed(state: State, item: Item) -> bool:
    """Whether bytes are stored for an item's nonce."""
    return all(nonce != item.nonce for nonce, _ in state.reserved)


def open_transactions(state: State) -> list[int]:
    """The newest transaction of each nonce that no block holds by the rows, lowest nonce first."""
    stored = [(number, signed) for number, signed in enumerate(state.txs) if signed.is_stored]
    held = {signed.nonce for _, signed in stored if signed.state in _HELD}
    newest = {
        signed.nonce: number
        for number, signed in sorted(stored, key=lambda entry: entry[1].fee)
        if signed.nonce not in held and signed.state in OPEN_STATES
    }
    return [newest[nonce] for nonce in sorted(newest)]


_HELD = (TransactionState.INCLUDED, TransactionState.FINAL)


def node_answer(state: State, number: int) -> tuple[SendOutcome, frozenset[int]]:
    """What a strict node says to a transaction, and its pool afterwards."""
    signed = state.txs[number]
    waiting = {state.txs[other].nonce: other for other in state.pool}
    if number in state.pool:
        return SendOutcome.ALREADY_KNOWN, state.pool
    if signed.nonce < len(state.chain):
        return SendOutcome.NONCE_TOO_LOW, state.pool
    if signed.nonce in waiting:
        rival = waiting[signed.nonce]
        if state.txs[rival].fee >= signed.fee:
            return SendOutcome.UNDERPRICED, state.pool
        return SendOutcome.ACCEPTED, (state.pool - {rival}) | {number}
    if any(nonce not in waiting for nonce in range(len(state.chain), signed.nonce)):
        return SendOutcome.NONCE_TOO_HIGH, state.pool
    return SendOutcome.ACCEPTED, state.pool | {number}
