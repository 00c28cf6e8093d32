"""Spending mandates, their lists of recipients and their signatures, as `SpendingMandate` defines them.

Sources: https://eips.ethereum.org/EIPS/eip-712 for signatures, and for the list the sorted-pair trees of
https://github.com/OpenZeppelin/merkle-tree with leaves of one address.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

from eth_hash.auto import keccak

from snowrail_chain.eip712 import domain_separator, typed_document

MANDATE_FIELDS: tuple[tuple[str, str], ...] = (
    ("payer", "address"),
    ("delegate", "address"),
    ("token", "address"),
    ("perPayment", "uint128"),
    ("perPeriod", "uint128"),
    ("total", "uint128"),
    ("period", "uint64"),
    ("validAfter", "uint64"),
    ("validUntil", "uint64"),
    ("maxGasPrice", "uint256"),
    ("maxFee", "uint128"),
    ("recipients", "bytes32"),
    ("anyRecipient", "bool"),
    ("unlistedPerPayment", "uint128"),
    ("unlistedPerPeriod", "uint128"),
    ("salt", "bytes32"),
)
"""Names and types of a mandate's terms, in signing order."""

MANDATE_TYPE_HASH = keccak(f"Mandate({','.join(f'{kind} {name}' for name, kind in MANDATE_FIELDS)})".encode())


class InvalidMandate(ValueError):
    """The terms cannot be a mandate: the contract would refuse them.

    Attributes:
        term: Name of the offending term, as the contract spells it.
    """

    def __init__(self, term: str, message: str) -> None:
        super().__init__(f"{term}: {message}")
        self.term = term


@dataclass(frozen=True, slots=True)
class Mandate:
    """What a payer lets a delegate spend; every limit counts fees as well.

    Attributes:
        payer: EIP-55 address whose money is spent.
        delegate: EIP-55 address that decides on payments.
        token: EIP-55 address taken from the payer's wallet; the zero address is prepaid native coin.
        per_payment: Most atoms one payment takes.
        per_period: Most atoms one period takes.
        total: Most atoms the mandate ever takes.
        period: Seconds of a period, counted from `valid_after` on.
        valid_after: First second (Unix time) of the window.
        valid_until: Last second (Unix time) of the window.
        max_gas_price: Highest gas price of a payment, in wei.
        max_fee: Highest platform fee per payment, in atoms.
        recipients: 32 bytes, root of the list of allowed recipients; zero when none is listed.
        any_recipient: Whether others may be paid as well, within the two limits that follow.
        unlisted_per_payment: Most atoms one payment to an unlisted recipient takes.
        unlisted_per_period: Most atoms one period takes for unlisted recipients.
        salt: 32 bytes that make equal mandates distinct.

    Raises:
        InvalidMandate: A term is out of its range, or the contract would refuse it.
    """

    payer: str
    delegate: str
    token: str
    per_payment: int
    per_period: int
    total: int
    period: int
    valid_after: int
    valid_until: int
    max_gas_price: int
    max_fee: int
    recipients: bytes
    any_recipient: bool
    unlisted_per_payment: int
    unlisted_per_period: int
    salt: bytes

    def __post_init__(self) -> None:
        for (name, kind), value in zip(MANDATE_FIELDS, self._values(), strict=True):
            if kind == "address":
                _require(len(value) == 42, name, "not an address")
            elif kind == "bytes32":
                _require(len(value) == 32, name, "not 32 bytes")
            elif kind != "bool":
                _require(0 <= value < 1 << int(kind.removeprefix("uint")), name, "out of range")
        _require(int(self.payer, 16) != 0, "payer", "cannot pay")
        _require(self.per_payment > 0, "perPayment", "is zero")
        _require(self.per_period >= self.per_payment, "perPeriod", "is below perPayment")
        _require(self.total >= self.per_period, "total", "is below perPeriod")
        _require(self.period > 0, "period", "is zero")
        _require(self.valid_until >= self.valid_after, "validUntil", "is before validAfter")
        if self.any_recipient:
            _require(0 < self.unlisted_per_payment <= self.per_payment, "unlistedPerPayment", "out of range")
            within = self.unlisted_per_payment <= self.unlisted_per_period <= self.per_period
            _require(within, "unlistedPerPeriod", "out of range")
        else:
            _require(self.recipients != bytes(32), "recipients", "nobody could be paid")
            _require(self.unlisted_per_payment == 0, "unlistedPerPayment", "is for anyRecipient only")
            _require(self.unlisted_per_period == 0, "unlistedPerPeriod", "is for anyRecipient only")

    def _values(self) -> list[Any]:
        return [getattr(self, field.name) for field in fields(self)]

    def encode(self) -> bytes:
        """The mandate's sixteen 32-byte words, which are both its ABI encoding and its EIP-712 data."""
        return b"".join(_word(value) for value in self._values())

    def to_wire(self) -> dict[str, str | bool]:
        """Terms by the contract's names: EIP-55 addresses, integers as decimal text, bytes as hex."""
        return {
            name: value
            if isinstance(value, bool)
            else f"0x{value.hex()}"
            if isinstance(value, bytes)
            else str(value)
            for (name, _), value in zip(MANDATE_FIELDS, self._values(), strict=True)
        }


class RecipientList:
    """The Merkle tree over the recipients a mandate allows.

    Args:
        recipients: EIP-55 addresses, at least one; order and repetition mean nothing.
    """

    def __init__(self, recipients: Sequence[str]) -> None:
        if not recipients:
            raise InvalidMandate("recipients", "the list is empty")
        nodes = sorted({recipient_leaf(recipient) for recipient in recipients})
        self._levels = [nodes]
        while len(nodes) > 1:
            nodes = [_pair(nodes[i : i + 2]) for i in range(0, len(nodes), 2)]
            self._levels.append(nodes)

    @property
    def root(self) -> bytes:
        """32 bytes that the payer signs."""
        return self._levels[-1][0]

    def proof(self, recipient: str) -> list[bytes]:
        """Sibling nodes that prove a recipient.

        Raises:
            ValueError: The recipient is not listed.
        """
        position = self._levels[0].index(recipient_leaf(recipient))
        proof: list[bytes] = []
        for nodes in self._levels[:-1]:
            sibling = position ^ 1
            if sibling < len(nodes):  # the last of an odd number moves up as it is
                proof.append(nodes[sibling])
            position >>= 1
        return proof


def recipient_leaf(recipient: str) -> bytes:
    """Leaf of a recipient, 32 bytes, hashed twice."""
    return keccak(keccak(_word(recipient)))


def mandate_hash(mandate: Mandate) -> bytes:
    """EIP-712 struct hash, 32 bytes: the mandate's identity in the contract's storage and events."""
    return keccak(MANDATE_TYPE_HASH + mandate.encode())


def mandate_digest(mandate: Mandate, chain_id: int, contract: str) -> bytes:
    """The 32 bytes a payer signs for the `SpendingMandate` at EIP-55 address `contract`."""
    return keccak(b"\x19\x01" + domain_separator(chain_id, contract) + mandate_hash(mandate))


def mandate_typed_data(mandate: Mandate, chain_id: int, contract: str) -> dict[str, Any]:
    """The JSON document a wallet signs with `eth_signTypedData_v4`."""
    return typed_document({"Mandate": MANDATE_FIELDS}, "Mandate", mandate.to_wire(), chain_id, contract)


def _word(value: str | int | bytes) -> bytes:
    if isinstance(value, str):
        return bytes(12) + bytes.fromhex(value[2:])
    return value if isinstance(value, bytes) else value.to_bytes(32, "big")


def _pair(nodes: Sequence[bytes]) -> bytes:
    return keccak(b"".join(sorted(nodes))) if len(nodes) == 2 else nodes[0]


def _require(holds: bool, term: str, message: str) -> None:
    if not holds:
        raise InvalidMandate(term, message)
