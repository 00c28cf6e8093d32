"""Signing transactions: EIP-1559 only, one chain, and one effect per nonce.

Sources: https://eips.ethereum.org/EIPS/eip-1559, https://eips.ethereum.org/EIPS/eip-2718.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol, cast

from coincurve import PrivateKey, PublicKey
from eth_hash.auto import keccak
from rlp import decode as untyped_rlp_decode
from rlp import encode as untyped_rlp_encode
from rlp.exceptions import RLPException

from snowrail_chain.addresses import checksum_address

_DYNAMIC_FEE_TYPE = b"\x02"
DEFAULT_MAX_REMEMBERED_NONCES = 100_000


class SigningFailed(Exception):
    """There is no signature. Asking again for the same transaction is safe."""


class SigningRefused(SigningFailed):
    """The signer will not sign this transaction."""


class ForeignChain(SigningRefused):
    """The transaction is for another chain than the signer's."""


class NonceConflict(SigningRefused):
    """Another transaction with another effect was signed for this nonce."""


class NotSelfTransfer(SigningRefused):
    """Announced as an operator's zero-value self-transfer, but it is something else."""


@dataclass(frozen=True, slots=True)
class Transaction:
    """An EIP-1559 transaction to be signed.

    Attributes:
        chain_id: Chain it is valid on.
        nonce: Nonce of the sender.
        to: EIP-55 address of the callee; nothing creates a contract.
        value: Wei sent along.
        data: Call data, or creation code.
        gas_limit: Gas.
        max_fee_per_gas: Wei per gas at most, base fee and priority fee together.
        max_priority_fee_per_gas: Wei per gas for the block's producer at most.
    """

    chain_id: int
    nonce: int
    to: str | None
    value: int
    data: bytes
    gas_limit: int
    max_fee_per_gas: int
    max_priority_fee_per_gas: int


@dataclass(frozen=True, slots=True)
class SignedTransaction:
    """Bytes for the network, and their hash (`0x` and 64 hexadecimal digits)."""

    raw: bytes
    hash: str


class Signer(Protocol):
    """Holds a key that never leaves it. Implementations may be remote; calls may run at the same time."""

    @property
    def address(self) -> str:
        """EIP-55 address of the key."""
        ...

    async def sign_transaction(
        self, transaction: Transaction, *, operator_self_transfer: bool = False
    ) -> SignedTransaction:
        """Sign a transaction.

        Signing the same effect (to, value, data) again for one nonce, with other fees, is a replacement and
        allowed. Any other effect for that nonce is refused, except a zero-value transfer to the signer itself
        that an operator has approved to free a stuck nonce.

        Raises:
            ForeignChain: Another chain than the signer's.
            NonceConflict: Another effect was signed for this nonce.
            NotSelfTransfer: `operator_self_transfer`, but there is value, data or another recipient.
        """
        ...


class SigningKey(Protocol):
    """A secp256k1 key that signs digests, wherever it is kept."""

    @property
    def address(self) -> str:
        """EIP-55 address of the key."""
        ...

    async def sign_digest(self, digest: bytes) -> bytes:
        """Return 65 bytes for a 32-byte digest: r, s in the lower half of the order, recovery id 0 or 1.

        Raises:
            SigningFailed: The key is out of reach, or gave no usable signature. Asking again is safe.
        """
        ...


class SigningLedger(Protocol):
    """Remembers for which effect each nonce was signed; durable before it answers."""

    async def claim(self, chain_id: int, address: str, nonce: int, effect: bytes) -> bytes:
        """Record an effect (32 bytes) for a nonce, unless there is one, and return the one on record."""
        ...


class MemoryLedger:
    """A `SigningLedger` that lives as long as its process and remembers the nonces recorded last."""

    def __init__(self, max_remembered_nonces: int = DEFAULT_MAX_REMEMBERED_NONCES) -> None:
        self._max_remembered_nonces = max_remembered_nonces
        self._effects: dict[tuple[int, str, int], bytes] = {}

    async def claim(self, chain_id: int, address: str, nonce: int, effect: bytes) -> bytes:
        """See `SigningLedger.claim`."""
        recorded = self._effects.setdefault((chain_id, address, nonce), effect)
        if len(self._effects) > self._max_remembered_nonces:
            del self._effects[next(iter(self._effects))]
        return recorded


class LocalKey:
    """A `SigningKey` in this process: for development, and for tests.

    Args:
        private_key: 32 bytes.
    """

    def __init__(self, private_key: bytes) -> None:
        self._key = PrivateKey(private_key)
        self._address = address_of(self._key.public_key)

    @property
    def address(self) -> str:
        """EIP-55 address of the key."""
        return self._address

    async def sign_digest(self, digest: bytes) -> bytes:
        """See `SigningKey.sign_digest`."""
        return self._key.sign_recoverable(digest, hasher=None)


class GuardedSigner:
    """A `Signer` over any key: one chain, and one effect per nonce, recorded before the key is asked.

    Args:
        key: Signs.
        chain_id: The only chain it signs for.
        ledger: Remembers effects; where a second one must be refused after a restart too, a durable one.
    """

    def __init__(self, key: SigningKey, chain_id: int, ledger: SigningLedger) -> None:
        self._key = key
        self._chain_id = chain_id
        self._ledger = ledger

    @property
    def address(self) -> str:
        """EIP-55 address of the key."""
        return self._key.address

    async def sign_transaction(
        self, transaction: Transaction, *, operator_self_transfer: bool = False
    ) -> SignedTransaction:
        """See `Signer.sign_transaction`."""
        if transaction.chain_id != self._chain_id:
            raise ForeignChain(f"signs for chain {self._chain_id}, not {transaction.chain_id}")
        if operator_self_transfer:
            if transaction.to != self.address or transaction.value != 0 or transaction.data != b"":
                raise NotSelfTransfer("a self-transfer goes to the signer, without value and data")
        else:
            effect, nonce = effect_digest(transaction), transaction.nonce
            if await self._ledger.claim(self._chain_id, self.address, nonce, effect) != effect:
                raise NonceConflict(f"nonce {nonce} was signed for another effect")
        fields = _fields(transaction)
        signature = await self._key.sign_digest(keccak(_DYNAMIC_FEE_TYPE + _rlp(fields)))
        return _serialise(fields, signature)


class LocalSigner(GuardedSigner):
    """A `Signer` with the key and the memory of its nonces in this process.

    Args:
        private_key: 32 bytes.
        chain_id: The only chain it signs for.
        max_remembered_nonces: How many nonces it remembers.
    """

    def __init__(
        self,
        private_key: bytes,
        chain_id: int,
        *,
        max_remembered_nonces: int = DEFAULT_MAX_REMEMBERED_NONCES,
    ) -> None:
        super().__init__(LocalKey(private_key), chain_id, MemoryLedger(max_remembered_nonces))


def address_of(public_key: PublicKey) -> str:
    """Return the EIP-55 address of a public key."""
    return checksum_address(keccak(public_key.format(compressed=False)[1:])[12:])


def effect_digest(transaction: Transaction) -> bytes:
    """Return the 32 bytes that stand for what a transaction does: its callee, value and data."""
    return keccak(_rlp([_address(transaction.to), transaction.value.to_bytes(32, "big"), transaction.data]))


def _fields(transaction: Transaction) -> list[bytes | list[bytes]]:
    """What is signed of a transaction, in the order of EIP-1559."""
    return [
        _integer(transaction.chain_id),
        _integer(transaction.nonce),
        _integer(transaction.max_priority_fee_per_gas),
        _integer(transaction.max_fee_per_gas),
        _integer(transaction.gas_limit),
        _address(transaction.to),
        _integer(transaction.value),
        transaction.data,
        [],
    ]


def _serialise(fields: list[bytes | list[bytes]], signature: bytes) -> SignedTransaction:
    tail = [_integer(signature[64]), signature[:32].lstrip(b"\0"), signature[32:64].lstrip(b"\0")]
    raw = _DYNAMIC_FEE_TYPE + _rlp([*fields, *tail])
    return SignedTransaction(raw, f"0x{keccak(raw).hex()}")


def _rlp(fields: Sequence[bytes | Sequence[bytes]]) -> bytes:
    return cast("bytes", untyped_rlp_encode(fields))


def _integer(value: int) -> bytes:
    return value.to_bytes((value.bit_length() + 7) // 8, "big")


def _address(address: str | None) -> bytes:
    return b"" if address is None else bytes.fromhex(address[2:])


def read_transaction(raw: bytes) -> Transaction:
    """Return what a signed EIP-1559 transaction does and bids, from its bytes.

    Raises:
        ValueError: The bytes are not those of such a transaction.
    """
    if raw[:1] != _DYNAMIC_FEE_TYPE:
        raise ValueError("not an EIP-1559 transaction")
    try:
        fields = cast("list[Any]", untyped_rlp_decode(raw[1:]))
        chain_id, nonce, priority_fee, max_fee, gas_limit, to, value, data = fields[:8]
        return Transaction(
            chain_id=int.from_bytes(chain_id, "big"),
            nonce=int.from_bytes(nonce, "big"),
            to=checksum_address(to) if to else None,
            value=int.from_bytes(value, "big"),
            data=data,
            gas_limit=int.from_bytes(gas_limit, "big"),
            max_fee_per_gas=int.from_bytes(max_fee, "big"),
            max_priority_fee_per_gas=int.from_bytes(priority_fee, "big"),
        )
    except (RLPException, TypeError, ValueError) as problem:
        raise ValueError(f"not an EIP-1559 transaction: {problem}") from problem


def recover_sender(raw: bytes) -> str:
    """Return the EIP-55 address that signed an EIP-1559 transaction.

    Raises:
        ValueError: The bytes are not those of such a transaction, or its signature is not one.
    """
    if raw[:1] != _DYNAMIC_FEE_TYPE:
        raise ValueError("not an EIP-1559 transaction")
    try:
        fields = cast("list[Any]", untyped_rlp_decode(raw[1:]))
        parity, r, s = fields[9:]
        signature = r.rjust(32, b"\0") + s.rjust(32, b"\0") + bytes((int.from_bytes(parity, "big"),))
        digest = keccak(_DYNAMIC_FEE_TYPE + _rlp(fields[:9]))
        public_key = PublicKey.from_signature_and_message(signature, digest, hasher=None)
    except (RLPException, TypeError, ValueError) as problem:
        raise ValueError(f"not a signed EIP-1559 transaction: {problem}") from problem
    return address_of(public_key)
