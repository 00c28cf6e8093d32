"""What concerns us in a block, and what is said about it: no server, no clock."""

from datetime import UTC, datetime, timedelta

import pytest

from snowrail_chain.abi import Cancelled, EscrowEvent, Executed, ExecutionFailed, Funded, Returned
from snowrail_chain.addresses import checksum_address
from snowrail_chain.cursor import BlockLink, InconsistentBlocks
from snowrail_chain_monitor.domain import (
    MAX_LOGS_PER_EVENT,
    MOVES,
    Block,
    BlockTransaction,
    Change,
    GasPrice,
    LocatedEvent,
    Receipt,
    Status,
    escrow_log,
    is_news,
    next_versions,
    relevant_transactions,
    senders_among,
    split_logs,
)
from snowrail_events import TransactionFinalV1
from snowrail_events.parts import EscrowLog

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
EXECUTOR, PAYER, OTHER = (checksum_address(bytes([number]) * 20) for number in (1, 2, 3))
LARGEST = 2**256 - 1
ORDER_HASH = b"\xab" * 32


def block(number: int, *transactions: tuple[str, str]) -> Block:
    """A block with transactions named by hash and sender."""
    listed = tuple(BlockTransaction(name, sender, 7) for name, sender in transactions)
    return Block(BlockLink(number, f"b{number}", f"b{number - 1}"), NOW, 0, True, listed)


def executed(occurrence: int = 0) -> Executed:
    """An execution with the longest values a field can have."""
    return Executed(ORDER_HASH, occurrence, OTHER, PAYER, OTHER, LARGEST, LARGEST)


def located(transaction: str, block_hash: str = "b1", log_index: int = 0) -> LocatedEvent:
    """An event of the escrow in a transaction."""
    return LocatedEvent(1, block_hash, transaction, log_index, executed())


# Whether a change can happen in a status, and what follows.
TABLE = {
    (Status.SEEN, Change.FINALISE): {Status.FINAL},
    (Status.SEEN, Change.ORPHAN): {Status.ORPHANED},
    (Status.SEEN, Change.RETURN): None,
    (Status.INCLUDED, Change.FINALISE): {Status.FINAL},
    (Status.INCLUDED, Change.ORPHAN): {Status.ORPHANED},
    (Status.INCLUDED, Change.RETURN): None,
    (Status.FINAL, Change.FINALISE): None,
    (Status.FINAL, Change.ORPHAN): {Status.ORPHANED},
    (Status.FINAL, Change.RETURN): None,
    (Status.ORPHANED, Change.FINALISE): None,
    (Status.ORPHANED, Change.ORPHAN): None,
    (Status.ORPHANED, Change.RETURN): {Status.SEEN, Status.INCLUDED},
}


@pytest.mark.parametrize("status", Status)
@pytest.mark.parametrize("change", Change)
def test_every_status_with_every_change(status: Status, change: Change) -> None:
    expected = TABLE[status, change]
    assert (status in MOVES[change].before) == (expected is not None)
    if expected is not None:
        assert MOVES[change].after == expected


def test_only_executors_and_the_escrow_concern_us() -> None:
    blocks = [block(1, ("t1", EXECUTOR), ("t2", PAYER), ("t3", OTHER)), block(2, ("t4", EXECUTOR))]
    assert senders_among(blocks, frozenset({EXECUTOR})) == ["t1", "t4"]
    receipts = {"t1": Receipt("b1", True, 0), "t4": Receipt("b2", False, 0)}
    found = relevant_transactions(blocks, [located("t2", log_index=5), located("t2", log_index=3)], receipts)
    assert [(item.hash, item.sender, item.nonce, item.succeeded) for item in found] == [
        ("t1", EXECUTOR, 7, True),
        ("t2", PAYER, 7, True),
        ("t4", EXECUTOR, 7, False),
    ]
    assert [log.log_index for log in found[1].logs] == [3, 5]
    assert found[2].block == blocks[1].link


@pytest.mark.parametrize(
    ("events", "receipts", "message"),
    [
        ([located("t1", "elsewhere")], {}, "not in the range"),
        ([located("t1", "b2")], {}, "said to be in another block"),
        ([located("t9")], {}, "transactions in no block"),
        ([], {"t1": Receipt("b9", True, 0)}, "receipt of t1 is of another block"),
        ([], {"t1": Receipt("b1", True, 1)}, "1 logs by its receipt, 0 by the filter"),
        ([located("t1")], {"t1": Receipt("b1", False, 0)}, "0 logs by its receipt, 1 by the filter"),
    ],
)
def test_answers_that_contradict_each_other_are_refused(
    events: list[LocatedEvent], receipts: dict[str, Receipt], message: str
) -> None:
    with pytest.raises(InconsistentBlocks, match=message):
        relevant_transactions([block(1, ("t1", EXECUTOR)), block(2)], events, receipts)


@pytest.mark.parametrize(
    ("event", "expected"),
    [
        (
            Funded(ORDER_HASH, PAYER, OTHER, 5, 9),
            {"name": "funded", "payer": PAYER, "token": OTHER, "amount": 5},
        ),
        (
            Executed(ORDER_HASH, 2, OTHER, PAYER, OTHER, 5, 1),
            {
                "name": "executed",
                "payer": PAYER,
                "recipient": OTHER,
                "token": OTHER,
                "amount": 5,
                "fee": 1,
                "occurrence": 2,
            },
        ),
        (
            ExecutionFailed(ORDER_HASH, 2, b"\x01" * 300),
            {"name": "execution_failed", "occurrence": 2, "reason": "0x" + "01" * 256},
        ),
        (Cancelled(ORDER_HASH, PAYER, 4), {"name": "cancelled", "payer": PAYER, "amount": 4}),
        (Returned(ORDER_HASH, PAYER, 4), {"name": "returned", "payer": PAYER, "amount": 4}),
    ],
)
def test_events_of_the_escrow_keep_their_meaning(event: EscrowEvent, expected: dict[str, object]) -> None:
    log = escrow_log(3, event)
    assert log == EscrowLog(log_index=3, order_hash="0x" + ORDER_HASH.hex(), **expected)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("count", "parts"),
    [(0, [0]), (1, [1]), (256, [256]), (MAX_LOGS_PER_EVENT, [MAX_LOGS_PER_EVENT]), (1_200, [500, 500, 200])],
)
def test_logs_are_split_into_parts(count: int, parts: list[int]) -> None:
    logs = [escrow_log(number, executed(number)) for number in range(count)]
    split = split_logs(logs)
    assert [len(part) for part in split] == parts
    assert [log for part in split for log in part] == logs


@pytest.mark.parametrize(
    "event", [executed(2**32 - 1), ExecutionFailed(ORDER_HASH, 2**32 - 1, b"\xff" * 256)]
)
def test_the_largest_fact_fits_the_bus(event: EscrowEvent) -> None:
    (logs,) = split_logs([escrow_log(2**40 + number, event) for number in range(MAX_LOGS_PER_EVENT)])
    fact = TransactionFinalV1(
        chain_id=2**40,
        tx_hash="0x" + "f" * 64,
        sender=PAYER,
        nonce=2**60,
        succeeded=True,
        block_number=2**60,
        block_hash="0x" + "f" * 64,
        block_time=NOW,
        logs=logs,
    )
    assert len(fact.model_dump_json(exclude_none=True)) < 500_000


def test_versions_grow_and_follow_the_clock() -> None:
    microseconds = int(NOW.timestamp() * 1_000_000)
    assert next_versions(0, NOW, 3) == range(microseconds, microseconds + 3)
    assert next_versions(microseconds + 5, NOW, 2) == range(microseconds + 6, microseconds + 8)


@pytest.mark.parametrize(
    ("known", "price", "seconds", "news"),
    [
        (None, 10, 0, True),
        (10, 10, 3_600, False),
        (10, 11, 5, True),
        (10, 11, 4.9, False),
    ],
)
def test_a_gas_price_is_news_when_it_changed_and_not_too_soon(
    known: int | None, price: int, seconds: float, news: bool
) -> None:
    before = None if known is None else GasPrice(1, known, 1, NOW)
    assert is_news(before, GasPrice(2, price, 1, NOW + timedelta(seconds=seconds)), 5) is news
