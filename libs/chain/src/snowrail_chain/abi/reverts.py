"""Why a call reverted, in words: custom errors of our contracts and of tokens, messages and panics."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from eth_abi.abi import decode
from eth_abi.exceptions import DecodingError
from eth_hash.auto import keccak

from snowrail_chain.addresses import checksum_address
from snowrail_evm import load

_CONTRACTS_WITH_ERRORS = (
    "IntentEscrow",
    "BatchPayout",
    "SpendingMandate",
    "TestUSDC",
)  # the latter for the errors of ERC-6093 and of permits
_MESSAGE = ("Error", (("message", "string"),))
_PANIC = ("Panic", (("code", "uint256"),))


@dataclass(frozen=True, slots=True)
class RevertReason:
    """A revert in words.

    Attributes:
        name: Name of the error; `Empty` without any data, `Unknown` when nothing known fits.
        arguments: Its arguments by name.
    """

    name: str
    arguments: Mapping[str, Any]

    def __str__(self) -> str:
        return f"{self.name}({', '.join(f'{name}={value}' for name, value in self.arguments.items())})"


def explain_revert(data: bytes) -> RevertReason:
    """Read revert data, which may be cut off; never raises."""
    if not data:
        return RevertReason("Empty", {})
    known = _errors().get(data[:4])
    if known is not None:
        name, parameters = known
        try:
            values = decode([kind for _, kind in parameters], data[4:])
        except (DecodingError, OverflowError, UnicodeDecodeError):
            return RevertReason(name, {})
        return RevertReason(
            name, {key: _readable(value, kind) for (key, kind), value in zip(parameters, values, strict=True)}
        )
    return RevertReason("Unknown", {"data": f"0x{data.hex()}"})


@cache
def _errors() -> dict[bytes, tuple[str, tuple[tuple[str, str], ...]]]:
    errors: list[tuple[str, tuple[tuple[str, str], ...]]] = [_MESSAGE, _PANIC]
    errors += [
        (entry["name"], tuple((item["name"], item["type"]) for item in entry["inputs"]))
        for contract in _CONTRACTS_WITH_ERRORS
        for entry in load(contract).abi
        if entry["type"] == "error"
    ]
    return {
        keccak(f"{name}({','.join(kind for _, kind in parameters)})".encode())[:4]: (name, parameters)
        for name, parameters in errors
    }


def _readable(value: Any, kind: str) -> Any:
    if kind == "address":
        return checksum_address(bytes.fromhex(value[2:]))
    if kind == "bytes32" and isinstance(value, bytes):
        text = value.rstrip(b"\0")
        return text.decode() if text.isalnum() and text.isascii() else f"0x{value.hex()}"
    return value
