"""Manifests of batches, their Merkle trees and their EIP-712 signatures, as `BatchPayout` defines them.

Source of the signatures: https://eips.ethereum.org/EIPS/eip-712. The tree is described in `PayoutTree.sol`:
leaves are hashed twice, nodes by position, and an aligned run of rows is proven as one subtree.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from eth_hash.auto import keccak

from snowrail_chain.eip712 import domain_separator, typed_document

MAX_TOKENS = 16
"""Most tokens of one manifest."""
MAX_ROWS = 1 << 20
"""Most rows of one manifest."""
MAX_ROWS_PER_CALL = 256
"""Most rows of one `pay`."""

TOKEN_TOTAL_FIELDS: tuple[tuple[str, str], ...] = (
    ("token", "address"),
    ("amount", "uint128"),
    ("maxFee", "uint128"),
)
MANIFEST_FIELDS: tuple[tuple[str, str], ...] = (
    ("payer", "address"),
    ("root", "bytes32"),
    ("rows", "uint32"),
    ("validAfter", "uint64"),
    ("validUntil", "uint64"),
    ("maxGasPrice", "uint256"),
    ("salt", "bytes32"),
    ("totals", "TokenTotal[]"),
)
"""Names and types of a manifest's terms, in signing order."""

_TOTAL_TYPE = f"TokenTotal({','.join(f'{kind} {name}' for name, kind in TOKEN_TOTAL_FIELDS)})"
_TOTAL_TYPE_HASH = keccak(_TOTAL_TYPE.encode())
_MANIFEST_TYPE_HASH = keccak(
    f"Manifest({','.join(f'{kind} {name}' for name, kind in MANIFEST_FIELDS)}){_TOTAL_TYPE}".encode()
)
_PADDING = bytes(12)


class InvalidManifest(ValueError):
    """The terms cannot be a manifest: the contract would refuse them.

    Attributes:
        term: Name of the offending term, as the contract spells it.
    """

    def __init__(self, term: str, message: str) -> None:
        super().__init__(f"{term}: {message}")
        self.term = term


@dataclass(frozen=True, slots=True)
class PayoutRow:
    """One payment of a manifest: `amount` atoms of `token` for `recipient`, both EIP-55 addresses."""

    recipient: str
    token: str
    amount: int


@dataclass(frozen=True, slots=True)
class TokenTotal:
    """What a batch may spend of one token at most.

    Attributes:
        token: EIP-55 address; the zero address is the native coin.
        amount: Atoms for all recipients together.
        max_fee: Highest platform fee of the whole batch, in atoms, on top of the amount.
    """

    token: str
    amount: int
    max_fee: int


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a payer signs for a batch.

    Attributes:
        payer: EIP-55 address whose money is spent.
        root: 32 bytes, root of the tree over all rows.
        rows: Number of rows.
        valid_after: First second (Unix time) at which rows are paid.
        valid_until: Last second (Unix time) at which rows are paid.
        max_gas_price: Highest gas price at which rows are paid, in wei.
        salt: 32 bytes that make equal manifests distinct.
        totals: Totals per token, ascending by address.

    Raises:
        InvalidManifest: A term is out of its range, or the contract would refuse it.
    """

    payer: str
    root: bytes
    rows: int
    valid_after: int
    valid_until: int
    max_gas_price: int
    salt: bytes
    totals: tuple[TokenTotal, ...]

    def __post_init__(self) -> None:
        _require(len(self.payer) == 42 and int(self.payer, 16) != 0, "payer", "not an address that can pay")
        _require(len(self.root) == 32, "root", "not 32 bytes")
        _require(len(self.salt) == 32, "salt", "not 32 bytes")
        _require(0 < self.rows <= MAX_ROWS, "rows", f"not between 1 and {MAX_ROWS}")
        _require(0 <= self.valid_after < 1 << 64, "validAfter", "out of range")
        _require(self.valid_after <= self.valid_until < 1 << 64, "validUntil", "out of range")
        _require(0 <= self.max_gas_price < 1 << 256, "maxGasPrice", "out of range")
        _require(0 < len(self.totals) <= MAX_TOKENS, "totals", f"not between 1 and {MAX_TOKENS}")
        for total in self.totals:
            _require(0 < total.amount < 1 << 128, "amount", "out of range")
            _require(0 <= total.max_fee < 1 << 128, "maxFee", "out of range")
        tokens = [int(total.token, 16) for total in self.totals]
        _require(
            tokens == sorted(set(tokens)), "token", "totals are not in ascending order of distinct tokens"
        )


class PayoutTree:
    """The Merkle tree over the rows of a manifest.

    Args:
        rows: All rows, in the order of their indexes.

    Raises:
        InvalidManifest: No row, or more than `MAX_ROWS`.
    """

    def __init__(self, rows: Sequence[PayoutRow]) -> None:
        _require(0 < len(rows) <= MAX_ROWS, "rows", f"not between 1 and {MAX_ROWS}")
        self._count = len(rows)
        nodes = [leaf_hash(index, row) for index, row in enumerate(rows)]
        blank = bytes(32)  # what stands right of the last row: the root of an empty subtree of this level
        self._levels = [nodes]
        self._blanks = [blank]
        for _ in range((len(rows) - 1).bit_length()):
            if len(nodes) % 2:
                nodes = [*nodes, blank]
            nodes = [keccak(nodes[i] + nodes[i + 1]) for i in range(0, len(nodes), 2)]
            blank = keccak(blank + blank)
            self._levels.append(nodes)
            self._blanks.append(blank)

    @property
    def root(self) -> bytes:
        """32 bytes that the payer signs."""
        return self._levels[-1][0]

    def proof(self, first_index: int, row_count: int) -> list[bytes]:
        """Sibling nodes from a run of rows up to the root.

        Args:
            first_index: Index of the first row, a multiple of the run's width.
            row_count: A power of two, or as many rows as are left up to the end of the manifest.

        Raises:
            ValueError: The contract would refuse such a run as misaligned.
        """
        height = (row_count - 1).bit_length() if row_count > 0 else 0
        end = first_index + row_count
        aligned = row_count > 0 and first_index >= 0 and first_index % (1 << height) == 0
        if not aligned or end > self._count or (row_count != 1 << height and end != self._count):
            raise ValueError(f"{row_count} rows from {first_index} on are no run of {self._count} rows")
        position = first_index >> height
        proof: list[bytes] = []
        for level in range(height, len(self._levels) - 1):
            nodes = self._levels[level]
            sibling = position ^ 1
            proof.append(nodes[sibling] if sibling < len(nodes) else self._blanks[level])
            position >>= 1
        return proof


def leaf_hash(index: int, row: PayoutRow) -> bytes:
    """Leaf of a row, 32 bytes."""
    words = (
        index.to_bytes(32, "big"),
        _PADDING,
        bytes.fromhex(row.recipient[2:]),
        _PADDING,
        bytes.fromhex(row.token[2:]),
        row.amount.to_bytes(32, "big"),
    )
    return keccak(keccak(b"".join(words)))


def totals_of(rows: Sequence[PayoutRow], max_fees: dict[str, int]) -> tuple[TokenTotal, ...]:
    """Totals of rows per token, ascending by address.

    Args:
        rows: All rows of a manifest.
        max_fees: Highest fee of the batch per token, in atoms; none where a token is missing.
    """
    amounts: dict[str, int] = {}
    for row in rows:
        amounts[row.token] = amounts.get(row.token, 0) + row.amount
    return tuple(
        TokenTotal(token, amounts[token], max_fees.get(token, 0))
        for token in sorted(amounts, key=lambda token: int(token, 16))
    )


def manifest_hash(manifest: Manifest) -> bytes:
    """EIP-712 struct hash, 32 bytes: the batch's identity in the contract's storage and events."""
    totals = b"".join(
        keccak(
            _TOTAL_TYPE_HASH
            + _PADDING
            + bytes.fromhex(total.token[2:])
            + total.amount.to_bytes(32, "big")
            + total.max_fee.to_bytes(32, "big")
        )
        for total in manifest.totals
    )
    words = (
        _MANIFEST_TYPE_HASH,
        _PADDING,
        bytes.fromhex(manifest.payer[2:]),
        manifest.root,
        manifest.rows.to_bytes(32, "big"),
        manifest.valid_after.to_bytes(32, "big"),
        manifest.valid_until.to_bytes(32, "big"),
        manifest.max_gas_price.to_bytes(32, "big"),
        manifest.salt,
        keccak(totals),
    )
    return keccak(b"".join(words))


def manifest_digest(manifest: Manifest, chain_id: int, payout: str) -> bytes:
    """The 32 bytes a payer signs for the `BatchPayout` at EIP-55 address `payout` on chain `chain_id`."""
    return keccak(b"\x19\x01" + domain_separator(chain_id, payout) + manifest_hash(manifest))


def manifest_typed_data(manifest: Manifest, chain_id: int, payout: str) -> dict[str, Any]:
    """The JSON document a wallet signs with `eth_signTypedData_v4`."""
    message = {
        "payer": manifest.payer,
        "root": f"0x{manifest.root.hex()}",
        "rows": str(manifest.rows),
        "validAfter": str(manifest.valid_after),
        "validUntil": str(manifest.valid_until),
        "maxGasPrice": str(manifest.max_gas_price),
        "salt": f"0x{manifest.salt.hex()}",
        "totals": [
            {"token": total.token, "amount": str(total.amount), "maxFee": str(total.max_fee)}
            for total in manifest.totals
        ],
    }
    types = {"Manifest": MANIFEST_FIELDS, "TokenTotal": TOKEN_TOTAL_FIELDS}
    return typed_document(types, "Manifest", message, chain_id, payout)


def _require(holds: bool, term: str, message: str) -> None:
    if not holds:
        raise InvalidManifest(term, message)
