"""The committed build outputs of the Solidity sources."""

import json
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any


class UnknownContract(LookupError):
    """No contract of that name was compiled."""

    def __init__(self, name: str) -> None:
        super().__init__(f"unknown contract {name!r}; known are {', '.join(contract_names())}")


@dataclass(frozen=True, slots=True)
class ContractArtifact:
    """One compiled contract.

    Attributes:
        name: Solidity name.
        abi: ABI entries as the compiler wrote them; not to be changed by the reader.
        bytecode: Creation code, to which encoded constructor arguments are appended.
        deployed_bytecode: Code on chain, with zeros where immutable values go.
        immutable_ranges: Start and length in bytes of every place where an immutable value goes.
    """

    name: str
    abi: list[dict[str, Any]]
    bytecode: bytes
    deployed_bytecode: bytes
    immutable_ranges: tuple[tuple[int, int], ...]

    def matches(self, code: bytes) -> bool:
        """Whether code found on chain is this contract, whatever its immutable values."""
        masked = bytearray(code)
        for start, length in self.immutable_ranges:
            masked[start : start + length] = bytes(length)
        return bytes(masked) == self.deployed_bytecode


def contract_names() -> list[str]:
    """Names of all compiled contracts, sorted."""
    folder = files("snowrail_evm") / "compiled"
    return sorted(
        entry.name.removesuffix(".json") for entry in folder.iterdir() if entry.name.endswith(".json")
    )


@cache
def load(name: str) -> ContractArtifact:
    """Load a compiled contract, such as `IntentEscrow`.

    Raises:
        UnknownContract: No such contract.
    """
    path = files("snowrail_evm") / "compiled" / f"{name}.json"
    if not name.isidentifier() or not path.is_file():
        raise UnknownContract(name)
    document = json.loads(path.read_text("utf-8"))
    return ContractArtifact(
        name=document["name"],
        abi=document["abi"],
        bytecode=bytes.fromhex(document["bytecode"][2:]),
        deployed_bytecode=bytes.fromhex(document["deployedBytecode"][2:]),
        immutable_ranges=tuple((start, length) for start, length in document["immutableRanges"]),
    )
