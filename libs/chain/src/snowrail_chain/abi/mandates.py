"""Calls, states and logs of `SpendingMandate`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from eth_abi.abi import encode
from eth_hash.auto import keccak

from snowrail_chain.abi.logs import MalformedLog
from snowrail_chain.addresses import checksum_address
from snowrail_chain.mandate import MANDATE_FIELDS, Mandate

_MANDATE = f"({','.join(kind for _, kind in MANDATE_FIELDS)})"
_MANDATE_BYTES = 32 * len(MANDATE_FIELDS)


def _selector(signature: str) -> bytes:
    return keccak(signature.encode())[:4]


def _topic(signature: str) -> str:
    return f"0x{keccak(signature.encode()).hex()}"


_AUTHORISE = _selector(f"authorise({_MANDATE})")
_REVOKE = _selector(f"revoke({_MANDATE})")
_PREPAY = _selector("prepay()")
_WITHDRAW = _selector("withdraw(uint256)")
_SPEND = _selector(f"spend({_MANDATE},(bytes32,address,uint256),bytes32[],bytes)")
_MANDATE_STATE = _selector("mandateState(bytes32)")
_PREPAID_OF = _selector("prepaid(address)")

_AUTHORISED = _topic("Authorised(bytes32,address)")
_REVOKED = _topic("Revoked(bytes32,address)")
_SPENT = _topic("Spent(bytes32,bytes32,address,address,address,uint256,uint256)")
_PREPAID = _topic("Prepaid(address,uint256,uint256)")
_WITHDRAWN = _topic("Withdrawn(address,uint256,uint256)")

MANDATE_TOPICS: tuple[str, ...] = (_AUTHORISED, _REVOKED, _SPENT, _PREPAID, _WITHDRAWN)
"""First topics of the events of mandates, for log filters."""


@dataclass(frozen=True, slots=True)
class MandateState:
    """What the contract remembers of a mandate.

    Attributes:
        spent: Atoms taken so far.
        spent_in_period: Atoms taken in the period `period_index`.
        unlisted_in_period: The part of them that went to unlisted recipients.
        period_index: Period of the last payment.
        authorised: Whether the payer authorised the mandate in person.
        revoked: Whether the payer has ended it.
    """

    spent: int
    spent_in_period: int
    unlisted_in_period: int
    period_index: int
    authorised: bool
    revoked: bool


@dataclass(frozen=True, slots=True)
class MandateAuthorised:
    """The payer authorised a mandate in person."""

    mandate: bytes
    payer: str


@dataclass(frozen=True, slots=True)
class MandateRevoked:
    """The payer ended a mandate for ever."""

    mandate: bytes
    payer: str


@dataclass(frozen=True, slots=True)
class Spent:
    """The delegate paid `amount` atoms; the payer also paid `fee` atoms."""

    mandate: bytes
    id: bytes
    recipient: str
    payer: str
    token: str
    amount: int
    fee: int


@dataclass(frozen=True, slots=True)
class Prepaid:
    """The payer prepaid `amount` wei and now holds `balance`."""

    payer: str
    amount: int
    balance: int


@dataclass(frozen=True, slots=True)
class Withdrawn:
    """The payer took `amount` wei back and still holds `balance`."""

    payer: str
    amount: int
    balance: int


MandateEvent = MandateAuthorised | MandateRevoked | Spent | Prepaid | Withdrawn


def authorise_calldata(mandate: Mandate) -> bytes:
    """The payer authorises a mandate in person."""
    return _AUTHORISE + mandate.encode()


def revoke_calldata(mandate: Mandate) -> bytes:
    """The payer ends a mandate for ever."""
    return _REVOKE + mandate.encode()


def prepay_calldata() -> bytes:
    """The payer prepays native coin, sent as the transaction's value."""
    return _PREPAY


def withdraw_calldata(amount: int) -> bytes:
    """The payer takes prepaid native coin back; everything when the amount exceeds the balance."""
    return _WITHDRAW + amount.to_bytes(32, "big")


def spend_calldata(
    mandate: Mandate, payment_id: bytes, recipient: str, amount: int, proof: Sequence[bytes], signature: bytes
) -> bytes:
    """The delegate makes one payment.

    Args:
        mandate: The terms.
        payment_id: 32 bytes, identity of the payment within the mandate.
        recipient: EIP-55 address.
        amount: Atoms.
        proof: `RecipientList.proof`; empty for an unlisted recipient.
        signature: The payer's signature; empty when the payer authorised the mandate in person.
    """
    head_bytes = _MANDATE_BYTES + 5 * 32  # three words of the payment, two offsets
    tail = encode(["bytes32[]", "bytes"], [list(proof), signature])[64:]
    signature_offset = head_bytes + 32 * (1 + len(proof))
    return b"".join(
        (
            _SPEND,
            mandate.encode(),
            encode(["bytes32", "address", "uint256"], [payment_id, recipient, amount]),
            head_bytes.to_bytes(32, "big"),
            signature_offset.to_bytes(32, "big"),
            tail,
        )
    )


def mandate_state_calldata(mandate_hash: bytes) -> bytes:
    """Ask for the state of a mandate; `decode_mandate_state` reads the answer."""
    return _MANDATE_STATE + mandate_hash


def decode_mandate_state(answer: bytes) -> MandateState:
    """Read the answer to `mandate_state_calldata`.

    Raises:
        ValueError: Not six words.
    """
    if len(answer) != 192:
        raise ValueError(f"a mandate state has 192 bytes, not {len(answer)}")
    words = [_uint(answer, index) for index in range(6)]
    return MandateState(*words[:4], authorised=bool(words[4]), revoked=bool(words[5]))


def prepaid_calldata(payer: str) -> bytes:
    """Ask for the prepaid wei of a payer; `decode_uint256` reads the answer."""
    return _PREPAID_OF + bytes(12) + bytes.fromhex(payer[2:])


def decode_mandate_log(log: Mapping[str, Any], contract: str) -> MandateEvent | None:
    """Decode a log of the `SpendingMandate` at `contract`; nothing for logs of others or of other kinds.

    Raises:
        MalformedLog: A known event whose data does not fit.
    """
    topics: list[str] = log["topics"]
    if log["address"].lower() != contract.lower() or not topics or topics[0] not in MANDATE_TOPICS:
        return None
    try:
        words = [bytes.fromhex(topic[2:]) for topic in topics[1:]]
        data = bytes.fromhex(log["data"][2:])
    except ValueError as problem:
        raise MalformedLog("not hexadecimal") from problem
    if (len(words), len(data)) != _SHAPES[topics[0]]:
        raise MalformedLog(f"{len(words)} indexed words and {len(data)} bytes do not fit {topics[0]}")
    if topics[0] == _SPENT:
        parties = (_address(words[2]), _address(data[:32]), _address(data[32:64]))
        return Spent(words[0], words[1], *parties, _uint(data, 2), _uint(data, 3))
    if topics[0] in (_AUTHORISED, _REVOKED):
        kind = MandateAuthorised if topics[0] == _AUTHORISED else MandateRevoked
        return kind(words[0], _address(words[1]))
    moved = Prepaid if topics[0] == _PREPAID else Withdrawn
    return moved(_address(words[0]), _uint(data, 0), _uint(data, 1))


_SHAPES = {_AUTHORISED: (2, 0), _REVOKED: (2, 0), _SPENT: (3, 128), _PREPAID: (1, 64), _WITHDRAWN: (1, 64)}


def _uint(data: bytes, index: int) -> int:
    return int.from_bytes(data[32 * index : 32 * index + 32], "big")


def _address(word: bytes) -> str:
    return checksum_address(word[12:])
