"""Calls, states and logs of `BatchPayout`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from eth_abi.abi import encode
from eth_hash.auto import keccak

from snowrail_chain.abi.logs import MalformedLog
from snowrail_chain.addresses import checksum_address
from snowrail_chain.manifest import (
    MANIFEST_FIELDS,
    MAX_ROWS_PER_CALL,
    TOKEN_TOTAL_FIELDS,
    Manifest,
    PayoutRow,
)

_TOTAL = f"({','.join(kind for _, kind in TOKEN_TOTAL_FIELDS)})"
_MANIFEST = f"({','.join(kind for _, kind in MANIFEST_FIELDS[:-1])},{_TOTAL}[])"
_PERMITS = "(uint8,uint256,uint8,bytes32,bytes32)[]"
_ROWS = "(address,address,uint256)[]"


def _selector(signature: str) -> bytes:
    return keccak(signature.encode())[:4]


def _topic(signature: str) -> str:
    return f"0x{keccak(signature.encode()).hex()}"


_FUND = _selector(f"fund({_MANIFEST},{_PERMITS},bytes)")
_PAY = _selector(f"pay({_MANIFEST},uint32,{_ROWS},bytes32[])")
_CANCEL = _selector(f"cancel({_MANIFEST})")
_RETURN_UNSPENT = _selector(f"returnUnspent({_MANIFEST})")
_BATCH_STATE = _selector("batchState(bytes32)")
_REMAINDER_OF = _selector("remainderOf(bytes32,address)")
_PAID_BITS = _selector("paidBits(bytes32,uint256)")

_FUNDED = _topic("BatchFunded(bytes32,address,bytes32,uint32)")
_ROW_PAID = _topic("RowPaid(bytes32,uint32,address,address,uint256,uint256)")
_ROW_FAILED = _topic("RowFailed(bytes32,uint32,bytes)")
_CANCELLED = _topic("BatchCancelled(bytes32,address)")
_RETURNED = _topic("BatchReturned(bytes32,address,address,uint256)")

BATCH_TOPICS: tuple[str, ...] = (_FUNDED, _ROW_PAID, _ROW_FAILED, _CANCELLED, _RETURNED)
"""First topics of the events of batches, for log filters."""


@dataclass(frozen=True, slots=True)
class TotalPermit:
    """An EIP-2612 permit of the payer over one total and its highest fee.

    Attributes:
        total_index: Position of the token among the manifest's totals.
        deadline: Last second (Unix time) of the permit.
        signature: 65 bytes r, s, v.
    """

    total_index: int
    deadline: int
    signature: bytes


@dataclass(frozen=True, slots=True)
class BatchState:
    """What the contract remembers: rows paid, whether the batch was funded and whether it was cancelled."""

    paid: int
    funded: bool
    cancelled: bool


@dataclass(frozen=True, slots=True)
class BatchFunded:
    """All totals of a manifest were deposited."""

    batch: bytes
    payer: str
    root: bytes
    rows: int


@dataclass(frozen=True, slots=True)
class RowPaid:
    """A row was paid, for the first and only time; the payer's deposit also paid `fee` atoms."""

    batch: bytes
    index: int
    recipient: str
    token: str
    amount: int
    fee: int


@dataclass(frozen=True, slots=True)
class RowFailed:
    """A row failed, moved nothing and can be tried again; `explain_revert` reads the reason."""

    batch: bytes
    index: int
    reason: bytes


@dataclass(frozen=True, slots=True)
class BatchCancelled:
    """The payer forbade further payments."""

    batch: bytes
    payer: str


@dataclass(frozen=True, slots=True)
class BatchReturned:
    """Unspent money, `amount` atoms of `token`, went back to the payer."""

    batch: bytes
    payer: str
    token: str
    amount: int


BatchEvent = BatchFunded | RowPaid | RowFailed | BatchCancelled | BatchReturned


def fund_batch_calldata(
    manifest: Manifest, permits: Sequence[TotalPermit] = (), signature: bytes = b""
) -> bytes:
    """Deposit every total; the signature is empty when the payer sends the transaction."""
    allowed = [
        (item.total_index, item.deadline, item.signature[64], item.signature[:32], item.signature[32:64])
        for item in permits
    ]
    return _FUND + encode([_MANIFEST, _PERMITS, "bytes"], [_values(manifest), allowed, signature])


def pay_rows_calldata(
    manifest: Manifest, first_index: int, rows: Sequence[PayoutRow], proof: Sequence[bytes]
) -> bytes:
    """Pay an aligned run of rows, each succeeding or failing alone; `PayoutTree.proof` gives the proof.

    Raises:
        ValueError: No row, or more than `MAX_ROWS_PER_CALL`.
    """
    if not 0 < len(rows) <= MAX_ROWS_PER_CALL:
        raise ValueError(f"one call carries 1 to {MAX_ROWS_PER_CALL} rows, not {len(rows)}")
    run = [(row.recipient, row.token, row.amount) for row in rows]
    kinds = [_MANIFEST, "uint32", _ROWS, "bytes32[]"]
    return _PAY + encode(kinds, [_values(manifest), first_index, run, list(proof)])


def cancel_batch_calldata(manifest: Manifest) -> bytes:
    """The payer forbids further payments and takes back what is unpaid."""
    return _CANCEL + encode([_MANIFEST], [_values(manifest)])


def return_unspent_calldata(manifest: Manifest) -> bytes:
    """Anyone returns what is left of a finished or expired batch to its payer."""
    return _RETURN_UNSPENT + encode([_MANIFEST], [_values(manifest)])


def batch_state_calldata(batch: bytes) -> bytes:
    """Ask for the state of a batch; `decode_batch_state` reads the answer."""
    return _BATCH_STATE + batch


def decode_batch_state(answer: bytes) -> BatchState:
    """Read the answer to `batch_state_calldata`.

    Raises:
        ValueError: Not three words.
    """
    if len(answer) != 96:
        raise ValueError(f"a batch state has 96 bytes, not {len(answer)}")
    paid, funded, cancelled = (_uint(answer, index) for index in range(3))
    return BatchState(paid, bool(funded), bool(cancelled))


def remainder_calldata(batch: bytes, token: str) -> bytes:
    """Ask for what is left of a deposit: two words, atoms for recipients and atoms for fees."""
    return _REMAINDER_OF + batch + bytes(12) + bytes.fromhex(token[2:])


def paid_bits_calldata(batch: bytes, word: int) -> bytes:
    """Ask which rows from `256 * word` on were paid, one bit each; `decode_uint256` reads the answer."""
    return _PAID_BITS + batch + word.to_bytes(32, "big")


def decode_batch_log(log: Mapping[str, Any], payout: str) -> BatchEvent | None:
    """Decode a log of the `BatchPayout` at `payout`; nothing for logs of others or of other kinds.

    Raises:
        MalformedLog: A known event whose data does not fit.
    """
    topics: list[str] = log["topics"]
    if log["address"].lower() != payout.lower() or not topics or topics[0] not in BATCH_TOPICS:
        return None
    try:
        words = [bytes.fromhex(topic[2:]) for topic in topics[1:]]
        data = bytes.fromhex(log["data"][2:])
    except ValueError as problem:
        raise MalformedLog("not hexadecimal") from problem
    expected_topics, least_bytes = _SHAPES[topics[0]]
    if len(words) != expected_topics or len(data) < least_bytes:
        raise MalformedLog(f"{len(words)} indexed words and {len(data)} bytes do not fit {topics[0]}")
    if topics[0] == _ROW_PAID:
        index, recipient = int.from_bytes(words[1], "big"), _address(words[2])
        return RowPaid(words[0], index, recipient, _address(data[:32]), _uint(data, 1), _uint(data, 2))
    if topics[0] == _ROW_FAILED:
        length = _uint(data, 1)
        if _uint(data, 0) != 32 or len(data) < 64 + length:
            raise MalformedLog(f"{len(data)} bytes of data for a reason of {length}")
        return RowFailed(words[0], int.from_bytes(words[1], "big"), data[64 : 64 + length])
    if topics[0] == _FUNDED:
        return BatchFunded(words[0], _address(words[1]), data[:32], _uint(data, 1))
    if topics[0] == _RETURNED:
        return BatchReturned(words[0], _address(words[1]), _address(words[2]), _uint(data, 0))
    return BatchCancelled(words[0], _address(words[1]))


_SHAPES = {_FUNDED: (2, 64), _ROW_PAID: (3, 96), _ROW_FAILED: (2, 64), _CANCELLED: (2, 0), _RETURNED: (3, 32)}


def _values(manifest: Manifest) -> tuple[Any, ...]:
    return (
        manifest.payer,
        manifest.root,
        manifest.rows,
        manifest.valid_after,
        manifest.valid_until,
        manifest.max_gas_price,
        manifest.salt,
        [(total.token, total.amount, total.max_fee) for total in manifest.totals],
    )


def _uint(data: bytes, index: int) -> int:
    return int.from_bytes(data[32 * index : 32 * index + 32], "big")


def _address(word: bytes) -> str:
    return checksum_address(word[12:])
