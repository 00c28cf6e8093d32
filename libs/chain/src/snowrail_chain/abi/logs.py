"""Logs of the escrow and of ERC-20 tokens, as JSON-RPC gives them, decoded into typed values."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from eth_hash.auto import keccak

from snowrail_chain.addresses import checksum_address


class MalformedLog(ValueError):
    """The log carries a known topic but not the data that belongs to it."""


@dataclass(frozen=True, slots=True)
class LogPosition:
    """Where a log is.

    Attributes:
        address: Contract that emitted it, EIP-55.
        block_number: Block height.
        block_hash: `0x` and 64 hexadecimal digits.
        transaction_hash: The same form.
        log_index: Position within the block.
        removed: Whether the node says that a reorganisation removed it.
    """

    address: str
    block_number: int
    block_hash: str
    transaction_hash: str
    log_index: int
    removed: bool


@dataclass(frozen=True, slots=True)
class Funded:
    """A deposit arrived: `amount` atoms of `token`, after which the order holds `deposited`."""

    order_hash: bytes
    payer: str
    token: str
    amount: int
    deposited: int


@dataclass(frozen=True, slots=True)
class Executed:
    """The recipient was paid `amount` atoms for this occurrence; the payer also paid `fee` atoms."""

    order_hash: bytes
    occurrence: int
    recipient: str
    payer: str
    token: str
    amount: int
    fee: int


@dataclass(frozen=True, slots=True)
class ExecutionFailed:
    """An item of `executeMany` failed, moved nothing and consumed no occurrence.

    When one call names an (order, occurrence) twice, the second also fails: `Executed` decides.
    `reason` is at most the first 256 bytes of the revert data, which `explain_revert` reads.
    """

    order_hash: bytes
    occurrence: int
    reason: bytes


@dataclass(frozen=True, slots=True)
class Cancelled:
    """The payer forbade further executions and got `refunded` atoms back."""

    order_hash: bytes
    payer: str
    refunded: int


@dataclass(frozen=True, slots=True)
class Returned:
    """The deposit of an expired order, `amount` atoms, went back to the payer."""

    order_hash: bytes
    payer: str
    amount: int


@dataclass(frozen=True, slots=True)
class TokenTransfer:
    """An ERC-20 token says that it moved `amount` atoms; credit only measured balances of listed tokens."""

    sender: str
    recipient: str
    amount: int


EscrowEvent = Funded | Executed | ExecutionFailed | Cancelled | Returned


def _topic(signature: str) -> str:
    return f"0x{keccak(signature.encode()).hex()}"


_FUNDED = _topic("Funded(bytes32,address,address,uint256,uint256)")
_EXECUTED = _topic("Executed(bytes32,uint32,address,address,address,uint256,uint256)")
_EXECUTION_FAILED = _topic("ExecutionFailed(bytes32,uint32,bytes)")
_CANCELLED = _topic("Cancelled(bytes32,address,uint256)")
_RETURNED = _topic("Returned(bytes32,address,uint256)")

ESCROW_TOPICS: tuple[str, ...] = (_FUNDED, _EXECUTED, _EXECUTION_FAILED, _CANCELLED, _RETURNED)
"""First topics of the escrow's events, for log filters."""
TRANSFER_TOPIC = _topic("Transfer(address,address,uint256)")
"""First topic of an ERC-20 transfer, for log filters."""


def log_position(log: Mapping[str, Any]) -> LogPosition:
    """Where the log is.

    Raises:
        MalformedLog: A field is missing, as in logs of blocks that are not mined yet.
    """
    try:
        return LogPosition(
            address=checksum_address(bytes.fromhex(log["address"][2:])),
            block_number=int(log["blockNumber"], 16),
            block_hash=str(log["blockHash"]),
            transaction_hash=str(log["transactionHash"]),
            log_index=int(log["logIndex"], 16),
            removed=bool(log.get("removed", False)),
        )
    except (KeyError, TypeError, ValueError) as problem:
        raise MalformedLog(f"a log without a position: {problem!r}") from problem


def decode_escrow_log(log: Mapping[str, Any], escrow: str) -> EscrowEvent | None:
    """Decode a log of the escrow at EIP-55 address `escrow`; nothing for other contracts and other events.

    Raises:
        MalformedLog: An escrow event whose topics or data do not fit.
    """
    topics: list[str] = log["topics"]
    if log["address"].lower() != escrow.lower() or not topics or topics[0] not in ESCROW_TOPICS:
        return None
    indexed = [_from_hex(topic) for topic in topics[1:]]
    data = _from_hex(log["data"])
    match topics[0]:
        case topic if topic == _EXECUTED:
            _require(indexed, 3, data, 4)
            return Executed(
                order_hash=indexed[0],
                occurrence=int.from_bytes(indexed[1], "big"),
                recipient=_address(indexed[2]),
                payer=_address(data[:32]),
                token=_address(data[32:64]),
                amount=_uint(data, 2),
                fee=_uint(data, 3),
            )
        case topic if topic == _EXECUTION_FAILED:
            _require(indexed, 2, data[:64], 2)
            length = _uint(data, 1)
            if _uint(data, 0) != 32 or len(data) < 64 + length:
                raise MalformedLog("ExecutionFailed with a reason out of bounds")
            return ExecutionFailed(indexed[0], int.from_bytes(indexed[1], "big"), data[64 : 64 + length])
        case topic if topic == _FUNDED:
            _require(indexed, 2, data, 3)
            return Funded(
                order_hash=indexed[0],
                payer=_address(indexed[1]),
                token=_address(data[:32]),
                amount=_uint(data, 1),
                deposited=_uint(data, 2),
            )
        case topic:
            _require(indexed, 2, data, 1)
            kind = Cancelled if topic == _CANCELLED else Returned
            return kind(indexed[0], _address(indexed[1]), _uint(data, 0))


def decode_transfer_log(log: Mapping[str, Any]) -> TokenTransfer | None:
    """Decode an ERC-20 transfer; nothing for other events, among them ERC-721 transfers of four topics.

    Raises:
        MalformedLog: A transfer whose data does not fit.
    """
    topics: list[str] = log["topics"]
    if len(topics) != 3 or topics[0] != TRANSFER_TOPIC:
        return None
    data = _from_hex(log["data"])
    indexed = [_from_hex(topic) for topic in topics[1:]]
    _require(indexed, 2, data, 1)
    return TokenTransfer(_address(indexed[0]), _address(indexed[1]), _uint(data, 0))


def _require(indexed: list[bytes], topic_count: int, data: bytes, word_count: int) -> None:
    if len(indexed) != topic_count or any(len(topic) != 32 for topic in indexed):
        raise MalformedLog(f"{len(indexed)} indexed words instead of {topic_count}")
    if len(data) != 32 * word_count:
        raise MalformedLog(f"{len(data)} bytes of data instead of {32 * word_count}")


def _from_hex(text: str) -> bytes:
    try:
        return bytes.fromhex(text[2:])
    except ValueError as problem:
        raise MalformedLog("not hexadecimal") from problem


def _uint(data: bytes, index: int) -> int:
    return int.from_bytes(data[32 * index : 32 * index + 32], "big")


def _address(word: bytes) -> str:
    return checksum_address(word[12:])
